internal import Failures

/// Reads the syntax of a ``ModulePattern``.
struct PatternParser {
  private let bytes: [UInt8]
  private let expression: String
  private let source: String
  private var position = 0
  private var depth = 0

  init(_ expression: String, source: String) {
    bytes = Array(expression.utf8)
    self.expression = expression
    self.source = source
  }

  /// The whole expression.
  /// - Throws: `Failure(.badContent)` when it is malformed or uses what is not supported.
  mutating func parse() throws -> PatternNode {
    guard bytes.count <= 2000 else { throw failure("is longer than 2000 characters") }
    let node = try choice()
    guard position == bytes.count else { throw failure("has an unmatched ')'") }
    return node
  }

  private var byte: UInt8? { position < bytes.count ? bytes[position] : nil }

  private func failure(_ what: String) -> Failure {
    Failure(.badContent, "\(source): the pattern \(expression.quoted) \(what)")
  }

  private mutating func accept(_ mark: Unicode.Scalar) -> Bool {
    guard byte == UInt8(ascii: mark) else { return false }
    position += 1
    return true
  }

  private mutating func choice() throws -> PatternNode {
    var branches = [try sequence()]
    while accept("|") { branches.append(try sequence()) }
    return branches.count == 1 ? branches[0] : .choice(branches)
  }

  private mutating func sequence() throws -> PatternNode {
    var nodes: [PatternNode] = []
    while let byte, byte != UInt8(ascii: "|"), byte != UInt8(ascii: ")") {
      nodes.append(try quantified(atom()))
    }
    return .sequence(nodes)
  }

  private mutating func quantified(_ node: PatternNode) throws -> PatternNode {
    var range: (Int, Int?)?
    if accept("*") {
      range = (0, nil)
    } else if accept("+") {
      range = (1, nil)
    } else if accept("?") {
      range = (0, 1)
    } else if byte == UInt8(ascii: "{"), let bounds = bounds() {
      range = bounds
    }
    guard let range else { return node }
    // Whether a repetition is lazy changes what a group captures, not whether a name matches.
    _ = accept("?")
    if let byte, "*+{".utf8.contains(byte) { throw failure("repeats a repetition, which is not supported") }
    if let maximum = range.1, maximum < range.0 {
      throw failure("has a repetition that ends before it starts")
    }
    return .repeated(node, minimum: range.0, maximum: range.1)
  }

  /// `{n}`, `{n,}`, `{,m}` or `{n,m}`; nil, reading nothing, where the brace is a literal.
  private mutating func bounds() -> (Int, Int?)? {
    let start = position
    position += 1
    let minimum = number()
    var maximum = minimum
    if accept(",") { maximum = number() } else if minimum == nil { maximum = -1 }
    guard accept("}"), maximum != -1 else {
      position = start
      return nil
    }
    return (minimum ?? 0, maximum)
  }

  private mutating func number() -> Int? {
    let start = position
    while let byte, byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9"), position - start < 4 {
      position += 1
    }
    return Int(String(decoding: bytes[start..<position], as: UTF8.self))
  }

  private mutating func atom() throws -> PatternNode {
    guard let byte else { throw failure("ends too early") }
    position += 1
    switch byte {
    case UInt8(ascii: "("): return try group()
    case UInt8(ascii: "["): return .byte(try characterClass())
    case UInt8(ascii: "."): return .byte { $0 != 0x0A }
    case UInt8(ascii: "^"): return .start
    case UInt8(ascii: "$"): return .end
    case UInt8(ascii: "\\"): return try escape()
    case UInt8(ascii: "*"), UInt8(ascii: "+"), UInt8(ascii: "?"): throw failure("has nothing to repeat")
    default: return .byte { $0 == byte }
    }
  }

  private mutating func group() throws -> PatternNode {
    depth += 1
    defer { depth -= 1 }
    guard depth <= 32 else { throw failure("nests groups deeper than 32") }
    if accept("?") {
      if accept("P") {
        guard accept("<") else { throw failure("uses a back-reference, which is not supported") }
        while let byte, byte != UInt8(ascii: ">") { position += 1 }
        guard accept(">") else { throw failure("has a group whose name does not end") }
      } else if !accept(":") {
        throw failure("uses look-around or flags, which are not supported")
      }
    }
    let node = try choice()
    guard accept(")") else { throw failure("has an unmatched '('") }
    return node
  }

  private mutating func escape() throws -> PatternNode {
    guard let byte else { throw failure("ends with a backslash") }
    position += 1
    switch byte {
    case UInt8(ascii: "A"): return .start
    case UInt8(ascii: "Z"): return .end
    default: return .byte(try escapedClass(byte))
    }
  }

  private func escapedClass(_ byte: UInt8) throws -> (UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "d"): return { $0.isDigit }
    case UInt8(ascii: "D"): return { !$0.isDigit }
    case UInt8(ascii: "w"): return { $0.isWord }
    case UInt8(ascii: "W"): return { !$0.isWord }
    case UInt8(ascii: "s"): return { $0.isSpace }
    case UInt8(ascii: "S"): return { !$0.isSpace }
    default:
      guard !byte.isWord else { throw failure("uses an escape that is not supported") }
      return { $0 == byte }
    }
  }

  private mutating func characterClass() throws -> (UInt8) -> Bool {
    let isNegated = accept("^")
    var tests: [(UInt8) -> Bool] = []
    var isFirst = true
    while isFirst || byte != UInt8(ascii: "]") {
      guard let low = byte else { throw failure("has a '[' without ']'") }
      isFirst = false
      position += 1
      if low == UInt8(ascii: "\\") {
        guard let escaped = byte else { throw failure("ends with a backslash") }
        position += 1
        tests.append(try escapedClass(escaped))
      } else if byte == UInt8(ascii: "-"), position + 1 < bytes.count,
        bytes[position + 1] != UInt8(ascii: "]")
      {
        let high = bytes[position + 1]
        position += 2
        guard low <= high, high != UInt8(ascii: "\\") else {
          throw failure("has a range that is not supported")
        }
        tests.append { low <= $0 && $0 <= high }
      } else {
        tests.append { $0 == low }
      }
    }
    position += 1
    let all = tests
    return { byte in all.contains { $0(byte) } != isNegated }
  }
}

extension UInt8 {
  fileprivate var isDigit: Bool { self >= UInt8(ascii: "0") && self <= UInt8(ascii: "9") }
  fileprivate var isWord: Bool {
    isDigit || self == UInt8(ascii: "_")
      || (self | 0x20 >= UInt8(ascii: "a") && self | 0x20 <= UInt8(ascii: "z"))
  }
  fileprivate var isSpace: Bool { self == 0x20 || (self >= 0x09 && self <= 0x0D) }
}
