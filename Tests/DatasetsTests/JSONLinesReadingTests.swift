import Datasets
import Failures
import Testing

@Suite struct JSONLinesReadingTests {
  static func read(
    _ content: String, name: String = "reviews.jsonl", columns: ColumnNames = ColumnNames(),
    classCount: Int = 2
  ) throws -> Dataset {
    try Dataset.labelled(bytes: Array(content.utf8), name: name, columns: columns, classCount: classCount)
  }

  @Test(arguments: ["reviews.jsonl", "reviews.json", "reviews.ndjson", "reviews.txt", "reviews"])
  func readsObjectsWhateverTheOrderOfKeys(_ name: String) throws {
    let data = try Self.read(
      #"{"id": 1, "document": "재미있다", "label": 1}"# + "\r\n"
        + #"{"label":0,"extra":{"a":[1,{"b":"}]"}],"c":null},"document":""}"# + "\n"
        + #"{ "label" : "1" , "document" : "세 번째" }"#, name: name)
    #expect(data.texts == ["재미있다", "", "세 번째"])
    #expect(data.labels == [1, 0, 1])
    #expect((0..<3).map(data.line) == [1, 2, 3])
  }

  @Test func decodesEscapes() throws {
    let data = try Self.read(
      #"{"document":"a\"b\\c\/d\b\f\n\r\te","label":0}"# + "\n"
        + #"{"document":"\uc7ac\ubbf8 \ud83d\ude00\u0000 끝","label":0}"# + "\n"
        + #"{"\u0064ocument":"키","label":0}"# + "\n"
        + #"{"document":"뒤","label":1}"# + "\n")
    #expect(data.texts == ["a\"b\\c/d\u{8}\u{C}\n\r\te", "재미 😀\u{0} 끝", "키", "뒤"])
  }

  @Test func emptyLinesArePassedOverAndLineNumbersKept() throws {
    let data = try Self.read(
      "\n{\"document\":\"a\",\"label\":0}\n \t\r\n\n{\"document\":\"b\",\"label\":1}\n\n")
    #expect(data.texts == ["a", "b"])
    #expect((0..<2).map(data.line) == [2, 5])
    let later = try Self.read("{\"document\":\"a\",\"label\":0}\n\n{\"document\":\"b\",\"label\":1}\n")
    #expect((0..<2).map(later.line) == [1, 3])
  }

  @Test func readsPairsAndIdentifiers() throws {
    let data = try Self.read(
      #"{"b":"둘","n":17,"a":"하나","y":2}"#,
      columns: ColumnNames(text: "a", textPair: "b", label: "y", identifier: "n"), classCount: 3)
    #expect(data.text(0) == "하나" && data.textPair(0) == "둘" && data.identifier(0) == "17")
    #expect(data.labels == [2])
  }

  @Test(arguments: [
    (#"{"document":"a"}"#, "2: there is no key \"label\"; there are \"document\""),
    (#"{"text":"a","label":1}"#, "--text-column"),
    (#"{}"#, "there are none"),
    (#"{"document":"a","label":2}"#, "2: found \"2\" in column label, expected 0 or 1"),
    (#"{"document":"a","label":true}"#, "found \"true\""),
    (#"{"document":"a","label":1.0}"#, "found \"1.0\""),
    (#"{"document":"a","label":[1]}"#, "expected a whole number"),
    (#"{"document":7,"label":1}"#, "expected a string"),
    (#"{"document":null,"label":1}"#, "expected a string"),
    (#"["a",1]"#, "jq -c"),
    (#"{"document":"a","label":1} x"#, "something after the object"),
    (#"{"document":"a","label":1"#, "expected a comma or the end"),
    (#"{"document":"a" "label":1}"#, "expected a comma"),
    (#"{"document":"a,"label":1}"#, "expected a comma"),
    (#"{"document" "a"}"#, "expected a colon"),
    (#"{document:"a"}"#, "expected a key"),
    (#"{"document":"a"#, "closing quote"),
    (#"{"document":"a\"#, "closing quote"),
    (#"{"document":"\x","label":1}"#, "unknown escape"),
    (#"{"document":"\u12","label":1}"#, "hexadecimal"),
    (#"{"document":"\ud83d","label":1}"#, "surrogate"),
    (#"{"document":"\ude00\ud83d","label":1}"#, "surrogate"),
    (#"{"document":"\ud83d\u0041","label":1}"#, "surrogate"),
    (#"{"x":[1,2},"document":"a","label":1}"#, "bracket"),
    (#"{"x":[1,2"#, "never closed"),
    (#"{"x":,"document":"a","label":1}"#, "no value"),
    (#"document label"#, "expected a JSON object"),
  ])
  func damagedLinesAreRefused(_ line: String, _ expected: String) {
    let message = failure(.badContent) { try Self.read("{\"document\":\"a\",\"label\":0}\n\(line)\n") }
    #expect(message.hasPrefix("reviews.jsonl:2:"), "\(message)")
    #expect(message.contains(expected), "\(message)")
  }

  /// A recursive parser would run out of stack.
  @Test func deepNestingIsRefused() {
    let deep = String(repeating: "[", count: 1_000_000)
    let message = failure(.badContent) { try Self.read("{\"x\":\(deep)") }
    #expect(message.contains("nested deeper"))
  }

  /// Every prefix of a valid line, and every line with one byte replaced, is read or refused, and nothing else.
  @Test func damageNeverCrashes() throws {
    let line = Array(#"{"n":{"k":[1,"\ud83d\ude00"]},"document":"가\n\u0041","label":1}"#.utf8)
    for length in 1..<line.count {
      #expect(throws: Failure.self) { try Dataset.labelled(bytes: Array(line[..<length]), name: "a.jsonl") }
    }
    var accepted = 0
    for index in line.indices {
      for byte in UInt8.min...UInt8.max {
        var damaged = line
        damaged[index] = byte
        do {
          #expect(try Dataset.labelled(bytes: damaged, name: "a.jsonl").count == 1)
          accepted += 1
        } catch is Failure {}
      }
    }
    #expect(accepted >= line.count, "the undamaged line is among them once per byte")
  }
}
