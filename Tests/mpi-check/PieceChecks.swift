import Collectives
import Glibc

/// A buffer of made-up numbers, and pieces of most of it: long ones, short ones that travel together, every owner.
private struct Puzzle {
  let count = 5000
  let pieces: [Piece]

  init(_ world: Communicator) {
    var pieces: [Piece] = []
    var start = 3
    while start + 400 < 5000 {
      let owner = pieces.count % world.size
      if pieces.count % 3 == 2 {
        pieces.append(Piece([start..<start + 1, start + 5..<start + 90, start + 91..<start + 100], owner: owner))
      } else {
        pieces.append(Piece([start..<start + 10 + 37 * (pieces.count % 7)], owner: owner))
      }
      start += 300
    }
    self.pieces = pieces
  }

  /// The sum over nodes, in order, of the sums over their ranks, in order.
  func sum(_ layout: NodeLayout, at index: Int) -> Float {
    let sums = layout.nodes.map { ranks in
      ranks.dropFirst().reduce(scrambledFloat(ranks[0], index)) { $0 + scrambledFloat($1, index) }
    }
    return sums.dropFirst().reduce(sums[0], +)
  }

  /// The layout that there is, and others that so many ranks could have: a rank a node, two nodes of which the first has
  /// one rank, ranks dealt out in turn to two nodes and to three.
  static func layouts(_ world: Communicator) -> [NodeLayout] {
    let ranks = 0..<world.size
    var layouts = [world.layout, NodeLayout(ranks.map { [$0] })]
    if world.size > 1 { layouts.append(NodeLayout([[0], Array(1..<world.size)])) }
    for count in [2, 3] where world.size > count {
      layouts.append(NodeLayout((0..<count).map { node in ranks.filter { $0 % count == node } }))
    }
    return layouts
  }

  func withBuffer(_ rank: Int, _ body: (UnsafeMutablePointer<Float>) throws -> Void) rethrows -> [Float] {
    var values = (0..<count).map { scrambledFloat(rank, $0) }
    try values.withUnsafeMutableBufferPointer { if let start = $0.baseAddress { try body(start) } }
    return values
  }

  /// Which piece has a number; nil for those between pieces.
  func piece(at index: Int) -> Int? { pieces.firstIndex { $0.ranges.contains { $0.contains(index) } } }
}

/// Sums that go on while other work does.
let pieceChecks: [Check] = [
  Check("pieces are added in the order of nodes and ranks, bit for bit, and nothing else is touched") {
    world, findings in
    let puzzle = Puzzle(world)
    let cases = Puzzle.layouts(world).flatMap { layout in
      [PieceExchange.Route.toAll, .toOwner, .fromOwner].map { (layout, $0) }
    }
    for (layout, route) in cases {
      let exchange = PieceExchange(world, longest: 400, layout: layout)
      var summed: [Int] = []
      exchange.summed = { summed.append($0) }
      let found = try puzzle.withBuffer(world.rank) { buffer in
        try exchange.add(puzzle.pieces[..<5], of: buffer, route)
        try exchange.poke()
        try exchange.add(puzzle.pieces[5...], numberedFrom: 5, of: buffer, route)
        try exchange.finish()
      }
      for index in found.indices {
        var expected = scrambledFloat(world.rank, index)
        if let piece = puzzle.piece(at: index) {
          let owner = puzzle.pieces[piece].owner
          switch route {
          case .toAll: expected = puzzle.sum(layout, at: index)
          case .toOwner: expected = owner == world.rank ? puzzle.sum(layout, at: index) : 0
          case .fromOwner: expected = scrambledFloat(owner, index)
          }
        }
        findings.expect(
          found[index].bitPattern == expected.bitPattern,
          "\(layout.nodes), \(route): element \(index) is \(found[index])")
      }
      let own = puzzle.pieces.indices.filter { puzzle.pieces[$0].owner == world.rank }
      findings.expectEqual(
        summed.sorted(), route == .fromOwner || world.size == 1 ? [] : own,
        "\(layout.nodes), \(route): pieces added up here")
    }
  },
  Check("pieces arrive while ranks only poke, and work of uneven length goes on between") { world, findings in
    let puzzle = Puzzle(world)
    let exchange = PieceExchange(world, longest: 400)
    for round in 0..<20 {
      let found = try puzzle.withBuffer(world.rank) { buffer in
        for piece in puzzle.pieces.indices {
          try exchange.add(puzzle.pieces[piece...piece], of: buffer, .toAll)
          if (piece + round) % world.size == world.rank { usleep(200) }
          try exchange.poke()
        }
        // Nobody waits in MPI, and all of it arrives.
        var patience = 1_000_000
        while !exchange.isIdle, patience > 0 {
          try exchange.poke()
          sched_yield()
          patience -= 1
        }
        findings.expect(exchange.isIdle, "round \(round): pieces do not arrive by poking")
        try exchange.finish()
      }
      let wrong = found.indices.first { puzzle.piece(at: $0) != nil && found[$0] != puzzle.sum(world.layout, at: $0) }
      findings.expect(wrong == nil, "round \(round): element \(wrong ?? 0)")
    }
  },
  Check("bytes of pieces are counted once") { world, findings in
    let puzzle = Puzzle(world)
    let bytes = 4 * puzzle.pieces.reduce(0) { $0 + $1.count }
    let exchange = PieceExchange(world, longest: 400)
    let before = world.statistics
    _ = try puzzle.withBuffer(world.rank) {
      try exchange.add(puzzle.pieces[...], of: $0, .toAll)
      try exchange.finish()
      try exchange.add(puzzle.pieces[...], of: $0, .fromOwner)
      try exchange.finish()
    }
    let step = world.statistics - before
    findings.expectEqual(step[.allReduceFloats].bytes, bytes, "bytes of sums")
    findings.expectEqual(step[.parameters].bytes, bytes, "bytes handed out")
    findings.expectEqual(step.total.calls, 2, "calls")
  },
]
