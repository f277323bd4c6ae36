package import Tensors

/// The trained table of which a step looks up only some rows: the token embeddings. Gradients of all other rows are
/// zero, so they are neither added up nor sent nor stepped along.
package struct LookedUpRows: Sendable {
  /// The whole block.
  let everything: Stretches
  private let table: Parameter?

  /// The looked-up table of a trainable block; a block without one is touched everywhere.
  package init(_ table: ParameterTable) {
    everything = Stretches(all: table.trainableCount)
    self.table = table.lookedUp
  }

  /// No rows of the table.
  package var noRows: RowSet { RowSet(rowCount: rowCount) }

  /// Finds where a step's gradients can be other than zero: everywhere but in the rows of tokens that none of its reviews
  /// has. Allocates nothing after the first time.
  /// - Parameters:
  ///   - stretches: Receives the result.
  ///   - reviews: Those of the step.
  ///   - data: Where they are.
  ///   - rows: Receives the rows of their tokens; made by `noRows`.
  package func find(
    _ stretches: inout Stretches, of reviews: ArraySlice<Int>, in data: EncodedReviews, rows: inout RowSet
  ) {
    if table != nil {
      rows.removeAll()
      for review in reviews {
        for index in data.offsets[review]..<data.offsets[review + 1] { rows.insert(Int(data.ids[index])) }
      }
    }
    find(&stretches, ofRows: rows)
  }

  /// Where the table lies; empty, at the end of the block, where there is none.
  var range: Range<Int> {
    table.map { $0.offset..<$0.offset + $0.count } ?? everything.count..<everything.count
  }

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

  /// Finds where some of the table's rows lie, and what lies beside the table: everything, or some stretches.
  func find(_ stretches: inout Stretches, ofRows rows: RowSet, beside others: Stretches? = nil) {
    let others = others ?? everything
    // At most every other row begins a stretch. Memory that is not touched is not taken.
    stretches.removeAll(keepingRoomFor: rowCount / 2 + 1 + others.ranges.count + 1)
    let table = range
    for range in others.ranges { stretches.append(range.clamped(to: 0..<table.lowerBound)) }
    let columns = self.table?.columns ?? 0
    rows.forEach { row in
      let start = table.lowerBound + row * columns
      stretches.append(start..<start + columns)
    }
    for range in others.ranges { stretches.append(range.clamped(to: table.upperBound..<everything.count)) }
  }
}
