import Failures

/// Hands out the values of a JSON file one after another, so that nothing is held but what is asked for.
///
/// Not Foundation's decoder: that one keeps members in a dictionary of `String`, where a vocabulary's "é" in
/// one spelling overwrites the "é" in the other. Values that are skipped are checked for balance only.
struct JSONReader {
  private let bytes: [UInt8]
  private let file: String
  private var place = 0

  /// A reader at the start of a file's bytes; messages call the file by its name.
  init(_ bytes: [UInt8], file: String) {
    self.bytes = bytes
    self.file = file
  }

  // MARK: Containers

  /// Reads an object, calling `body` with each name, to read or skip the value.
  mutating func forEachMember(_ body: (String, inout JSONReader) throws -> Void) throws {
    try expect("{", "an object")
    if take("}") { return }
    repeat {
      let name = try string()
      try expect(":", "“:”")
      try body(name, &self)
    } while take(",")
    try expect("}", "“,” or “}”")
  }

  /// Reads an array, calling `body` for each element, to read or skip it.
  mutating func forEachElement(_ body: (inout JSONReader) throws -> Void) throws {
    try expect("[", "an array")
    if take("]") { return }
    repeat { try body(&self) } while take(",")
    try expect("]", "“,” or “]”")
  }

  /// Makes sure that nothing follows.
  mutating func finish() throws {
    if peek() != nil { throw failure("the end of the file") }
  }

  /// Passes over any value, however deep.
  mutating func skip() throws {
    var closers: [UInt8] = []
    repeat {
      switch peek() {
      case UInt8(ascii: "\""): _ = try stringBytes()
      case UInt8(ascii: "{"): closers.append(UInt8(ascii: "}")); place += 1
      case UInt8(ascii: "["): closers.append(UInt8(ascii: "]")); place += 1
      case let byte? where byte == closers.last: closers.removeLast(); place += 1
      case UInt8(ascii: ",")? where !closers.isEmpty, UInt8(ascii: ":")? where !closers.isEmpty: place += 1
      default: try skipWord()
      }
    } while !closers.isEmpty
  }

  // MARK: Values

  /// Whether the next value is an object.
  mutating func isObject() -> Bool { peek() == UInt8(ascii: "{") }

  /// Whether the next value is null, which is then passed over.
  mutating func takeNull() -> Bool {
    _ = peek()
    guard bytes[place...].starts(with: "null".utf8) else { return false }
    place += 4
    return true
  }

  /// Reads true or false.
  mutating func boolean() throws -> Bool {
    _ = peek()
    for (text, value) in [("true", true), ("false", false)] where bytes[place...].starts(with: text.utf8) {
      place += text.utf8.count
      return value
    }
    throw failure("true or false")
  }

  /// Reads a whole number that is not negative.
  mutating func integer() throws -> Int {
    _ = peek()
    let digits = bytes[place...].prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
    guard let value = Int(String(decoding: digits, as: UTF8.self)) else { throw failure("a whole number") }
    place += digits.count
    return value
  }

  /// Reads a string.
  mutating func string() throws -> String {
    guard let text = String(validating: try stringBytes(), as: UTF8.self) else { throw failure("UTF-8") }
    return text
  }

  // MARK: Bytes

  /// The next byte that is not white space.
  private mutating func peek() -> UInt8? {
    while place < bytes.count {
      let byte = bytes[place]
      if byte != 0x20, byte != 0x0A, byte != 0x0D, byte != 0x09 { return byte }
      place += 1
    }
    return nil
  }

  private mutating func take(_ byte: Unicode.Scalar) -> Bool {
    guard peek() == UInt8(ascii: byte) else { return false }
    place += 1
    return true
  }

  private mutating func expect(_ byte: Unicode.Scalar, _ what: String) throws {
    if !take(byte) { throw failure(what) }
  }

  /// Passes over a number, true, false or null.
  private mutating func skipWord() throws {
    let word = bytes[place...].prefix { byte in
      (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
        || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || "+-.".utf8.contains(byte)
    }
    if word.isEmpty { throw failure("a value") }
    place += word.count
  }

  private mutating func stringBytes() throws -> [UInt8] {
    try expect("\"", "a string")
    var text: [UInt8] = []
    while place < bytes.count {
      let byte = bytes[place]
      place += 1
      switch byte {
      case UInt8(ascii: "\""): return text
      case UInt8(ascii: "\\"): text.append(contentsOf: String(try escaped()).utf8)
      case 0..<0x20: throw failure("no control characters in a string")
      default: text.append(byte)
      }
    }
    throw failure("the string to end")
  }

  /// Reads what follows a backslash.
  private mutating func escaped() throws -> Unicode.Scalar {
    guard place < bytes.count else { throw failure("the string to end") }
    let byte = bytes[place]
    place += 1
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return Unicode.Scalar(byte)
    case UInt8(ascii: "b"): return "\u{8}"
    case UInt8(ascii: "f"): return "\u{C}"
    case UInt8(ascii: "n"): return "\n"
    case UInt8(ascii: "r"): return "\r"
    case UInt8(ascii: "t"): return "\t"
    case UInt8(ascii: "u"): return try escapedScalar()
    default: throw failure("a known escape after “\\”")
    }
  }

  /// Reads the four hexadecimal digits of an escape, and those of the other half of a surrogate pair.
  private mutating func escapedScalar() throws -> Unicode.Scalar {
    var value = try hexadecimal()
    if value & 0xFC00 == 0xD800, bytes[place...].starts(with: "\\u".utf8) {
      place += 2
      let low = try hexadecimal()
      guard low & 0xFC00 == 0xDC00 else { throw failure("the second half of a surrogate pair") }
      value = 0x10000 + (value & 0x3FF) << 10 + low & 0x3FF
    }
    guard let scalar = Unicode.Scalar(value) else { throw failure("a code point, not half of a pair") }
    return scalar
  }

  private mutating func hexadecimal() throws -> UInt32 {
    let digits = bytes[place...].prefix(4)
    guard digits.count == 4, digits.allSatisfy({ Character(Unicode.Scalar($0)).isHexDigit && $0 < 0x80 }),
      let value = UInt32(String(decoding: digits, as: UTF8.self), radix: 16)
    else { throw failure("four hexadecimal digits") }
    place += 4
    return value
  }

  private func failure(_ expected: String) -> Failure {
    Failure(.badContent, "\(file), byte \(place): this is not the JSON it should be: expected \(expected)")
  }
}
