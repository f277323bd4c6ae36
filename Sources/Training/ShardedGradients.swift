package import Collectives
internal import Datasets
internal import Kernels

/// Gradients that have the same bits on any number of ranks and threads (`--deterministic`).
///
/// The reviews of a step are cut into shards, how many depends on the number of reviews alone. Each shard is computed
/// alone, on one thread, into gradients of its own; ranks take shards that lie together, and the shards' gradients are
/// added along a tree that does not depend on who computed them.
package final class ShardedGradients {
  /// How many shards a step has. Eight reviews or more are worth a matrix product; below, products of few rows cost more
  /// than they compute. Of 4 shards 1, 2 and 4 ranks get equally many, of a multiple of 12 also 3, 6 and 12; ranks beyond
  /// the shards have nothing to compute.
  package static func shardCount(of reviewCount: Int) -> Int {
    let wanted = reviewCount / 8
    return wanted >= 12 ? wanted / 12 * 12 : wanted >= 8 ? 8 : 4
  }

  /// What ranks keep of shards' gradients.
  package struct Buffers: Sendable, Equatable {
    /// How many a rank keeps at once that has shards.
    package let perRank: Int
    /// How many ranks have shards; those beyond keep none.
    package let ranks: Int
  }

  /// How many shards' gradients a rank keeps at once that has any: one a thread, and sums that wait for their other half.
  package static func bufferCount(reviews: Int, ranks: Int, threads: Int) -> Int {
    let own = (shardCount(of: reviews) + ranks - 1) / ranks
    let together = min(own, threads)
    var (rounds, waiting) = (own / together, 0)
    while rounds > 1 { (rounds, waiting) = (rounds / 2, waiting + 1) }
    return together + waiting
  }

  private let replica: Replica
  /// Over the shards of the step under way.
  private var tree = SumTree(partCount: 1)
  private var share: ShareOut
  /// Buffers that are zero and not in use.
  private var free: [UnsafeMutablePointer<Float>] = []
  private var all: [UnsafeMutablePointer<Float>] = []
  private var sums: PartialSums<UnsafeMutablePointer<Float>>

  /// Sharded gradients of a replica; buffers are taken as they are needed.
  package init(_ replica: Replica) {
    precondition(replica.computesApart, "shards are computed by replicas whose workers share nothing")
    self.replica = replica
    share = ShareOut(cost: replica.reviewCost)
    sums = PartialSums(tree)
  }

  deinit { for buffer in all { buffer.deallocate() } }

  /// How many shards' gradients were ever kept at once.
  package var buffersTaken: Int { all.count }

  private var count: Int { replica.gradients.count }

  private func buffer() -> UnsafeMutablePointer<Float> {
    if let known = free.popLast() { return known }
    let new = UnsafeMutablePointer<Float>.allocate(capacity: max(1, count))
    new.initialize(repeating: 0, count: count)
    all.append(new)
    return new
  }

  /// Computes this rank's shards of some reviews; their sums wait for `sum`.
  /// - Parameters:
  ///   - reviews: The reviews of all ranks.
  ///   - data: Where they are.
  ///   - step: The optimiser step, for dropout.
  ///   - rank: This rank.
  ///   - size: How many ranks share the reviews.
  ///   - losses: `[shards]`, receives the sum of losses of each shard of this rank; others' are left alone.
  /// - Returns: What this rank computed.
  package func addGradients(
    _ reviews: ArraySlice<Int>, of data: EncodedReviews, step: Int, rank: Int, size: Int,
    losses: UnsafeMutableBufferPointer<Double>
  ) -> Worker.Tally {
    let count = ShardedGradients.shardCount(of: reviews.count)
    if tree.partCount != count {
      tree = SumTree(partCount: count)
      sums = PartialSums(tree)
    }
    share.share(reviews, over: count) { data.tokenCount($0) }
    let own = tree.parts(of: rank, among: size)
    var total = Worker.Tally()
    for first in stride(from: own.lowerBound, to: own.upperBound, by: replica.workers.count) {
      let shards = first..<min(first + replica.workers.count, own.upperBound)
      let buffers = shards.map { _ in buffer() }
      compute(shards, into: buffers, data, step)
      for (worker, shard) in shards.enumerated() {
        let done = replica.workers[worker].takeTally()
        losses[shard] = done.loss
        total += done
        add(buffers[worker], of: shard)
      }
    }
    return total
  }

  /// A shard for each worker.
  private func compute(
    _ shards: Range<Int>, into buffers: [UnsafeMutablePointer<Float>], _ data: EncodedReviews, _ step: Int
  ) {
    // Workers only read them, each its own part.
    let share = share
    nonisolated(unsafe) let replica = replica
    nonisolated(unsafe) let buffers = buffers
    replica.pool.run { worker in
      guard worker < shards.count else { return }
      let one = replica.workers[worker]
      one.addsGradients(to: buffers[worker])
      let shard = shards.lowerBound + worker
      for pass in share.microBatches(ofPart: shard, maxTokens: replica.tokensPerPass) {
        one.addGradients(pass, of: data, step: step)
        replica.progress?()
      }
    }
  }

  private func add(_ values: UnsafeMutablePointer<Float>, of shard: Int) {
    var emptied: [UnsafeMutablePointer<Float>] = []
    sums.append(shard..<shard + 1, values) { left, right in
      nonisolated(unsafe) let (left, right) = (left, right)
      replica.pool.runRanges(count) { _, range in
        moveSum(right + range.lowerBound, to: left + range.lowerBound, range.count)
      }
      emptied.append(right)
    }
    free += emptied
  }

  /// This rank's nodes of the tree, for a test that plays several ranks.
  package func takeNodes() -> [(parts: Range<Int>, values: [Float])] {
    let nodes = sums.nodes.map { ($0.parts, Array(UnsafeBufferPointer(start: $0.values, count: count))) }
    for node in sums.nodes { node.values.update(repeating: 0, count: count) }
    free += sums.nodes.map(\.values)
    sums.removeAll()
    return nodes
  }

  /// Adds up the shards of all ranks into the replica's gradients; collective.
  /// - Throws: `Failure` when ranks cannot talk.
  package func sum(on communicator: Communicator) throws {
    try communicator.orderedSum(sums.nodes.map(\.values), along: tree, into: replica.gradients)
    free += sums.nodes.map(\.values)
    sums.removeAll()
  }
}

extension TrainingConfiguration {
  /// How many shards' gradients so many ranks keep at once; nil where a step has none. A step is cut, not its passes.
  package func shardBuffers(ranks: Int) -> ShardedGradients.Buffers? {
    guard deterministic else { return nil }
    return ShardedGradients.Buffers(
      perRank: ShardedGradients.bufferCount(reviews: reviewsPerStep, ranks: ranks, threads: threads),
      ranks: min(ranks, ShardedGradients.shardCount(of: reviewsPerStep)))
  }
}
