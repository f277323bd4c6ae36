/// What is wrong with a line of JSON, and at which byte of the buffer.
struct JSONFault: Error {
  let message: String
  let position: Int
}

/// A scanner of one JSON object per line. It decodes strings in place, keeps nothing, allocates nothing, and does not
/// recurse, so that no input can exhaust the stack. The bytes must be valid UTF-8.
///
/// - SeeAlso: [RFC 8259](https://www.rfc-editor.org/rfc/rfc8259).
struct JSONLineScanner {
  private let bytes: UnsafeMutableBufferPointer<UInt8>
  private var position: Int
  private let end: Int
  private var isFirstMember = true

  /// Values of keys that nobody asked for may nest this deep.
  private static let depthLimit = 64

  init(_ bytes: UnsafeMutableBufferPointer<UInt8>, range: Range<Int>) {
    self.bytes = bytes
    position = range.lowerBound
    end = range.upperBound
  }

  /// Reads `{`.
  mutating func beginObject() throws(JSONFault) {
    if peek() == UInt8(ascii: "[") {
      throw fault("an array; expected one JSON object per line (jq -c '.[]' makes them from an array)")
    }
    try expect(UInt8(ascii: "{"), "a JSON object")
  }

  /// Reads up to the next member's value and gives its key; nil at the end of the object, which must end the line.
  mutating func nextKey() throws(JSONFault) -> Range<Int>? {
    if peek() == UInt8(ascii: "}") {
      position += 1
      guard peek() == nil else {
        throw fault("something after the object; expected one JSON object per line")
      }
      return nil
    }
    if !isFirstMember { try expect(UInt8(ascii: ","), "a comma or the end of the object") }
    isFirstMember = false
    let key = try string("a key in quotes")
    try expect(UInt8(ascii: ":"), "a colon after the key")
    return key
  }

  /// Reads a string and gives the place of its decoded bytes.
  mutating func string(_ expected: String) throws(JSONFault) -> Range<Int> {
    try expect(UInt8(ascii: "\""), expected)
    let start = position
    let rest = UnsafeBufferPointer(bytes)
    guard let quote = rest.firstIndex(of: UInt8(ascii: "\""), in: start..<end) else {
      throw fault("a string without its closing quote")
    }
    guard let escape = rest.firstIndex(of: UInt8(ascii: "\\"), in: start..<quote) else {
      position = quote + 1
      return start..<quote
    }
    return try decodeEscapes(start: start, from: escape)
  }

  /// Reads a number, a word such as `null`, or a string, and gives the place of its characters.
  mutating func scalar(_ expected: String) throws(JSONFault) -> Range<Int> {
    switch peek() {
    case nil, UInt8(ascii: "{"), UInt8(ascii: "["): throw fault("no value; expected \(expected)")
    case UInt8(ascii: "\""): return try string(expected)
    default: break
    }
    let start = position
    while position < end, !JSONLineScanner.endsScalar(bytes[position]) { position += 1 }
    guard position > start else { throw fault("no value; expected \(expected)") }
    return start..<position
  }

  /// Reads a value that nobody asked for. Of nested values only brackets and strings are checked.
  mutating func skipValue() throws(JSONFault) {
    var open = 0
    var isObject: UInt64 = 0  // one bit per open bracket
    repeat {
      switch peek() {
      case nil: throw fault("no value, or a bracket that is never closed")
      case UInt8(ascii: "\""): _ = try string("a string")
      case UInt8(ascii: "{"), UInt8(ascii: "["):
        guard open < JSONLineScanner.depthLimit else {
          throw fault("values nested deeper than \(JSONLineScanner.depthLimit) levels")
        }
        isObject = isObject << 1 | (bytes[position] == UInt8(ascii: "{") ? 1 : 0)
        open += 1
        position += 1
      case UInt8(ascii: "}"), UInt8(ascii: "]"):
        guard open > 0, (bytes[position] == UInt8(ascii: "}")) == (isObject & 1 == 1) else {
          throw fault("a bracket that closes nothing")
        }
        isObject >>= 1
        open -= 1
        position += 1
      case UInt8(ascii: ","), UInt8(ascii: ":"):
        guard open > 0 else { throw fault("no value") }
        position += 1
      default: _ = try scalar("a value")
      }
    } while open > 0
  }

  /// Skips white space and gives the byte that follows it.
  private mutating func peek() -> UInt8? {
    while position < end, JSONLineScanner.isSpace(bytes[position]) { position += 1 }
    return position < end ? bytes[position] : nil
  }

  private mutating func expect(_ byte: UInt8, _ expected: String) throws(JSONFault) {
    let found = peek()
    guard found == byte else { throw fault("\(JSONLineScanner.describe(found)), expected \(expected)") }
    position += 1
  }

  private static func describe(_ byte: UInt8?) -> String {
    guard let byte else { return "the end of the line" }
    guard byte > 0x20, byte < 0x7F else { return "byte 0x\(String(byte, radix: 16))" }
    return "\(Character(Unicode.Scalar(byte)))"
  }

  private func fault(_ message: String) -> JSONFault { JSONFault(message: message, position: position) }

  private static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 || byte == 0x0D }

  private static func endsScalar(_ byte: UInt8) -> Bool {
    isSpace(byte) || byte == UInt8(ascii: ",") || byte == UInt8(ascii: "}") || byte == UInt8(ascii: "]")
      || byte == UInt8(ascii: ":") || byte == UInt8(ascii: "\"")
  }
}

// MARK: Escapes

extension JSONLineScanner {
  /// Decodes a string that has a first backslash at `escape`; the result is never longer than what it replaces.
  private mutating func decodeEscapes(start: Int, from escape: Int) throws(JSONFault) -> Range<Int> {
    var write = escape
    position = escape
    while position < end {
      let byte = bytes[position]
      if byte == UInt8(ascii: "\"") {
        position += 1
        return start..<write
      }
      if byte == UInt8(ascii: "\\") {
        let scalar = try escapedScalar()
        for unit in scalar.utf8 {
          bytes[write] = unit
          write += 1
        }
      } else {
        bytes[write] = byte
        write += 1
        position += 1
      }
    }
    throw fault("a string without its closing quote")
  }

  /// Reads one escape, or the two of a surrogate pair.
  private mutating func escapedScalar() throws(JSONFault) -> Unicode.Scalar {
    guard position + 1 < end else { throw fault("a string without its closing quote") }
    let letter = bytes[position + 1]
    guard letter == UInt8(ascii: "u") else {
      guard let scalar = JSONLineScanner.shortEscapes(letter) else {
        throw fault("an unknown escape in a string")
      }
      position += 2
      return scalar
    }
    let unit = try hexUnit()
    if let scalar = Unicode.Scalar(UInt32(unit)) { return scalar }
    // A surrogate: the first half must be followed by the second.
    if unit < 0xDC00, position + 1 < end, bytes[position] == UInt8(ascii: "\\"),
      bytes[position + 1] == UInt8(ascii: "u")
    {
      let second = try hexUnit()
      if 0xDC00...0xDFFF ~= second,
        let scalar = Unicode.Scalar(0x10000 + (UInt32(unit) - 0xD800) << 10 + (UInt32(second) - 0xDC00))
      {
        return scalar
      }
    }
    throw fault("half of a surrogate pair in a string")
  }

  /// Reads `\u` and four hexadecimal digits.
  private mutating func hexUnit() throws(JSONFault) -> UInt16 {
    guard position + 6 <= end else { throw fault("an escape that is cut short") }
    var unit: UInt16 = 0
    for byte in bytes[position + 2..<position + 6] {
      switch byte {
      case UInt8(ascii: "0")...UInt8(ascii: "9"): unit = unit << 4 | UInt16(byte - UInt8(ascii: "0"))
      case UInt8(ascii: "a")...UInt8(ascii: "f"): unit = unit << 4 | UInt16(byte - UInt8(ascii: "a") + 10)
      case UInt8(ascii: "A")...UInt8(ascii: "F"): unit = unit << 4 | UInt16(byte - UInt8(ascii: "A") + 10)
      default: throw fault("an escape without four hexadecimal digits")
      }
    }
    position += 6
    return unit
  }

  private static func shortEscapes(_ letter: UInt8) -> Unicode.Scalar? {
    switch letter {
    case UInt8(ascii: "n"): "\n"
    case UInt8(ascii: "t"): "\t"
    case UInt8(ascii: "r"): "\r"
    case UInt8(ascii: "b"): "\u{8}"
    case UInt8(ascii: "f"): "\u{c}"
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): Unicode.Scalar(letter)
    default: nil
    }
  }
}
