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
  /// Rows of the looked-up table.
  private let rowCount: Int

  /// The most numbers that a piece of the table's rows has where a step touches so many in all.
  private func most(ofTotal total: Int) -> Int { max(1024, min(tile, (total + size - 1) / size)) }

  /// Tiles of a block for one of so many ranks: small enough for each to have a fair share, at most 256 KiB.
  package init(_ table: ParameterTable, rank: Int, of size: Int) {
    let page = 1024
    let share = table.trainableCount / (8 * size)
    tile = max(page, min(1 << 16, share / page * page))
    (self.rank, self.size) = (rank, size)
    count = table.trainableCount
    let lookedUp = LookedUpRows(table)
    (self.table, rowCount) = (lookedUp.range, lookedUp.rowCount)
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

  /// No rows of the table yet, with room for all.
  package var noTablePieces: TablePieces { TablePieces(self) }

  /// The pieces of the rows that a step touches; ranks add them up in turn, and all of them get the sums.
  package struct TablePieces: Sendable {
    /// The pieces.
    package private(set) var pieces: [Piece] = []
    /// How many there can be.
    let most: Int
    private let tiles: BlockTiles
    /// The stretches of all pieces, and where each piece ends among them.
    private var ranges: [Range<Int>] = []
    private var ends: [Int] = []

    fileprivate init(_ tiles: BlockTiles) {
      self.tiles = tiles
      most = tiles.table.count / tiles.most(ofTotal: 0) + 1
    }

    /// Finds the pieces of what a step touches. Allocates nothing after the first time, if nobody keeps earlier pieces.
    package mutating func find(_ touched: Stretches) {
      pieces.removeAll(keepingCapacity: true)
      ranges.removeAll(keepingCapacity: true)
      ends.removeAll(keepingCapacity: true)
      if tiles.table.isEmpty { return }
      pieces.reserveCapacity(most)
      ends.reserveCapacity(most)
      // Of the rows at most every other one begins a stretch, and a piece may cut one.
      ranges.reserveCapacity(most + tiles.rowCount / 2 + 1)
      split(touched)
      var start = 0
      for end in ends {
        pieces.append(Piece(ranges[start..<end], owner: pieces.count % tiles.size))
        start = end
      }
    }

    private mutating func split(_ touched: Stretches) {
      let most = tiles.most(ofTotal: touched.ranges.reduce(0) { $0 + $1.clamped(to: tiles.table).count })
      var room = most
      for range in touched.ranges {
        let part = range.clamped(to: tiles.table)
        var start = part.lowerBound
        while start < part.upperBound {
          let end = min(part.upperBound, start + room)
          ranges.append(start..<end)
          room -= end - start
          start = end
          if room > 0 { continue }
          ends.append(ranges.count)
          room = most
        }
      }
      if room < most { ends.append(ranges.count) }
    }
  }
}
