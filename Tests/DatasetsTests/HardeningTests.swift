import Datasets
import Failures
import Randomness
import Testing

/// Whatever bytes a file has, it is read or refused with a `Failure`.
@Suite struct HardeningTests {
  static let pieces: [[UInt8]] = [
    [0x09], [0x0A], [0x0D], [0x0D, 0x0A], [0], [0x30], [0x31], [0x22], [0x5C], [0x7B], [0x7D], [0x5B], [0x5D],
    [0x2C],
    [0x3A], [0x20], [0xEF, 0xBB, 0xBF], [0xFF], [0xEA, 0xB0], Array("document".utf8), Array("label".utf8),
    Array("\"document\":\"".utf8), Array("\"label\":1".utf8), Array("\\ud83d".utf8), Array("\\u0041".utf8),
    Array("document\tlabel\n".utf8), Array("{\"document\":\"가\",\"label\":0}\n".utf8), Array("가나".utf8),
  ]

  /// File `number` of a fixed series, made of what the readers look for.
  static func content(_ number: Int) -> [UInt8] {
    let generator = Philox(seed: 77, purpose: .test)
    let count = generator.index(below: 30, UInt32(number))
    let opening: [UInt8] = number % 3 == 0 ? Array("document\tlabel\n".utf8) : []
    return opening
      + (0..<count).flatMap { pieces[generator.index(below: pieces.count, UInt32(number), 1 + UInt32($0))] }
  }

  @Test(arguments: ["a.tsv", "a.jsonl", "a"]) func anyBytesAreReadOrRefused(_ name: String) {
    var read = 0
    for number in 0..<20_000 {
      let content = Self.content(number)
      do {
        let data = try Dataset.labelled(bytes: content, name: name)
        #expect(data.isLabelled && data.labels.allSatisfy { $0 == 0 || $0 == 1 })
        read += 1
      } catch let failure as Failure {
        #expect(failure.kind == .badContent && !failure.message.contains("\n") && failure.message.count < 500)
      } catch {
        Issue.record("expected a Failure, found \(error)")
      }
      do {
        let data = try Dataset.unlabelled(bytes: content, name: name)
        #expect(data.textByteCount <= content.count && data.count <= content.count + 1)
        read += 1
      } catch {
        #expect(error is Failure)
      }
    }
    #expect(read > 20, "the series must also hold files that can be read")
  }

  /// Memory of at most twice the file and 256 MiB: rows of no text would take twelve times their file.
  @Test func millionsOfEmptyLinesAreRefused() {
    let lines = [UInt8](repeating: 0x0A, count: 30_000_000)
    for name in ["a.jsonl", "a"] {
      expectRefusal("30000001 lines of 0 bytes on average") { try Dataset.unlabelled(bytes: lines, name: name) }
    }
    expectRefusal("lines of 1 bytes on average") {
      try Dataset.labelled(bytes: Array("document\tlabel\n".utf8) + lines, name: "a.tsv")
    }
    expectRefusal("more than 100,000 columns") {
      try Dataset.labelled(bytes: [UInt8](repeating: 0x09, count: 200_000), name: "a.tsv")
    }
  }

  private func expectRefusal<Result>(_ words: String, _ body: () throws -> Result) {
    do {
      _ = try body()
      Issue.record("a failure saying \"\(words)\" was expected")
    } catch {
      let failure = error as? Failure
      #expect(failure?.kind == .badContent && failure?.message.contains(words) == true, "\(error)")
    }
  }
}
