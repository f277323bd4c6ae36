import Datasets
import Failures
import Testing

@Suite struct UnlabelledReadingTests {
  static func read(
    _ content: String, name: String = "standard input", columns: ColumnNames = ColumnNames()
  ) throws -> Dataset {
    try Dataset.unlabelled(bytes: Array(content.utf8), name: name, columns: columns)
  }

  @Test func everyLineIsARow() throws {
    let data = try Self.read("\u{FEFF}첫 줄\n\n\"둘\"\t째\r\n끝")
    #expect(data.texts == ["첫 줄", "", "\"둘\"\t째", "끝"])
    #expect((0..<4).map(data.line) == [1, 2, 3, 4])
    #expect(!data.isLabelled && data.labels.isEmpty)
  }

  @Test(arguments: [
    ("", 0), ("\n", 1), ("\n\n", 2), ("a", 1), ("a\n", 1), ("\r\n", 1), ("{\n", 1), ("{\"a\":1}\n", 1),
  ])
  func countsLines(_ content: String, _ count: Int) throws {
    #expect(try Self.read(content).count == count)
  }

  @Test func aHeaderWithTheTextColumnMakesATable() throws {
    let data = try Self.read("id\tdocument\tlabel\n1\t가\t0\n2\t나\tnot a label\n")
    #expect(data.texts == ["가", "나"])
    #expect(data.line(0) == 2 && data.labels.isEmpty)
    #expect(try Self.read("document\n가\n\n나\n").texts == ["가", "", "나"])
    #expect(try Self.read("the document\n가\n").texts == ["the document", "가"])
    #expect(failure(.badContent) { try Self.read("a\tb\n", name: "a.tsv") }.contains("no column"))
  }

  @Test func aFirstObjectWithTheTextKeyMakesJSONLines() throws {
    #expect(
      try Self.read("{\"document\":\"\\uac00\"}\n{\"document\":\"나\",\"label\":9}\n").texts == ["가", "나"])
    #expect(try Self.read("{웃음} 재미있다\n").texts == ["{웃음} 재미있다"])
    #expect(failure(.badContent) { try Self.read("가\n", name: "a.jsonl") }.hasPrefix("a.jsonl:1:1:"))
  }

  @Test func blankLinesAmongJSONLinesAreTextsWhereEveryLineCounts() throws {
    let content = "{\"document\":\"가\"}\n\n \t\r\n{\"document\":\"나\"}\n\n"
    let data = try Dataset.unlabelled(bytes: Array(content.utf8), name: "a.jsonl", keepsBlankLines: true)
    #expect(data.texts == ["가", "", "", "나", ""])
    #expect((0..<5).map(data.line) == [1, 2, 3, 4, 5])
    #expect(try Self.read(content, name: "a.jsonl").texts == ["가", "나"])
  }

  @Test func pairsNeedATable() throws {
    let columns = ColumnNames(textPair: "second")
    #expect(failure(.badContent) { try Self.read("가\n", columns: columns) }.contains("no column"))
    let data = try Self.read("document\tsecond\n가\t나\n", columns: columns)
    #expect(data.textPair(0) == "나")
  }

  @Test func bytesThatAreNotUTF8AreRefused() {
    let message = failure(.badContent) {
      try Dataset.unlabelled(bytes: [0x61, 0x0A, 0x62, 0xC0, 0x80], name: "texts.txt")
    }
    #expect(message.hasPrefix("texts.txt:2:2: byte 0xc0"))
  }
}
