internal import Failures

/// A small JSON document as a tree, its members in the order of the file.
package enum JSONValue: Equatable, Sendable {
  /// A key and its value.
  package struct Member: Equatable, Sendable {
    /// The key.
    package let key: String
    /// The value.
    package let value: JSONValue

    /// A key with its value.
    package init(key: String, value: JSONValue) {
      self.key = key
      self.value = value
    }
  }

  case null
  case boolean(Bool)
  case integer(Int)
  case decimal(Double)
  case string(String)
  case array([JSONValue])
  case object([Member])

  /// The largest document that becomes a tree: a configuration takes a few kilobytes, and a tree several times that.
  package static let maximumByteCount = 1 << 20
  /// The largest `config.json` of a model: the names of some ten thousand classes take more than a megabyte.
  package static let largestModelConfiguration = 16 << 20
  /// How deep a tree may be.
  static let maximumDepth = 16

  /// Reads a document.
  /// - Parameters:
  ///   - bytes: JSON text.
  ///   - source: What it is, for messages, quoted.
  ///   - limit: The most bytes that it may have.
  /// - Throws: `Failure(.badContent)` when it is malformed, larger than that or nested deeper than 16.
  package init(_ bytes: [UInt8], source: String, limit: Int = JSONValue.maximumByteCount) throws {
    guard bytes.count <= limit else {
      throw Failure(
        .badContent, "\(source) has \(bytes.count) bytes; a configuration of at most \(limit >> 20) MiB is expected")
    }
    var scanner = JSONScanner(bytes[...], source: source)
    self = try JSONValue.scan(&scanner, depth: 0)
    try scanner.end()
  }

  /// An object from keys and values.
  package static func members(_ members: KeyValuePairs<String, JSONValue>) -> JSONValue {
    .object(members.map { Member(key: $0.key, value: $0.value) })
  }

  /// A member of an object; nil for anything else.
  package subscript(key: String) -> JSONValue? {
    guard case .object(let members) = self else { return nil }
    return members.first { $0.key == key }?.value
  }

  private static func scan(_ scanner: inout JSONScanner, depth: Int) throws -> JSONValue {
    guard depth < maximumDepth else { throw scanner.failure("it is nested deeper than \(maximumDepth)") }
    switch scanner.peek() {
    case UInt8(ascii: "{"):
      var members: [Member] = []
      try scanner.object { key, scanner in
        members.append(Member(key: key, value: try scan(&scanner, depth: depth + 1)))
      }
      return .object(members)
    case UInt8(ascii: "["):
      var elements: [JSONValue] = []
      try scanner.array { elements.append(try scan(&$0, depth: depth + 1)) }
      return .array(elements)
    case UInt8(ascii: "\""): return .string(try scanner.string())
    case UInt8(ascii: "t"), UInt8(ascii: "f"): return .boolean(try scanner.boolean())
    case UInt8(ascii: "n"):
      try scanner.skipValue()
      return .null
    default: return try number(&scanner)
    }
  }

  private static func number(_ scanner: inout JSONScanner) throws -> JSONValue {
    let text = try scanner.numberText()
    if let integer = Int(text) { return .integer(integer) }
    guard let decimal = Double(text), decimal.isFinite || text.last?.isLetter == true else {
      throw scanner.failure("a number is too large")
    }
    return .decimal(decimal)
  }
}

// MARK: Writing

extension JSONValue {
  /// The document as a text file: two spaces a level and a line feed at the end, as Python's libraries write them.
  package var fileBytes: [UInt8] { Array((text(indentation: 0) + "\n").utf8) }

  /// The document on one line.
  package var line: String {
    switch self {
    case .null: "null"
    case .boolean(let value): value ? "true" : "false"
    case .integer(let value): String(value)
    case .decimal(let value): value.isFinite ? "\(value)" : value.isNaN ? "NaN" : value < 0 ? "-Infinity" : "Infinity"
    case .string(let value): value.jsonString
    case .array(let elements): "[" + elements.map(\.line).joined(separator: ", ") + "]"
    case .object(let members):
      "{" + members.map { "\($0.key.jsonString): \($0.value.line)" }.joined(separator: ", ") + "}"
    }
  }

  /// Whether it says nothing: null, false, or an empty list or object.
  package var isNeutral: Bool {
    switch self {
    case .null, .boolean(false), .array([]), .object([]): true
    default: false
    }
  }

  private func text(indentation: Int) -> String {
    let inner = String(repeating: " ", count: indentation + 2)
    let outer = String(repeating: " ", count: indentation)
    switch self {
    case .array(let elements) where !elements.isEmpty:
      let lines = elements.map { inner + $0.text(indentation: indentation + 2) }
      return "[\n" + lines.joined(separator: ",\n") + "\n\(outer)]"
    case .object(let members) where !members.isEmpty:
      let lines = members.map {
        "\(inner)\($0.key.jsonString): \($0.value.text(indentation: indentation + 2))"
      }
      return "{\n" + lines.joined(separator: ",\n") + "\n\(outer)}"
    default: return line
    }
  }
}
