/// One text per row, as places in the byte buffer of a data set; 12 bytes a row.
struct TextColumn: Sendable {
  private var starts: [Int] = []
  private var lengths: [UInt32] = []

  /// Bytes that a row takes.
  static let bytesPerRow = MemoryLayout<Int>.stride + MemoryLayout<UInt32>.stride

  init() {}

  /// Room for so many rows.
  mutating func reserve(_ count: Int) {
    starts.reserveCapacity(count)
    lengths.reserveCapacity(count)
  }

  /// The texts of other rows, appended to another buffer.
  init(_ column: TextColumn, rows: [Int], of bytes: [UInt8], movedTo buffer: inout [UInt8]) {
    reserve(rows.count)
    for row in rows {
      starts.append(buffer.count)
      lengths.append(column.lengths[row])
      buffer += bytes[column[row]]
    }
  }

  var count: Int { starts.count }

  subscript(row: Int) -> Range<Int> {
    let start = starts[row]
    return start..<start + Int(lengths[row])
  }

  /// Adds a row; the range has less than 2³² bytes, which `LineScanner` sees to.
  mutating func append(_ range: Range<Int>) {
    starts.append(range.lowerBound)
    lengths.append(UInt32(range.count))
  }
}
