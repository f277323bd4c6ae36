package import Collectives
package import Tensors

/// How a trainable block is shared out over ranks: cut into tiles that ranks own in turn, but for the looked-up table.
///
/// A tile is whole pages, so memory that only its owner writes to is taken by the owner alone. Of the table a run
/// reaches few rows, which every rank keeps: a step moves all that were ever reached, and they would have to be sent.
package struct BlockTiles: Sendable {
  /// How many numbers a tile has.
  package let tile: Int
  /// The looked-up table, which belongs to all ranks.
  let table: Range<Int>
  private let rank: Int
  private let size: Int
  private let count: Int

  /// Tiles of a block for one of so many ranks: small enough for each to have a fair share, at most 256 KiB.
  package init(_ table: ParameterTable, rank: Int, of size: Int) {
    let page = 1024
    let share = table.trainableCount / (8 * size)
    tile = max(page, min(1 << 16, share / page * page))
    (self.rank, self.size) = (rank, size)
    count = table.trainableCount
    self.table = LookedUpRows(table).range
  }

  /// The rank that owns a number of the block.
  package func owner(of offset: Int) -> Int { offset / tile % size }

  /// Whether an owner is this rank.
  func isOwn(_ owner: Int) -> Bool { owner == rank }

  /// What this rank steps along beside the table: its own tiles.
  package var owned: Stretches {
    var owned = Stretches()
    for range in [0..<table.lowerBound, table.upperBound..<count] {
      forEachTile(of: range) { if $1 == rank { owned.append($0) } }
    }
    return owned
  }

  /// Runs `body` on each tile's part of a range, with its owner.
  func forEachTile(of range: Range<Int>, _ body: (Range<Int>, _ owner: Int) -> Void) {
    var start = range.lowerBound
    while start < range.upperBound {
      let end = min(range.upperBound, (start / tile + 1) * tile)
      body(start..<end, owner(of: start))
      start = end
    }
  }

  /// The pieces of some ranges beside the table; short ones of an owner travel together.
  package func pieces(of ranges: [Range<Int>]) -> [Piece] {
    var pieces: [Piece] = []
    var short = [[Range<Int>]](repeating: [], count: size)
    var shortCounts = [Int](repeating: 0, count: size)
    func flush(_ owner: Int) {
      if !short[owner].isEmpty { pieces.append(Piece(short[owner], owner: owner)) }
      (short[owner], shortCounts[owner]) = ([], 0)
    }
    for whole in ranges {
      for range in [whole.clamped(to: 0..<table.lowerBound), whole.clamped(to: table.upperBound..<count)] {
        forEachTile(of: range) { part, owner in
          if part.count >= tile / 8 { return pieces.append(Piece([part], owner: owner)) }
          if shortCounts[owner] + part.count > tile { flush(owner) }
          short[owner].append(part)
          shortCounts[owner] += part.count
        }
      }
    }
    for owner in 0..<size { flush(owner) }
    return pieces
  }

  /// The pieces of the rows that a step touches; ranks add them up in turn, and all of them get the sums.
  package func tablePieces(of touched: Stretches) -> [Piece] {
    let parts = touched.ranges.map { $0.clamped(to: table) }.filter { !$0.isEmpty }
    let total = parts.reduce(0) { $0 + $1.count }
    let most = max(1024, min(tile, (total + size - 1) / size))
    var pieces: [Piece] = []
    var ranges: [Range<Int>] = []
    var room = most
    func flush() {
      if !ranges.isEmpty { pieces.append(Piece(ranges, owner: pieces.count % size)) }
      (ranges, room) = ([], most)
    }
    for part in parts {
      var start = part.lowerBound
      while start < part.upperBound {
        let end = min(part.upperBound, start + room)
        ranges.append(start..<end)
        room -= end - start
        start = end
        if room == 0 { flush() }
      }
    }
    flush()
    return pieces
  }
}
