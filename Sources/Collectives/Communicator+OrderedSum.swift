internal import CMPI
internal import Glibc

extension Communicator {
  /// The sum of parts that lie on all ranks, added in the order of a tree: the same bits on any number of ranks.
  ///
  /// MPI moves numbers and adds none. Each rank gets its share of the elements of every node, adds them up along the
  /// tree, and all ranks get all shares: as many bytes on the wire as a ring's all-reduce where every rank holds one
  /// node. Counted as an all-reduce.
  /// - Parameters:
  ///   - nodes: This rank's nodes: those that `tree` has within `tree.parts(of: rank, among: size)`. Zero afterwards.
  ///   - tree: The order.
  ///   - result: Receives the sum, on all ranks.
  /// - Throws: `Failure` when MPI fails.
  package func orderedSum(
    _ nodes: [UnsafeMutablePointer<Float>], along tree: SumTree, into result: UnsafeMutableBufferPointer<Float>
  ) throws {
    let owned = (0..<size).map { tree.nodes(within: tree.parts(of: $0, among: size)) }
    precondition(nodes.count == owned[rank].count, "the nodes of a rank are those of the tree")
    guard let target = result.baseAddress else { return }
    try counted(.allReduceFloats, bytes: 4 * result.count) {
      if let world {
        let exchange = NodeExchange(owned, rank: rank, tree, chunk: max(size, chunkBytes / 4))
        try forEachChunk(of: result.count, stride: 4) { start, count in
          try exchange.sum(nodes.map { $0 + start }, count: count, into: target + start, world)
        }
      } else if let whole = nodes.first {
        target.update(from: whole, count: result.count)
      }
      for node in nodes { memset(node, 0, 4 * result.count) }
    }
  }
}

/// The exchange of one piece of the elements.
private final class NodeExchange {
  private let owned: [[Range<Int>]]
  private let rank: Int
  private let tree: SumTree
  /// Others' nodes, this rank's share of their elements.
  private let scratch: UnsafeMutableBufferPointer<Float>

  init(_ owned: [[Range<Int>]], rank: Int, _ tree: SumTree, chunk: Int) {
    (self.owned, self.rank, self.tree) = (owned, rank, tree)
    let others = owned.enumerated().filter { $0.offset != rank }.reduce(0) { $0 + $1.element.count }
    scratch = .allocate(capacity: others * (chunk / owned.count + 1))
  }

  deinit { scratch.deallocate() }

  func sum(
    _ nodes: [UnsafeMutablePointer<Float>], count: Int, into result: UnsafeMutablePointer<Float>,
    _ world: MPI_Comm
  ) throws {
    let size = owned.count
    func share(_ rank: Int) -> Range<Int> { count * rank / size..<count * (rank + 1) / size }
    let mine = share(rank)
    var requests: [MPI_Request?] = []
    func request(_ call: (inout MPI_Request?) throws -> Void) rethrows {
      var request: MPI_Request? = CMPI_requestNull()
      try call(&request)
      requests.append(request)
    }
    var arrived: [(parts: Range<Int>, values: UnsafeMutablePointer<Float>)] = []
    var room = scratch.baseAddress
    for source in 0..<size {
      for (number, parts) in owned[source].enumerated() {
        if source == rank {
          arrived.append((parts, nodes[number] + mine.lowerBound))
          continue
        }
        guard let place = room else { continue }
        try request {
          try check(
            MPI_Irecv(
              place, try cCount(mine.count, "MPI_Irecv"), CMPI_float(), CInt(source), CInt(number), world, &$0),
            "MPI_Irecv")
        }
        arrived.append((parts, place))
        room = place + mine.count
      }
    }
    for target in 0..<size where target != rank {
      let theirs = share(target)
      for (number, node) in nodes.enumerated() {
        try request {
          try check(
            MPI_Isend(
              node + theirs.lowerBound, try cCount(theirs.count, "MPI_Isend"), CMPI_float(), CInt(target),
              CInt(number), world, &$0),
            "MPI_Isend")
        }
      }
    }
    try check(
      MPI_Waitall(try cCount(requests.count, "MPI_Waitall"), &requests, CMPI_statusesIgnore()), "MPI_Waitall")

    var sums = PartialSums<UnsafeMutablePointer<Float>>(tree)
    for node in arrived {
      sums.append(node.parts, node.values) { left, right in
        for index in 0..<mine.count { left[index] += right[index] }
      }
    }
    if let whole = sums.nodes.first { (result + mine.lowerBound).update(from: whole.values, count: mine.count) }
    let counts = try (0..<size).map { try cCount(share($0).count, "MPI_Allgatherv") }
    let starts = try (0..<size).map { try cCount(share($0).lowerBound, "MPI_Allgatherv") }
    try check(
      MPI_Allgatherv(CMPI_inPlace(), 0, CMPI_float(), result, counts, starts, CMPI_float(), world),
      "MPI_Allgatherv")
  }
}
