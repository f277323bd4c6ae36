internal import Collectives
internal import Tensors

/// The passes of a step on this rank, and the sums over all ranks that follow.
final class StepPasses {
  /// What a step adds up to, the same on every rank.
  struct Sums {
    var loss: Double
    var reviews: Int
    var tokens: Int
    /// Over how many losses a mean is taken; at least 1.
    var targets: Int
    /// Whether any rank has something that all must attend to before the next step.
    var needsAttention: Bool
  }

  private let replica: Replica
  private let communicator: Communicator
  private let exchange: GradientExchange
  private let reviewsPerPass: Int
  /// Under `--deterministic`.
  private let sharded: ShardedGradients?

  init(_ replica: Replica, _ communicator: Communicator, reviewsPerPass: Int, isDeterministic: Bool) {
    self.replica = replica
    self.communicator = communicator
    exchange = GradientExchange(communicator)
    self.reviewsPerPass = reviewsPerPass
    sharded = isDeterministic ? ShardedGradients(replica) : nil
    let watch = communicator.watch
    replica.progress = { watch.beat() }
  }

  /// Computes a step's gradients; the sum over all ranks lies in the replica's.
  /// - Parameters:
  ///   - reviews: The reviews of all ranks.
  ///   - data: Where they are.
  ///   - step: The optimiser step, from 0.
  ///   - touched: Where the gradients of these reviews can be other than zero.
  ///   - attention: Asked before the sums whether this rank wants everybody's attention.
  /// - Returns: The sums.
  /// - Throws: `Failure` when ranks cannot talk.
  func run(
    _ reviews: [Int], of data: EncodedReviews, step: Int, touched: Stretches, attention: () -> Bool
  ) throws -> Sums {
    communicator.watch.enter(.computing, step: step + 1)
    let (rank, size) = (communicator.rank, communicator.size)
    var losses: [Double]
    var (reviewCount, tokenCount, targetCount) = (0, 0, 0)
    if let sharded {
      let own = sharded.addGradients(reviews[...], of: data, step: step, rank: rank, size: size)
      (losses, reviewCount, tokenCount, targetCount) = (own.losses, own.reviews, own.tokens, own.targets)
      communicator.watch.enter(.summing, step: step + 1)
      try sharded.sum(on: communicator)
    } else {
      losses = [0]
      for first in stride(from: 0, to: reviews.count, by: reviewsPerPass) {
        let pass = replica.addGradients(
          reviews[first..<min(first + reviewsPerPass, reviews.count)], of: data, step: step, touched: touched,
          rank: rank, size: size)
        losses[0] += pass.loss
        reviewCount += pass.reviews
        tokenCount += pass.tokens
        targetCount += pass.targets
      }
      communicator.watch.enter(.summing, step: step + 1)
      try exchange.sum(replica.gradients, touched: touched)
    }
    // Each shard's loss comes from one rank and zeros from the others, so its sum is exact; the shards are then added
    // in one order.
    var sums = losses + [Double(reviewCount), Double(tokenCount), Double(targetCount), attention() ? 1 : 0]
    try sums.withUnsafeMutableBufferPointer { try communicator.allReduceSum($0) }
    let count = losses.count
    precondition(Int(sums[count]) == reviews.count, "every review of a step is computed exactly once")
    return Sums(
      loss: sums[..<count].reduce(0, +), reviews: Int(sums[count]), tokens: Int(sums[count + 1]),
      targets: max(1, Int(sums[count + 2])), needsAttention: sums[count + 3] > 0)
  }
}
