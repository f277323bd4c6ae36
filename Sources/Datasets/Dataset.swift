/// Reviews, labelled or not: the bytes of a file as they were read, and where in them each row's texts lie.
///
/// Columns, not rows: 150,000 reviews are a handful of arrays. A selection of rows shares the bytes. Everything is
/// valid UTF-8 and every label in range once a data set exists; the readers see to that.
package struct Dataset: Sendable {
  /// Where the rows came from, for messages: a path, or a word such as `demo`.
  package let name: String
  /// The label of each row; empty when the data set is unlabelled.
  package let labels: [Int32]

  private let bytes: [UInt8]
  private let texts: TextColumn
  private let textPairs: TextColumn?
  private let identifiers: TextColumn?
  private let lines: LineNumbers

  init(
    name: String, bytes: [UInt8], texts: TextColumn, textPairs: TextColumn?, identifiers: TextColumn?,
    labels: [Int32], lines: LineNumbers
  ) {
    self.name = name
    self.bytes = bytes
    self.texts = texts
    self.textPairs = textPairs
    self.identifiers = identifiers
    self.labels = labels
    self.lines = lines
  }

  /// A data set from texts in memory; row `i` counts as line `i + 1`.
  /// - Parameters:
  ///   - name: What to call it in messages.
  ///   - texts: One text per row.
  ///   - textPairs: The second text of each row, for sentence pairs.
  ///   - labels: One label per row, or none at all.
  package init(name: String, texts: [String], textPairs: [String]? = nil, labels: [Int32] = []) {
    precondition(labels.isEmpty || labels.count == texts.count, "one label per text, or none")
    precondition(textPairs.map { $0.count == texts.count } ?? true, "one second text per text, or none")
    var bytes: [UInt8] = []
    func column(_ strings: [String]) -> TextColumn {
      var column = TextColumn()
      column.reserve(strings.count)
      for string in strings {
        let start = bytes.count
        bytes.append(contentsOf: string.utf8)
        column.append(start..<bytes.count)
      }
      return column
    }
    let textColumn = column(texts)
    let pairColumn = textPairs.map(column)
    self.init(
      name: name, bytes: bytes, texts: textColumn, textPairs: pairColumn, identifiers: nil, labels: labels,
      lines: .consecutive(from: 1))
  }

  /// How many rows there are.
  package var count: Int { texts.count }
  /// Whether rows have labels.
  package var isLabelled: Bool { labels.count == count && count > 0 }
  /// Whether rows have a second text.
  package var hasTextPairs: Bool { textPairs != nil }
  /// How many bytes the texts of all rows have together.
  package var textByteCount: Int {
    (0..<count).reduce(0) { $0 + texts[$1].count + (textPairs?[$1].count ?? 0) }
  }

  /// The text of a row.
  package func text(_ row: Int) -> String { string(texts[row]) }
  /// The second text of a row, when rows have one.
  package func textPair(_ row: Int) -> String? { textPairs.map { string($0[row]) } }
  /// The identifier of a row, when an identifier column was asked for and there.
  package func identifier(_ row: Int) -> String? { identifiers.map { string($0[row]) } }
  /// The line of the file that a row was read from; the first line is 1.
  package func line(_ row: Int) -> Int { lines[row] }

  /// Calls `body` with the UTF-8 bytes of a row's text, without a copy.
  package func withText<R>(_ row: Int, _ body: (UnsafeBufferPointer<UInt8>) throws -> R) rethrows -> R {
    let range = texts[row]
    return try bytes.withUnsafeBufferPointer { try body(UnsafeBufferPointer(rebasing: $0[range])) }
  }

  /// Calls `body` with the UTF-8 bytes of a row's second text, empty when rows have none, without a copy.
  package func withTextPair<R>(_ row: Int, _ body: (UnsafeBufferPointer<UInt8>) throws -> R) rethrows -> R {
    let range = textPairs?[row] ?? 0..<0
    return try bytes.withUnsafeBufferPointer { try body(UnsafeBufferPointer(rebasing: $0[range])) }
  }

  /// Other rows of the same file, in the order given; their texts are copied, so that the others can be let go.
  package func selecting(_ rows: [Int]) -> Dataset {
    let columns = [texts, textPairs, identifiers]
    let size = columns.compactMap(\.self).reduce(0) { total, column in rows.reduce(total) { $0 + column[$1].count } }
    var copy: [UInt8] = []
    copy.reserveCapacity(size)
    let copied = columns.map { $0.map { TextColumn($0, rows: rows, of: bytes, movedTo: &copy) } }
    return Dataset(
      name: name, bytes: copy, texts: copied[0] ?? TextColumn(), textPairs: copied[1], identifiers: copied[2],
      labels: labels.isEmpty ? [] : rows.map { labels[$0] }, lines: .listed(rows.map { lines[$0] }))
  }

  private func string(_ range: Range<Int>) -> String { String(decoding: bytes[range], as: UTF8.self) }
}

/// Which line of its file each row was read from.
enum LineNumbers: Sendable {
  /// Row 0 is this line, the next row the next.
  case consecutive(from: Int)
  /// One line per row.
  case listed([Int])

  subscript(row: Int) -> Int {
    switch self {
    case .consecutive(let first): first + row
    case .listed(let lines): lines[row]
    }
  }
}
