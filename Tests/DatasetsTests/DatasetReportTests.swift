import Datasets
import Foundation
import Randomness
import Testing

@Suite struct DatasetReportTests {
  @Test func countsWhatIsThere() {
    let training = Dataset(
      name: "train", texts: ["최고", "별로", "최고", "최고", "", " \t", "", "최고 "], labels: [1, 0, 1, 0, 0, 1, 0, 1])
    let test = Dataset(name: "test", texts: ["최고", "처음", "", "최고", "별로 "], labels: [1, 1, 2, 0, 0])
    let (report, isInTraining) = DatasetReport.examine(training: training, test: test, classCount: 3)
    #expect(report.training.rows == 8 && report.training.classCounts == [4, 4, 0])
    #expect(report.training.emptyTexts == 3)
    #expect(report.training.duplicates == 3, "최고 twice more, the empty text once more")
    #expect(report.training.conflictingDuplicates == 1)
    #expect(report.test?.rows == 5 && report.test?.classCounts == [2, 2, 1])
    #expect(report.test?.duplicates == 1 && report.test?.conflictingDuplicates == 1)
    #expect(isInTraining == [true, false, true, true, false])
    #expect(report.testRowsInTraining == 3)
  }

  @Test func pairsAreEqualWhenBothTextsAre() {
    let training = Dataset(name: "train", texts: ["a", "ab", "a"], textPairs: ["bc", "c", "bc"])
    let test = Dataset(name: "test", texts: ["a", "a", "abc"], textPairs: ["bc", "c", ""])
    let (report, isInTraining) = DatasetReport.examine(training: training, test: test)
    #expect(report.training.duplicates == 1 && report.training.classCounts.isEmpty)
    #expect(isInTraining == [true, false, false])
  }

  @Test func withoutATestFile() {
    let (report, isInTraining) = DatasetReport.examine(
      training: Dataset(name: "train", texts: [], labels: []))
    #expect(report.training.rows == 0 && report.test == nil && report.testRowsInTraining == nil)
    #expect(isInTraining.isEmpty)
  }

  /// Against a dictionary, over many texts from few.
  @Test func agreesWithADictionary() {
    let generator = Philox(seed: 5, purpose: .test)
    func texts(_ site: UInt32) -> [String] {
      (0..<5000).map { "t\(generator.index(below: 4000, UInt32($0), site))" }
    }
    let training = texts(1)
    let test = texts(2)
    let (report, isInTraining) = DatasetReport.examine(
      training: Dataset(name: "train", texts: training), test: Dataset(name: "test", texts: test))
    let known = Set(training)
    #expect(report.training.duplicates == training.count - known.count)
    #expect(isInTraining == test.map(known.contains))
  }

  @Test func isWrittenWithPlainKeys() throws {
    let (report, _) = DatasetReport.examine(
      training: Dataset(name: "a", texts: ["x"], labels: [1]),
      test: Dataset(name: "b", texts: ["x"], labels: [0]))
    let encoder = JSONEncoder()
    encoder.outputFormatting = .sortedKeys
    let json = String(decoding: try encoder.encode(report), as: UTF8.self)
    #expect(
      json.hasPrefix(
        "{\"test\":{\"class_counts\":[1,0],\"conflicting_duplicates\":0,\"duplicates\":0,\"empty_texts\":0,\"rows\":1},"
          + "\"test_rows_in_training\":1,\"training\":{"))
    #expect(try JSONDecoder().decode(DatasetReport.self, from: Data(json.utf8)) == report)
  }
}
