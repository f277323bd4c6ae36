/// Some rows of a table, a bit for each: sized once, whatever rows come.
package struct RowSet: Sendable {
  private var words: [UInt64]

  /// None of so many rows.
  package init(rowCount: Int) { words = [UInt64](repeating: 0, count: (rowCount + 63) / 64) }

  /// Adds a row.
  /// - Returns: Whether it is new.
  @discardableResult
  package mutating func insert(_ row: Int) -> Bool {
    let bit: UInt64 = 1 << UInt64(row & 63)
    defer { words[row >> 6] |= bit }
    return words[row >> 6] & bit == 0
  }

  /// Whether it has a row.
  package func contains(_ row: Int) -> Bool { words[row >> 6] & (1 << UInt64(row & 63)) != 0 }

  /// Takes all rows out.
  package mutating func removeAll() {
    for index in words.indices { words[index] = 0 }
  }

  /// Runs `body` on each row, in rising order.
  package func forEach(_ body: (Int) -> Void) {
    for (index, word) in words.enumerated() {
      var rest = word
      while rest != 0 {
        body(index * 64 + rest.trailingZeroBitCount)
        rest &= rest - 1
      }
    }
  }
}
