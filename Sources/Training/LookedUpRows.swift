package import Tensors

/// The trained table of which a step looks up only some rows: the token embeddings. Gradients of all other rows are
/// zero, so they are neither added up nor sent nor stepped along.
package struct LookedUpRows: Sendable {
  private let blockCount: Int
  private let table: Parameter?

  /// The looked-up table of a trainable block; a block without one is touched everywhere.
  package init(_ table: ParameterTable) {
    blockCount = table.trainableCount
    self.table = table.trainableEntries.first(where: \.specification.isLookedUp)?.parameter
  }

  /// Where a step's gradients can be other than zero: everywhere but in the rows of tokens that none of its reviews has.
  package func stretches(of reviews: some Collection<Int>, in data: EncodedReviews) -> Stretches {
    guard table != nil else { return Stretches(all: blockCount) }
    var rows: [Int32] = []
    for review in reviews { rows += data.ids[data.offsets[review]..<data.offsets[review + 1]] }
    rows.sort()
    return stretches(ofRows: rows.lazy.map(Int.init))
  }

  /// Where the table lies; empty, at the end of the block, where there is none.
  var range: Range<Int> { table.map { $0.offset..<$0.offset + $0.count } ?? blockCount..<blockCount }

  /// How many rows the table has; none where there is no table.
  var rowCount: Int { table?.rows ?? 0 }

  /// Runs `body` on each row of the table that stretches have.
  func forEachRow(of stretches: Stretches, _ body: (Int) -> Void) {
    guard let table else { return }
    for range in stretches.ranges {
      let part = range.clamped(to: table.offset..<table.offset + table.count)
      if part.isEmpty { continue }
      for row in (part.lowerBound - table.offset) / table.columns..<(part.upperBound - table.offset) / table.columns {
        body(row)
      }
    }
  }

  /// Whether a row has anything but zeros in one of two blocks.
  func isReached(_ row: Int, by first: UnsafePointer<Float>, _ second: UnsafePointer<Float>) -> Bool {
    guard let table else { return false }
    let start = table.offset + row * table.columns
    return (start..<start + table.columns).contains { first[$0] != 0 || second[$0] != 0 }
  }

  /// Some of the table's rows, in rising order, where repetitions count once, and what lies beside the table: everything,
  /// or some stretches.
  func stretches(ofRows rows: some Sequence<Int>, beside others: Stretches? = nil) -> Stretches {
    let others = others ?? Stretches(all: blockCount)
    guard let table else { return others }
    var stretches = Stretches()
    for range in others.ranges { stretches.append(range.clamped(to: 0..<table.offset)) }
    var last = -1
    for row in rows where row != last {
      let start = table.offset + row * table.columns
      stretches.append(start..<start + table.columns)
      last = row
    }
    for range in others.ranges { stretches.append(range.clamped(to: table.offset + table.count..<blockCount)) }
    return stretches
  }
}
