/// How an all-reduce moves its bytes, and what that costs by the α–β model.
///
/// - SeeAlso: Thakur, Rabenseifner, Gropp: *Optimization of collective communication operations in MPICH*, IJHPCA 19,
///   2005.
package enum AllReduceAlgorithm: String, Sendable, CaseIterable {
  /// All to one rank, one after another, and back along a tree.
  case linear
  /// A reduction along a tree, then a broadcast.
  case reduceAndBroadcast = "reduce and broadcast"
  /// Everything to a partner twice as far away in each round.
  case recursiveDoubling = "recursive doubling"
  /// Pieces around a ring, twice.
  case ring
  /// The same with the pieces cut into segments.
  case segmentedRing = "segmented ring"
  /// Halves to partners, then back: reduce-scatter and all-gather.
  case rabenseifner

  /// What an all-reduce takes on its longest way.
  package struct Work: Sendable, Equatable {
    /// Messages one after another.
    package var messages: Double
    /// Bytes one after another.
    package var bytes: Double

    /// Seconds over a link.
    package func seconds(over link: Link) -> Double { messages * link.latency + bytes * link.secondsPerByte }

    static func + (a: Work, b: Work) -> Work { Work(messages: a.messages + b.messages, bytes: a.bytes + b.bytes) }
    static func * (count: Double, a: Work) -> Work { Work(messages: count * a.messages, bytes: count * a.bytes) }
    static let nothing = Work(messages: 0, bytes: 0)
  }

  /// The work for a message among so many ranks. Adding up is counted with the bytes.
  package func work(bytes: Int, ranks: Int) -> Work {
    guard ranks > 1 else { return .nothing }
    let (n, p) = (Double(bytes), Double(ranks))
    let rounds = Double(Int.bitWidth - (ranks - 1).leadingZeroBitCount)
    let share = (p - 1) / p
    switch self {
    case .linear: return Work(messages: p - 1 + rounds, bytes: (p - 1 + rounds) * n)
    case .reduceAndBroadcast: return Work(messages: 2 * rounds, bytes: 2 * rounds * n)
    case .recursiveDoubling: return Work(messages: rounds, bytes: rounds * n)
    case .ring, .segmentedRing: return Work(messages: 2 * (p - 1), bytes: 2 * share * n)
    case .rabenseifner: return Work(messages: 2 * rounds, bytes: 2 * share * n)
    }
  }

  /// What Open MPI 4.1 takes unless told otherwise: the fixed decision of its component `coll/tuned` for operations
  /// that commute.
  package static func tuned(bytes: Int, ranks: Int) -> AllReduceAlgorithm {
    let row = decision.first { ranks < $0.ranksBelow } ?? decision[decision.count - 1]
    return row.upTo.first { bytes < $0.0 }?.1 ?? .rabenseifner
  }

  /// For fewer ranks than the first number: the algorithm for messages of fewer bytes than each bound; Rabenseifner's
  /// above the last.
  private static let decision: [(ranksBelow: Int, upTo: [(Int, AllReduceAlgorithm)])] = [
    (
      4,
      [
        (8, .ring), (4096, .recursiveDoubling), (8192, .ring), (16_384, .recursiveDoubling), (65_536, .ring),
        (262_144, .segmentedRing),
      ]
    ),
    (8, [(16, .ring), (8192, .recursiveDoubling)]),
    (16, [(8192, .recursiveDoubling)]),
    (32, [(64, .segmentedRing), (4096, .recursiveDoubling)]),
    (64, [(128, .segmentedRing)]),
    (128, [(128, .linear), (512, .recursiveDoubling), (8192, .linear), (262_144, .recursiveDoubling)]),
    (
      256,
      [(2048, .reduceAndBroadcast), (16_384, .linear), (131_072, .reduceAndBroadcast), (262_144, .recursiveDoubling)]
    ),
    (512, [(4096, .reduceAndBroadcast)]),
    (2048, [(2048, .reduceAndBroadcast), (16_384, .recursiveDoubling)]),
    (4096, [(2048, .reduceAndBroadcast), (4096, .segmentedRing), (16_384, .recursiveDoubling)]),
    (.max, [(2048, .reduceAndBroadcast), (16_384, .segmentedRing), (32_768, .recursiveDoubling)]),
  ]
}

/// A step's sum of gradients as the program does it (`PieceExchange`): every number has an owner among the ranks, to whom
/// all send it and who sends the sum back, or the parameter that came of it. Beside that two sums of a few numbers go
/// through MPI, by the algorithm that Open MPI chooses for them.
package struct GradientSum: Sendable, Equatable {
  /// Bytes that each rank hands in.
  package let bytes: Int

  /// The sum of a buffer.
  package init(bytes: Int) { self.bytes = bytes }

  /// What a rank sends, one after another, among so many ranks.
  package func work(ranks: Int) -> AllReduceAlgorithm.Work {
    guard ranks > 1 else { return .nothing }
    return work(ranks: ranks, partners: ranks - 1) + GradientSum.smallSums(ranks)
  }

  /// What goes to and from so many of the other ranks.
  private func work(ranks: Int, partners: Int) -> AllReduceAlgorithm.Work {
    let (p, n) = (Double(ranks), Double(bytes))
    // Pieces for each owner; each goes to it and comes back.
    let pieces = max(1, (n / p / Double(tileBytes(ranks: ranks))).rounded(.up))
    return AllReduceAlgorithm.Work(messages: 2 * Double(partners) * pieces, bytes: 2 * Double(partners) / p * n)
  }

  /// Bytes of a piece, as `BlockTiles` cuts.
  private func tileBytes(ranks: Int) -> Int {
    let page = 1024
    return 4 * max(page, min(1 << 16, bytes / 4 / (8 * ranks) / page * page))
  }

  /// Of losses, counts and norms.
  private static func smallSums(_ ranks: Int) -> AllReduceAlgorithm.Work {
    let losses = 32
    let norms = 8 * ranks
    return [losses, norms].reduce(.nothing) {
      $0 + AllReduceAlgorithm.tuned(bytes: $1, ranks: ranks).work(bytes: $1, ranks: ranks)
    }
  }

  /// Seconds over several nodes.
  ///
  /// The ranks of a node share its connection, so all that they send to other nodes counts one after another; their
  /// latencies overlap. What travels behind passes is not taken off.
  package func seconds(ranksPerNode: Int, nodes: Int, within: Link, between: Link) -> Double {
    let ranks = ranksPerNode * nodes
    guard nodes > 1 else { return work(ranks: ranks).seconds(over: within) }
    var crossing = work(ranks: ranks, partners: ranks - ranksPerNode)
    crossing.bytes *= Double(ranksPerNode)
    let near = work(ranks: ranks, partners: ranksPerNode - 1)
    return near.seconds(over: within) + (crossing + GradientSum.smallSums(ranks)).seconds(over: between)
  }
}
