import Foundation
import JSON
import Testing

@Suite struct JSONValueCodableTests {
  private func decoded(_ text: String) throws -> JSONValue {
    try JSONDecoder().decode(JSONValue.self, from: Data(text.utf8))
  }

  @Test func everyKindSurvives() throws {
    let text = #"{"a":[1,2.5,-3],"b":{"x":null,"y":true},"c":"가\n","d":[],"e":{}}"#
    let value = try decoded(text)
    #expect(value["a"] == .array([.integer(1), .decimal(2.5), .integer(-3)]))
    #expect(value["b"] == .members(["x": .null, "y": .boolean(true)]))
    let encoder = JSONEncoder()
    encoder.outputFormatting = .sortedKeys
    #expect(String(decoding: try encoder.encode(value), as: UTF8.self) == text)
  }

  /// The order of members and the way a whole number is written make no difference.
  @Test func equalDocumentsAreEqualValues() throws {
    #expect(try decoded(#"{"a": 4, "b": 1e3}"#) == decoded(#"{"b": 1000, "a": 4.0}"#))
    #expect(try decoded(#"{"a": 4}"#) != decoded(#"{"a": 4.5}"#))
  }
}
