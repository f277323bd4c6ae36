import Failures
import JSON
import TestSupport
import Testing

@Suite struct JSONScannerTests {
  private func scan<Value>(_ text: String, _ body: (inout JSONScanner) throws -> Value) throws -> Value {
    try scan(Array(text.utf8), body)
  }

  private func scan<Value>(_ bytes: [UInt8], _ body: (inout JSONScanner) throws -> Value) throws -> Value {
    var scanner = JSONScanner(([0, 0] + bytes)[2...], source: "text")
    let value = try body(&scanner)
    try scanner.end()
    return value
  }

  /// Expects bad content whose sentence has some words.
  private func expectRefusal<Result>(
    _ words: String, sourceLocation: SourceLocation = #_sourceLocation, _ body: () throws -> Result
  ) {
    let failure = #expect(throws: Failure.self, sourceLocation: sourceLocation) { _ = try body() }
    #expect(failure?.kind == .badContent, sourceLocation: sourceLocation)
    #expect(failure?.message.contains(words) ?? false, "\(failure?.message ?? "")", sourceLocation: sourceLocation)
  }

  @Test(arguments: [
    "0", "-1", "10.5", "1e5", "NaN", "Infinity", "-Infinity", "-0.5E-10", "true", "false", "null", "\"a\"", "[]", "{}",
    "[1]",
    " [ 1 , [ ] , { } ] ",
    "{\"a\":{\"b\":[1,{\"c\":[]}]},\"d\":2}", "[[[[]]],[[]]]", "{\"a\":[],\"b\":{}}",
  ])
  func valuesAreSkipped(text: String) throws {
    try scan(text) { try $0.skipValue() }
    try scan("{\"k\":\(text),\"last\":7}") { scanner in
      var last = 0
      try scanner.object { key, scanner in
        if key == "last" { last = try scanner.wholeNumber() } else { try scanner.skipValue() }
      }
      #expect(last == 7)
    }
  }

  @Test(arguments: [
    "", " ", "-", "01", "-01", "1.", ".5", "1e", "1e+", "+1", "tru", "nul", "truex", "\"a", "[", "]", "[1",
    "[1,", "[1,]",
    "[,1]", "[1 2]", "[}", "{", "{]", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{a:1}", "{1:1}",
    "{\"a\":1 \"b\":2}", "1 2", "nan", "-NaN", "Inf", "+Infinity",
    "'a'", "[1]]", "//", "\u{0}",
  ])
  func malformedValuesAreRefused(text: String) {
    expectRefusal("text: ") { try scan(text) { try $0.skipValue() } }
  }

  @Test func nestingHasALimit() throws {
    func nested(_ depth: Int) -> String {
      String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
    }
    try scan(nested(64)) { try $0.skipValue() }
    expectRefusal("nested deeper than 64") { try scan(nested(65)) { try $0.skipValue() } }
  }

  @Test(arguments: [
    (#""""#, ""), (#""plain é 한""#, "plain é 한"), (#""\"\\\/\b\f\n\r\t""#, "\"\\/\u{8}\u{C}\n\r\t"),
    (#""a\u00e9\uD55Cz""#, "aé한z"), (#""\ud83d\ude00!""#, "😀!"), (#""\u0000""#, "\0"),
  ])
  func stringsAreUnescaped(text: String, expected: String) throws {
    #expect(try scan(text) { try $0.string() } == expected)
  }

  @Test(arguments: [
    #""\x""#, #""\u12""#, #""\u12g4""#, #""\ud83d""#, #""\ud83dx""#, #""\ud83d\u0041""#, #""\ude00""#, #""\"#,
    "\"a\nb\"",
    "\"\u{1}\"", #""\ud83d\"#, #""\ud83d\u"#,
  ])
  func malformedStringsAreRefused(text: String) {
    expectRefusal("string") { try scan(text) { try $0.string() } }
  }

  @Test(
    arguments: [[0xFF], [0xC3], [0xC0, 0x80], [0xED, 0xA0, 0x80], [0xF5, 0x80, 0x80, 0x80]] as [[UInt8]])
  func textThatIsNotUTF8IsRefused(bytes: [UInt8]) {
    expectRefusal("not valid UTF-8") { try scan([0x22] + bytes + [0x22]) { try $0.string() } }
  }

  @Test func numbersAndTruthValues() throws {
    #expect(try scan(" 9223372036854775807 ") { try $0.wholeNumber() } == Int.max)
    #expect(try scan("0") { try $0.wholeNumber() } == 0)
    expectRefusal("too large, at byte 18") {
      try scan("9223372036854775808") { try $0.wholeNumber() }
    }
    #expect(try scan("true") { try $0.boolean() })
    #expect(try !scan("false") { try $0.boolean() })
    expectRefusal("a value is expected") { try scan("1") { try $0.boolean() } }
  }

  /// Every way to write a key twice is one key.
  @Test func repeatedKeysAreRefused() {
    expectRefusal("the key 'ab' occurs twice") {
      try scan(#"{"ab":1,"\u0061b":2}"#) { try $0.object { _, scanner in try scanner.skipValue() } }
    }
  }

  /// Python writes them, and reads them back.
  @Test func numbersThatAreNone() throws {
    let value = try JSONValue(Array(#"[NaN, Infinity, -Infinity, 1]"#.utf8), source: "text")
    #expect(value.line == "[NaN, Infinity, -Infinity, 1]")
    #expect(throws: Failure.self) { try JSONValue(Array("1e999".utf8), source: "text") }
    var reader = try ConfigurationReader(
      JSONValue(Array(#"{"a": NaN, "b": 2.5}"#.utf8), source: "text"), source: "text")
    #expect(try reader.number("b") == 2.5)
    expectRefusal("a is 'NaN', but a number was expected") { try reader.number("a") }
  }

  @Test func documentsHaveALimit() throws {
    let bytes = Array("[\"\(String(repeating: "a", count: 1 << 20))\"]".utf8)
    expectRefusal("at most 1 MiB is expected") { try JSONValue(bytes, source: "text") }
    _ = try JSONValue(bytes, source: "text", limit: 2 << 20)
  }

  /// To `String` these are equal; a vocabulary has both.
  @Test func keysThatDifferInBytesAreTwo() throws {
    var keys: [String] = []
    try scan("{\"\u{e9}\":1,\"e\u{301}\":2}") { scanner in
      try scanner.object { key, scanner in
        keys.append(key)
        try scanner.skipValue()
      }
    }
    #expect(keys.map(\.utf8.count) == [2, 3])
  }

  @Test func nothingIsPassedOver() throws {
    #expect(try scan(" null ") { $0.acceptNull() })
    #expect(
      try !scan("1") { scanner in
        defer { _ = try? scanner.wholeNumber() }
        return scanner.acceptNull()
      })
    expectRefusal("text: ") { try scan("nul") { $0.acceptNull() } }
    #expect(
      try scan("{}") { scanner in
        defer { try? scanner.skipValue() }
        return scanner.isAtObject()
      })
  }
}
