internal import Failures

/// A stack machine for the opcodes of pickle protocol 2 that PyTorch's files of tensors use. It runs nothing:
/// a file that mentions any other Python name, or any other opcode, is refused.
///
/// - SeeAlso: CPython's `Lib/pickletools.py` for the opcodes; PyTorch's `torch/_weights_only_unpickler.py`
///   for the choice of them.
struct PickleMachine {
  /// Longest pickle; that of a BERT takes some 40 kB.
  static let maximumByteCount = 1 << 25
  private static let maximumStackCount = 1 << 18
  private static let maximumCellCount = 1 << 20

  private let bytes: [UInt8]
  /// The byte after the last one that was read.
  private(set) var position: Int
  private let path: String
  private var stack: [PickleValue] = []
  private var marks: [Int] = []
  private var memo: [PickleValue?] = []
  private var cellCount = 0

  /// The elements of all tuples.
  private var cells: [PickleValue] = []
  /// The elements of each list.
  private var lists: [[PickleValue]] = []
  /// Keys and values of each dictionary, in turn.
  private var dictionaries: [[PickleValue]] = []
  /// Every storage that was mentioned.
  var storages: [PickledStorage] = []
  /// Every tensor that was built.
  var tensors: [PickledTensor] = []

  /// What the pickle describes.
  private(set) var root = PickleValue.none

  /// Reads one pickle to its end.
  /// - Parameters:
  ///   - bytes: The pickle, and possibly more behind it.
  ///   - position: Where it starts.
  ///   - path: The file it comes from, for messages.
  /// - Throws: `Failure(.badContent)` naming the opcode or Python name that is refused, or what is malformed.
  init(reading bytes: [UInt8], at position: Int = 0, path: String) throws {
    self.bytes = bytes
    self.position = position
    self.path = path
    try run()
  }

  private mutating func run() throws {
    guard try byte() == 0x80, try byte() == 2 else {
      throw failure("a pickle of protocol 2 is expected; save it with PyTorch's default protocol")
    }
    var opcode = try byte()
    while opcode != UInt8(ascii: ".") {
      try step(opcode)
      opcode = try byte()
    }
    root = try pop()
    guard stack.isEmpty, marks.isEmpty else { throw failure("the pickle ends with values left over") }
    memo = []
  }

  /// The elements of a tuple or list.
  func elements(_ value: PickleValue) -> [PickleValue]? {
    switch value {
    case .tuple(let start, let count): Array(cells[Int(start)..<Int(start + count)])
    case .list(let index): lists[index]
    default: nil
    }
  }

  /// Keys and values of a dictionary, in the order of the file.
  func members(_ value: PickleValue) -> [(key: PickleValue, value: PickleValue)]? {
    guard case .dictionary(let index) = value else { return nil }
    let items = dictionaries[index]
    return stride(from: 0, to: items.count, by: 2).map { (items[$0], items[$0 + 1]) }
  }

  /// A failure at the present position.
  func failure(_ what: String) -> Failure {
    Failure(.badContent, "\(path.quoted): \(what) (byte \(position) of its pickle); nothing in it was run")
  }
}

// MARK: Opcodes

extension PickleMachine {
  private mutating func step(_ opcode: UInt8) throws {
    switch opcode {
    case UInt8(ascii: "N"): try push(.none)
    case 0x88: try push(.bool(true))
    case 0x89: try push(.bool(false))
    case UInt8(ascii: "K"): try push(.int(unsigned(1)))
    case UInt8(ascii: "M"): try push(.int(unsigned(2)))
    case UInt8(ascii: "J"): try push(.int(Int(Int32(truncatingIfNeeded: unsigned(4)))))
    case 0x8A: try push(.int(long()))
    case UInt8(ascii: "G"): try push(.float(float()))
    case UInt8(ascii: "X"): try push(.string(text(count: unsigned(4))))
    case UInt8(ascii: "U"): try push(.string(text(count: unsigned(1))))
    case UInt8(ascii: "("): try pushMark()
    case UInt8(ascii: "h"): try recall(unsigned(1))
    case UInt8(ascii: "j"): try recall(unsigned(4))
    case UInt8(ascii: "q"): try memorize(unsigned(1))
    case UInt8(ascii: "r"): try memorize(unsigned(4))
    case UInt8(ascii: "c"): try push(.global(global()))
    case UInt8(ascii: "R"): try reduce()
    case UInt8(ascii: "Q"): try push(storage(try pop()))
    case UInt8(ascii: "b"): try build()
    default: try stepContainer(opcode)
    }
  }

  private mutating func stepContainer(_ opcode: UInt8) throws {
    switch opcode {
    case UInt8(ascii: ")"): try pushTuple([])
    case 0x85...0x87: try pushTuple(pop(Int(opcode) - 0x84))
    case UInt8(ascii: "t"): try pushTuple(popToMark())
    case UInt8(ascii: "]"):
      try reserve(1)
      lists.append([])
      try push(.list(lists.count - 1))
    case UInt8(ascii: "a"): try append([pop()])
    case UInt8(ascii: "e"): try append(popToMark())
    case UInt8(ascii: "}"): try push(newDictionary())
    case UInt8(ascii: "s"): try setItems(pop(2))
    case UInt8(ascii: "u"): try setItems(popToMark())
    default:
      throw failure("the opcode 0x\(String(opcode, radix: 16)) has no place in a file of tensors: refused")
    }
  }

  private mutating func append(_ values: [PickleValue]) throws {
    guard case .list(let index) = stack.last else { throw failure("a list is expected") }
    try reserve(values.count)
    lists[index] += values
  }

  /// Adds keys and values to the dictionary on top of the stack.
  private mutating func setItems(_ items: [PickleValue]) throws {
    guard case .dictionary(let index) = stack.last, items.count.isMultiple(of: 2) else {
      throw failure("a dictionary and pairs for it are expected")
    }
    try reserve(items.count)
    dictionaries[index] += items
  }

  /// An empty dictionary, or one made of a list of pairs, as Python 2 pickles an `OrderedDict`.
  mutating func newDictionary(_ pairs: [PickleValue] = []) throws -> PickleValue {
    var items: [PickleValue] = []
    for pair in pairs {
      guard let pair = elements(pair), pair.count == 2 else { throw failure("a pair is expected") }
      items += pair
    }
    try reserve(1 + items.count)
    dictionaries.append(items)
    return .dictionary(dictionaries.count - 1)
  }

  /// BUILD: PyTorch hangs `_metadata` on a state dictionary, which says nothing that is needed here.
  private mutating func build() throws {
    _ = try pop()
    guard case .dictionary = stack.last else {
      throw failure("attributes are set on something that has none")
    }
  }

  private mutating func pushTuple(_ values: [PickleValue]) throws {
    try reserve(values.count)
    let start = Int32(cells.count)
    cells += values
    try push(.tuple(start: start, count: Int32(values.count)))
  }
}

// MARK: Stack and memo

extension PickleMachine {
  private mutating func push(_ value: PickleValue) throws {
    guard stack.count < PickleMachine.maximumStackCount else {
      throw failure("too many values are on its stack")
    }
    stack.append(value)
  }

  private mutating func pushMark() throws {
    guard marks.count < PickleMachine.maximumStackCount else {
      throw failure("too many marks are on its stack")
    }
    marks.append(stack.count)
  }

  private mutating func pop() throws -> PickleValue {
    guard stack.count > marks.last ?? 0 else { throw failure("a value is missing on its stack") }
    return stack.removeLast()
  }

  private mutating func pop(_ count: Int) throws -> [PickleValue] {
    guard stack.count - (marks.last ?? 0) >= count else { throw failure("a value is missing on its stack") }
    defer { stack.removeLast(count) }
    return Array(stack.suffix(count))
  }

  private mutating func popToMark() throws -> [PickleValue] {
    guard let mark = marks.popLast() else { throw failure("a mark is missing on its stack") }
    defer { stack.removeSubrange(mark...) }
    return Array(stack[mark...])
  }

  /// Replaces function and arguments on the stack by the result.
  private mutating func reduce() throws {
    let operands = try pop(2)
    guard case .global(let function) = operands[0], case .tuple(_, 0...16) = operands[1],
      let arguments = elements(operands[1])
    else { throw failure("something that is not a known function is called") }
    try push(call(function, arguments))
  }

  private mutating func memorize(_ index: Int) throws {
    guard let top = stack.last, marks.last != stack.count else {
      throw failure("there is nothing to remember")
    }
    // Picklers number their memos in turn and each takes bytes, so an index beyond the position is forged.
    guard index < min(position, PickleMachine.maximumCellCount) else {
      throw failure("a memo is out of range")
    }
    if index >= memo.count { memo += [PickleValue?](repeating: nil, count: index + 1 - memo.count) }
    memo[index] = top
  }

  private mutating func recall(_ index: Int) throws {
    guard index < memo.count, let value = memo[index] else {
      throw failure("a memo is used before it is set")
    }
    try push(value)
  }

  /// Counts values that stay in memory.
  mutating func reserve(_ count: Int) throws {
    cellCount += count
    guard cellCount <= PickleMachine.maximumCellCount else { throw failure("it holds too many values") }
  }
}

// MARK: Bytes

extension PickleMachine {
  private mutating func take(_ count: Int) throws -> ArraySlice<UInt8> {
    guard count <= bytes.count - position else { throw failure("the pickle is cut short") }
    defer { position += count }
    return bytes[position..<(position + count)]
  }

  private mutating func byte() throws -> UInt8 {
    guard position < bytes.count else { throw failure("the pickle is cut short") }
    defer { position += 1 }
    return bytes[position]
  }

  private mutating func unsigned(_ count: Int) throws -> Int {
    try take(count).reversed().reduce(0) { $0 << 8 | Int($1) }
  }

  private mutating func long() throws -> Int {
    let digits = try take(Int(byte()))
    guard digits.count <= 8 else { throw failure("a number does not fit in 64 bits") }
    let isNegative = (digits.last ?? 0) >= 0x80
    return digits.reversed().reduce(isNegative ? -1 : 0) { $0 << 8 | Int($1) }
  }

  private mutating func float() throws -> Double {
    Double(bitPattern: try take(8).reduce(0) { $0 << 8 | UInt64($1) })
  }

  private mutating func text(count: Int) throws -> String {
    guard let text = String(validating: try take(count), as: UTF8.self) else {
      throw failure("a string is not valid UTF-8")
    }
    return text
  }

  private mutating func line() throws -> String {
    guard let end = bytes[position...].prefix(512).firstIndex(of: UInt8(ascii: "\n")) else {
      throw failure("a Python name does not end")
    }
    let line = try text(count: end - position)
    position += 1
    return line
  }

  private mutating func global() throws -> PickleGlobal {
    let (module, name) = (try line(), try line())
    guard let global = PickleGlobal(module: module, name: name) else {
      throw failure(
        "it mentions \("\(module) \(name)".quoted), which has no place in a state dictionary: refused")
    }
    return global
  }
}
