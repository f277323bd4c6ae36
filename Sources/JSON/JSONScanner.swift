package import Failures

/// A strict pull parser for JSON that nobody vouches for: no recursion, no tree, nothing allocated beyond the
/// strings that are asked for.
///
/// Foundation's decoder accepts an object that names a key twice; here that is an error, since the two halves
/// of a program could then read different things from one file.
package struct JSONScanner {
  private let bytes: ArraySlice<UInt8>
  private var position: Int
  /// What is scanned, for messages: a path, or "the header of" one.
  private let source: String

  /// How deep arrays and objects may be nested in a value that is skipped.
  static let maximumDepth = 64
  /// How many members an object may have.
  static let maximumMembers = 1 << 20

  /// A scanner at the first byte.
  package init(_ bytes: ArraySlice<UInt8>, source: String) {
    self.bytes = bytes
    self.source = source
    position = bytes.startIndex
  }

  /// Scans an object and calls `body` for each member with its key; `body` consumes the value.
  /// - Throws: `Failure(.badContent)` at anything else, at a key that occurs twice and at too many members.
  package mutating func object(_ body: (String, inout JSONScanner) throws -> Void) throws {
    try expect("{")
    if accept("}") { return }
    var keys = Set<ExactText>()
    repeat {
      skipWhitespace()
      let key = try string()
      guard keys.insert(ExactText(text: key)).inserted else { throw failure("the key \(key.quoted) occurs twice") }
      guard keys.count <= JSONScanner.maximumMembers else {
        throw failure("an object has more than \(JSONScanner.maximumMembers) members")
      }
      try expect(":")
      try body(key, &self)
    } while accept(",")
    try expect("}")
  }

  /// Scans an array and calls `body` at the start of each element, which it consumes.
  /// - Throws: `Failure(.badContent)` at anything else.
  package mutating func array(_ body: (inout JSONScanner) throws -> Void) throws {
    try expect("[")
    if accept("]") { return }
    repeat { try body(&self) } while accept(",")
    try expect("]")
  }

  /// Scans a number without sign, fraction and exponent.
  /// - Throws: `Failure(.badContent)` at anything else and at a number that does not fit in an `Int`.
  package mutating func wholeNumber() throws -> Int {
    skipWhitespace()
    let start = position
    var value = 0
    while let digit = byte, digit >= UInt8(ascii: "0"), digit <= UInt8(ascii: "9") {
      let (tenfold, overflow) = value.multipliedReportingOverflow(by: 10)
      let (next, overflowToo) = tenfold.addingReportingOverflow(Int(digit - UInt8(ascii: "0")))
      guard !overflow, !overflowToo else { throw failure("a number is too large") }
      value = next
      position += 1
    }
    let hasLeadingZero = position - start > 1 && bytes[start] == UInt8(ascii: "0")
    let goesOn = byte == UInt8(ascii: ".") || byte == UInt8(ascii: "e") || byte == UInt8(ascii: "E")
    guard position > start, !hasLeadingZero, !goesOn else { throw failure("a whole number is expected") }
    return value
  }

  /// The first byte of what comes next, which says of which kind it is; nil at the end.
  mutating func peek() -> UInt8? {
    skipWhitespace()
    return byte
  }

  /// Whether an object comes next.
  package mutating func isAtObject() -> Bool { peek() == UInt8(ascii: "{") }

  /// Consumes `null` if it comes next.
  package mutating func acceptNull() -> Bool {
    guard peek() == UInt8(ascii: "n"), (try? skipWord("null")) != nil else { return false }
    return true
  }

  /// Scans a number of any form, or one of Python's `NaN`, `Infinity` and `-Infinity`, and returns how it is written.
  /// - Throws: `Failure(.badContent)` at anything else.
  mutating func numberText() throws -> String {
    skipWhitespace()
    let start = position
    if !acceptNonFinite() { try skipNumber() }
    return String(decoding: bytes[start..<position], as: UTF8.self)
  }

  /// Scans `true` or `false`.
  /// - Throws: `Failure(.badContent)` at anything else.
  package mutating func boolean() throws -> Bool {
    skipWhitespace()
    let isTrue = byte == UInt8(ascii: "t")
    try skipWord(isTrue ? "true" : "false")
    return isTrue
  }

  /// Scans past one value of any kind.
  /// - Throws: `Failure(.badContent)` when it is not well-formed or nested deeper than 64.
  package mutating func skipValue() throws {
    var closers: [UInt8] = []
    repeat {
      skipWhitespace()
      if let closer = try skipToken() {
        guard closers.count < JSONScanner.maximumDepth else {
          throw failure("it is nested deeper than \(JSONScanner.maximumDepth)")
        }
        closers.append(closer)
        if !accept(closer) {
          if closer == UInt8(ascii: "}") { try skipKey() }
          continue
        }
        closers.removeLast()
      }
      while let closer = closers.last {
        if accept(UInt8(ascii: ",")) {
          if closer == UInt8(ascii: "}") { try skipKey() }
          break
        }
        try expect(closer)
        closers.removeLast()
      }
    } while !closers.isEmpty
  }

  /// Checks that only white space is left.
  /// - Throws: `Failure(.badContent)` when more follows.
  package mutating func end() throws {
    skipWhitespace()
    guard byte == nil else { throw failure("something follows the end of the JSON text") }
  }

  /// A failure at the present position.
  package func failure(_ what: String) -> Failure {
    Failure(.badContent, "\(source): \(what), at byte \(position - bytes.startIndex) of the JSON text")
  }
}

/// A text that equals what has the same bytes: to `String`, two spellings of "é" are one, and a vocabulary has both.
private struct ExactText: Hashable {
  let text: String

  static func == (one: ExactText, other: ExactText) -> Bool { one.text.utf8.elementsEqual(other.text.utf8) }

  func hash(into hasher: inout Hasher) {
    var text = text
    text.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
  }
}

// MARK: Tokens

extension JSONScanner {
  private var byte: UInt8? { position < bytes.endIndex ? bytes[position] : nil }

  private mutating func skipWhitespace() {
    while let byte, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { position += 1 }
  }

  /// Consumes a punctuation mark if it comes next.
  package mutating func accept(_ mark: Unicode.Scalar) -> Bool { accept(UInt8(ascii: mark)) }

  private mutating func accept(_ mark: UInt8) -> Bool {
    skipWhitespace()
    guard byte == mark else { return false }
    position += 1
    return true
  }

  private mutating func expect(_ mark: Unicode.Scalar) throws { try expect(UInt8(ascii: mark)) }

  private mutating func expect(_ mark: UInt8) throws {
    guard accept(mark) else { throw failure("'\(Unicode.Scalar(mark))' is expected") }
  }

  private mutating func skipKey() throws {
    _ = try string()
    try expect(":")
  }

  /// Skips a string, number or word; for an opening bracket, skips that and says which one closes it.
  private mutating func skipToken() throws -> UInt8? {
    switch byte {
    case UInt8(ascii: "{"):
      position += 1
      return UInt8(ascii: "}")
    case UInt8(ascii: "["):
      position += 1
      return UInt8(ascii: "]")
    case UInt8(ascii: "\""): _ = try string()
    case UInt8(ascii: "t"): try skipWord("true")
    case UInt8(ascii: "f"): try skipWord("false")
    case UInt8(ascii: "n"): try skipWord("null")
    default: if !acceptNonFinite() { try skipNumber() }
    }
    return nil
  }

  /// Consumes what Python writes for numbers that JSON does not have.
  private mutating func acceptNonFinite() -> Bool {
    for word in ["NaN", "Infinity", "-Infinity"] where bytes[position...].starts(with: word.utf8) {
      position += word.utf8.count
      return true
    }
    return false
  }

  private mutating func skipWord(_ word: StaticString) throws {
    let isThere = word.withUTF8Buffer { bytes[position...].starts(with: $0) }
    guard isThere else { throw failure("a value is expected") }
    position += word.utf8CodeUnitCount
  }

  private mutating func skipNumber() throws {
    if byte == UInt8(ascii: "-") { position += 1 }
    let start = position
    try skipDigits()
    guard position - start == 1 || bytes[start] != UInt8(ascii: "0") else {
      throw failure("a number starts with 0")
    }
    if byte == UInt8(ascii: ".") {
      position += 1
      try skipDigits()
    }
    if byte == UInt8(ascii: "e") || byte == UInt8(ascii: "E") {
      position += 1
      if byte == UInt8(ascii: "+") || byte == UInt8(ascii: "-") { position += 1 }
      try skipDigits()
    }
  }

  private mutating func skipDigits() throws {
    let start = position
    while let byte, byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") { position += 1 }
    guard position > start else { throw failure("a value is expected") }
  }
}

// MARK: Strings

extension JSONScanner {
  /// Scans a string and resolves its escapes.
  /// - Throws: `Failure(.badContent)` at anything else, a bad escape, a control character and text that is
  ///   not UTF-8.
  package mutating func string() throws -> String {
    try expect("\"")
    let start = position
    var unescaped: [UInt8]?
    while let byte {
      switch byte {
      case UInt8(ascii: "\""):
        let content = unescaped.map { $0[...] } ?? bytes[start..<position]
        guard let text = String(validating: content, as: UTF8.self) else {
          throw failure("a string is not valid UTF-8")
        }
        position += 1
        return text
      case UInt8(ascii: "\\"):
        if unescaped == nil { unescaped = Array(bytes[start..<position]) }
        position += 1
        let scalar = try escapedScalar()
        unescaped?.append(contentsOf: Character(scalar).utf8)
      case 0..<0x20: throw failure("a string has a control character")
      default:
        unescaped?.append(byte)
        position += 1
      }
    }
    throw failure("a string does not end")
  }

  private mutating func escapedScalar() throws -> Unicode.Scalar {
    guard let escape = byte else { throw failure("a string does not end") }
    position += 1
    switch escape {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return Unicode.Scalar(escape)
    case UInt8(ascii: "b"): return "\u{8}"
    case UInt8(ascii: "f"): return "\u{C}"
    case UInt8(ascii: "n"): return "\n"
    case UInt8(ascii: "r"): return "\r"
    case UInt8(ascii: "t"): return "\t"
    case UInt8(ascii: "u"): return try unicodeScalar()
    default: throw failure("a string has an unknown escape")
    }
  }

  /// The scalar after `\u`, which may be a pair of surrogates.
  private mutating func unicodeScalar() throws -> Unicode.Scalar {
    let high = try fourHexDigits()
    if let scalar = Unicode.Scalar(high) { return scalar }
    guard high < 0xDC00, bytes[position...].starts(with: [UInt8(ascii: "\\"), UInt8(ascii: "u")]) else {
      throw failure("a string has half a surrogate pair")
    }
    position += 2
    let low = try fourHexDigits()
    guard low >= 0xDC00, low < 0xE000,
      let scalar = Unicode.Scalar(0x10000 + (high - 0xD800) << 10 + (low - 0xDC00))
    else { throw failure("a string has half a surrogate pair") }
    return scalar
  }

  private mutating func fourHexDigits() throws -> UInt32 {
    var value: UInt32 = 0
    for _ in 0..<4 {
      guard let byte, let digit = Character(Unicode.Scalar(byte)).hexDigitValue else {
        throw failure("a string needs four hexadecimal digits after \\u")
      }
      value = value << 4 | UInt32(digit)
      position += 1
    }
    return value
  }
}
