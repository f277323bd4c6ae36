import Datasets
import Failures
import Testing

/// The message of the failure that `body` throws; the test fails when it throws none, or one of another kind.
func failure<R>(
  _ kind: Failure.Kind, sourceLocation: SourceLocation = #_sourceLocation, _ body: () throws -> R
) -> String {
  do {
    _ = try body()
    Issue.record("expected a failure", sourceLocation: sourceLocation)
  } catch let failure as Failure {
    #expect(failure.kind == kind, sourceLocation: sourceLocation)
    return failure.message
  } catch {
    Issue.record("expected a Failure, found \(error)", sourceLocation: sourceLocation)
  }
  return ""
}

extension Dataset {
  /// All texts.
  var texts: [String] { (0..<count).map(text) }
}

@Suite struct TableReadingTests {
  static func read(
    _ content: String, name: String = "reviews.tsv", columns: ColumnNames = ColumnNames(), classCount: Int = 2
  ) throws -> Dataset {
    try Dataset.labelled(bytes: Array(content.utf8), name: name, columns: columns, classCount: classCount)
  }

  @Test func readsReviewsAsNSMCHasThem() throws {
    let data = try Self.read("id\tdocument\tlabel\n7\t재미있다\t1\n8\t지루해요...\t0\n")
    #expect(data.texts == ["재미있다", "지루해요..."])
    #expect(data.labels == [1, 0])
    #expect(data.isLabelled && !data.hasTextPairs)
    #expect((0..<2).map(data.line) == [2, 3])
    #expect(data.textPair(0) == nil && data.identifier(0) == nil)
    #expect(data.textByteCount == 12 + 15)
    #expect(data.withText(0) { Array($0) } == Array("재미있다".utf8))
    #expect(data.withTextPair(0) { $0.count } == 0)
  }

  /// One content, written in the ways that editors and exports write it.
  @Test(arguments: [
    "document\tlabel\na\t0\nb c\t1\n",
    "document\tlabel\na\t0\nb c\t1",
    "document\tlabel\r\na\t0\r\nb c\t1\r\n",
    "\u{FEFF}document\tlabel\na\t0\nb c\t1\n",
    "label\tdocument\n0\ta\n1\tb c\n",
    "label\tdocument\r\n0\ta\r\n1\tb c",
    "document\tlabel\na\t0\nb c\t1\n\n\r\n\n",
    "document\tsource\tlabel\tnote\na\tx\t0\t\nb c\t\t1\ty\n",
  ])
  func acceptsEveryWayOfWriting(_ content: String) throws {
    let data = try Self.read(content)
    #expect(data.texts == ["a", "b c"])
    #expect(data.labels == [0, 1])
  }

  @Test func quotesEmptyTextsAndControlCharactersAreText() throws {
    let data = try Self.read("document\tlabel\n\"a\t0\n\t1\n 'b'\"\" \t1\nc\u{0}\r d\t0\n")
    #expect(data.texts == ["\"a", "", " 'b'\"\" ", "c\u{0}\r d"])
    #expect(data.labels == [0, 1, 1, 0])
  }

  @Test func findsColumnsByName() throws {
    let columns = ColumnNames(text: "sentence1", textPair: "sentence2", label: "gold", identifier: "id")
    let data = try Self.read(
      "gold\tsentence2\tid\tsentence1\n2\t둘\tA1\t하나\n0\t\tA2\t\n", columns: columns, classCount: 3)
    #expect(data.texts == ["하나", ""])
    #expect((0..<2).map { data.textPair($0) } == ["둘", ""])
    #expect((0..<2).map { data.identifier($0) } == ["A1", "A2"])
    #expect(data.labels == [2, 0])
    #expect(data.withTextPair(0) { Array($0) } == Array("둘".utf8))
    var absent = columns
    absent.identifier = "uuid"
    #expect(
      try Self.read("gold\tsentence2\tsentence1\n0\ta\tb\n", columns: absent).identifier(0) == nil)
  }

  @Test func manyClasses() throws {
    let data = try Self.read("document\tlabel\na\t0\nb\t119\nc\t007\n", classCount: 120)
    #expect(data.labels == [0, 119, 7])
  }

  @Test(arguments: [
    ("x", "found \"x\""), ("2", "found \"2\""), ("-1", "found \"-1\""), ("1.0", "found \"1.0\""),
    ("", "found \"\""),
    (" 1", "found \" 1\""), ("+1", "found \"+1\""), ("99999999999999999999999999", "found \"9999"),
    ("１", "found \"１\""),
    ("1\u{7}", "found \"1\u{FFFD}\""),
  ])
  func aLabelThatIsNoClassIsRefused(_ label: String, _ found: String) {
    let message = failure(.badContent) { try Self.read("document\tlabel\na\t0\nb\t\(label)\nc\tx\n") }
    #expect(message.hasPrefix("reviews.tsv:3: \(found)"), "\(message)")
    #expect(message.contains("expected 0 or 1"))
  }

  @Test func theExpectedLabelsAreNamed() {
    let message = failure(.badContent) { try Self.read("document\tlabel\na\t5\n", classCount: 5) }
    #expect(message.contains("expected a whole number from 0 to 4") && message.contains("--num-labels 5"))
  }

  @Test func aMissingColumnIsNamedWithThoseThereAre() {
    let label = failure(.badContent) { try Self.read("id\tdocument\trating\n1\ta\t0\n") }
    #expect(
      label.contains("no column \"label\"; the header names \"id\", \"document\", \"rating\""), "\(label)")
    #expect(label.contains("--label-column"))
    let text = failure(.badContent) { try Self.read("id\ttext\tlabel\n1\ta\t0\n") }
    #expect(text.contains("no column \"document\"") && text.contains("--text-column"))
    let pair = failure(.badContent) {
      try Self.read("document\tlabel\na\t0\n", columns: ColumnNames(textPair: "second"))
    }
    #expect(pair.contains("no column \"second\"") && pair.contains("--text-pair-column"))
    let commas = failure(.badContent) { try Self.read("id,document,label\n1,a,0\n") }
    #expect(commas.contains("separated by tabs"))
    let twice = failure(.badContent) { try Self.read("document\tlabel\tdocument\na\t0\tb\n") }
    #expect(twice.contains("document twice"))
    let wide = failure(.badContent) { try Self.read((0..<5000).map { "c\($0)" }.joined(separator: "\t")) }
    #expect(wide.count < 400)
  }

  @Test(arguments: [
    ("a", "found 1 field,"), ("", "found 1 field,"), ("1\ta", "found 2 fields,"),
    ("1\ta\tb\t0", "found 4 fields,"),
  ])
  func aRowWithTheWrongNumberOfFieldsIsRefused(_ row: String, _ found: String) {
    let message = failure(.badContent) { try Self.read("id\tdocument\tlabel\n1\tx\t0\n\(row)\n3\ty\t1\n") }
    #expect(message.hasPrefix("reviews.tsv:3: \(found) expected 3"), "\(message)")
  }

  @Test func anEmptyFileAndAFileWithoutRowsAreRefused() {
    #expect(failure(.badContent) { try Self.read("") }.contains("is empty"))
    #expect(failure(.badContent) { try Self.read("document\tlabel\n") }.contains("no reviews"))
    #expect(failure(.badContent) { try Self.read("\u{FEFF}") }.contains("is empty"))
  }

  @Test func bytesThatAreNotUTF8AreNamedByLineAndByte() {
    let bytes = Array("document\tlabel\n가나\t0\n다".utf8) + [0xB0, 0xA1] + Array("\t1\n".utf8)
    let message = failure(.badContent) { try Dataset.labelled(bytes: bytes, name: "old.txt") }
    #expect(message.hasPrefix("old.txt:3:4: byte 0xb0 is not UTF-8"), "\(message)")
    #expect(message.contains("iconv -f CP949"))
    let wide = failure(.badContent) { try Dataset.labelled(bytes: [0xFF, 0xFE, 0x69, 0], name: "wide.tsv") }
    #expect(wide.hasPrefix("wide.tsv:1:1:") && wide.contains("iconv -f UTF-16"))
    let packed = failure(.badContent) { try Dataset.labelled(bytes: [0x1F, 0x8B, 8, 0], name: "a.tsv") }
    #expect(packed.contains("gunzip"))
  }
}
