import FoundationEssentials
import TestSupport
import Testing

/// The helpers that the other rooms' tests trust.
@Suite struct TestSupportTests {
  @Test func closenessIsJudgedByBothTolerances() {
    #expect(differenceReport([1.0, 2, .infinity], [1.0, 2, .infinity]) == nil)
    #expect(differenceReport([1.05, 100.9], [1.0, 100], relative: 0.01, absolute: 0.05) == nil)
    let report = differenceReport([1.0, 2.2, 3.5], [1.0, 2, 3], absolute: 0.1)
    #expect(report == "number 2 is 3.5, expected 3.0: off by 0.5, allowed 0.1; 2 of 3 are outside")
  }

  @Test func nothingIsCloseToNaNOrInfinity() {
    #expect(differenceReport([Double.nan], [1.0], relative: 1, absolute: 1e9) != nil)
    #expect(differenceReport([1.0], [Double.nan], relative: 1, absolute: 1e9) != nil)
    #expect(differenceReport([1.0], [Double.infinity], relative: 1, absolute: 1e9) != nil)
    #expect(differenceReport([Double.infinity], [-Double.infinity], relative: 1) != nil)
    #expect(differenceReport([1.0, 1], [1.0], absolute: 1) != nil)
  }

  @Test func failuresAreRecorded() {
    withKnownIssue { expectClose([Float(1)], [2.0]) }
    withKnownIssue { expectClose(Float(1), 2.0) }
  }

  @Test func relativeDistance() {
    #expect(relativeL2([3.0, 4], [3.0, 4]) == 0)
    #expect(relativeL2([6.0, 8], [3.0, 4]) == 1)
    #expect(relativeL2([3.0, 4], [0.0, 0]) == 5)
    #expect(relativeL2([3.0], [0.0, 0]) == .infinity)
  }

  @Test func temporaryDirectoriesGoAway() throws {
    let path = try withTemporaryDirectory { directory in
      let file = try directory.write("text", to: "deep/er/file.txt")
      #expect(FileManager.default.fileExists(atPath: file))
      return directory.path
    }
    #expect(!FileManager.default.fileExists(atPath: path))
  }
}
