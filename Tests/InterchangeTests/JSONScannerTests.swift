import Failures
import Interchange
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

  @Test(arguments: [
    "0", "-1", "10.5", "1e5", "-0.5E-10", "true", "false", "null", "\"a\"", "[]", "{}", "[1]",
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
    "{\"a\":1 \"b\":2}", "1 2", "NaN",
    "'a'", "[1]]", "//", "\u{0}",
  ])
  func malformedValuesAreRefused(text: String) {
    expectFailure(.badContent, "text: ") { try scan(text) { try $0.skipValue() } }
  }

  @Test func nestingHasALimit() throws {
    func nested(_ depth: Int) -> String {
      String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
    }
    try scan(nested(64)) { try $0.skipValue() }
    expectFailure(.badContent, "nested deeper than 64") { try scan(nested(65)) { try $0.skipValue() } }
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
    expectFailure(.badContent, "string") { try scan(text) { try $0.string() } }
  }

  @Test(
    arguments: [[0xFF], [0xC3], [0xC0, 0x80], [0xED, 0xA0, 0x80], [0xF5, 0x80, 0x80, 0x80]] as [[UInt8]])
  func textThatIsNotUTF8IsRefused(bytes: [UInt8]) {
    expectFailure(.badContent, "not valid UTF-8") { try scan([0x22] + bytes + [0x22]) { try $0.string() } }
  }

  @Test func numbersAndTruthValues() throws {
    #expect(try scan(" 9223372036854775807 ") { try $0.wholeNumber() } == Int.max)
    #expect(try scan("0") { try $0.wholeNumber() } == 0)
    expectFailure(.badContent, "too large, at byte 18") {
      try scan("9223372036854775808") { try $0.wholeNumber() }
    }
    #expect(try scan("true") { try $0.boolean() })
    #expect(try !scan("false") { try $0.boolean() })
    expectFailure(.badContent, "a value is expected") { try scan("1") { try $0.boolean() } }
  }

  /// Every way to write a key twice is one key.
  @Test func repeatedKeysAreRefused() {
    expectFailure(.badContent, "the key 'ab' occurs twice") {
      try scan(#"{"ab":1,"\u0061b":2}"#) { try $0.object { _, scanner in try scanner.skipValue() } }
    }
  }
}
