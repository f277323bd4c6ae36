internal import Failures

/// The columns of a data set while they are filled.
struct RowColumns {
  var texts: TextColumn
  var textPairs: TextColumn?
  var identifiers: TextColumn?
  var labels: [Int32] = []
  private let isLabelled: Bool

  init(hasTextPairs: Bool, hasIdentifiers: Bool, isLabelled: Bool) {
    texts = TextColumn()
    textPairs = hasTextPairs ? TextColumn() : nil
    identifiers = hasIdentifiers ? TextColumn() : nil
    self.isLabelled = isLabelled
  }

  /// Bytes that a row takes.
  var bytesPerRow: Int {
    TextColumn.bytesPerRow * (1 + (textPairs == nil ? 0 : 1) + (identifiers == nil ? 0 : 1))
      + MemoryLayout<Int32>.stride
  }

  /// Room for so many rows.
  mutating func reserve(_ count: Int) {
    texts.reserve(count)
    textPairs?.reserve(count)
    identifiers?.reserve(count)
    if isLabelled { labels.reserveCapacity(count) }
  }

  /// A row without a label whose texts are empty.
  mutating func appendEmpty() {
    texts.append(0..<0)
    textPairs?.append(0..<0)
    identifiers?.append(0..<0)
  }

  func dataset(name: String, bytes: [UInt8], lines: LineNumbers) -> Dataset {
    Dataset(
      name: name, bytes: bytes, texts: texts, textPairs: textPairs, identifiers: identifiers, labels: labels,
      lines: lines)
  }
}

/// Turns the bytes of a file into a data set; what all formats share.
struct RowReader {
  /// The file, for messages.
  let name: String
  let columns: ColumnNames
  /// Nil when labels are not wanted.
  let classCount: Int?
  /// Whether a blank line among JSON lines is an empty text, and not passed over.
  var keepsBlankLines = false

  func failure(line: Int, _ message: String) -> Failure {
    Failure(.badContent, "\(name):\(line): \(message)")
  }

  /// What rows may take beside the size of the file, in bytes.
  static let memoryBeside = 256 << 20

  /// Allocates columns once, for as many rows as there are lines at most.
  ///
  /// A file of hardly anything but line ends would take many times its size.
  /// - Throws: `Failure(.badContent)` when rows would take more than the file and 256 MiB.
  func reserve(_ rows: inout RowColumns, for bytes: UnsafeBufferPointer<UInt8>) throws {
    let lines = LineScanner.lineCount(of: bytes)
    guard lines * rows.bytesPerRow <= bytes.count + RowReader.memoryBeside else {
      throw Failure(
        .badContent,
        "\(name) has \(lines) lines of \(bytes.count / lines) bytes on average; expected reviews, not so many empty lines."
      )
    }
    rows.reserve(lines)
  }

  /// Every line is a text.
  func readPlainText(_ bytes: [UInt8]) throws -> Dataset {
    try checkUTF8(bytes)
    let rows = try bytes.withUnsafeBufferPointer { bytes in
      var rows = RowColumns(hasTextPairs: false, hasIdentifiers: false, isLabelled: false)
      try reserve(&rows, for: bytes)
      var scanner = LineScanner(bytes, name: name)
      while let line = try scanner.next() { rows.texts.append(line) }
      return rows
    }
    return rows.dataset(name: name, bytes: bytes, lines: .consecutive(from: 1))
  }

  /// The label in a range of bytes: digits, below the number of classes.
  func label(
    _ bytes: UnsafeBufferPointer<UInt8>, _ range: Range<Int>, classCount: Int, line: Int
  ) throws -> Int32 {
    var value = 0
    var isNumber = !range.isEmpty
    for byte in bytes[range] {
      guard byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9"), value < classCount else {
        isNumber = false
        break
      }
      value = value * 10 + Int(byte - UInt8(ascii: "0"))
    }
    guard isNumber, value < classCount else {
      let expected =
        switch classCount {
        case 1: "0"
        case 2: "0 or 1"
        default: "a whole number from 0 to \(classCount - 1)"
        }
      throw failure(
        line: line,
        "found \(bytes.quoted(range)) in column \(columns.label), expected \(expected) (--num-labels \(classCount))."
      )
    }
    return Int32(value)
  }

  /// Finds a byte that is not UTF-8 before anything else is read.
  func checkUTF8(_ bytes: [UInt8]) throws {
    try bytes.withUnsafeBufferPointer { bytes in
      guard let position = firstInvalidUTF8(in: bytes) else { return }
      let before = bytes[..<position]
      let line = 1 + before.count { $0 == 0x0A }
      let lineStart = before.lastIndex(of: 0x0A).map { $0 + 1 } ?? 0
      throw Failure(
        .badContent,
        "\(name):\(line):\(position - lineStart + 1): byte 0x\(String(bytes[position], radix: 16)) is not UTF-8; "
          + RowReader.encodingHint(bytes))
    }
  }

  private static func encodingHint(_ bytes: UnsafeBufferPointer<UInt8>) -> String {
    if bytes.starts(with: [0xFF, 0xFE]) || bytes.starts(with: [0xFE, 0xFF]) {
      return "the file is UTF-16: convert it with iconv -f UTF-16 -t UTF-8."
    }
    if bytes.starts(with: [0x1F, 0x8B]) { return "the file is compressed: unpack it with gunzip." }
    return "if the file is in an older Korean encoding, convert it with iconv -f CP949 -t UTF-8."
  }
}
