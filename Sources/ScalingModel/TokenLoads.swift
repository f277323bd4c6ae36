package import Datasets

/// How many tokens the busiest worker of a step has, and how many one has on average: the imbalance that lies in the
/// lengths of reviews, found by sharing steps out as the trainer does.
package struct TokenLoads: Sendable {
  /// Tokens of each review, in the order in which steps take them.
  private let lengths: [Int]
  private let cost: ReviewCost

  /// Tokens of a step, for one worker.
  package struct Load: Sendable, Equatable {
    /// Of the worker that has most.
    package var busiest: Double
    /// On average.
    package var mean: Double

    /// A load.
    package init(busiest: Double, mean: Double) { (self.busiest, self.mean) = (busiest, mean) }
  }

  /// - Parameters:
  ///   - lengths: Tokens of each review, in the order in which steps take them; at least one.
  ///   - cost: What a review costs.
  package init(_ lengths: [Int], cost: ReviewCost) {
    precondition(!lengths.isEmpty, "no reviews")
    (self.lengths, self.cost) = (lengths, cost)
  }

  /// The most tokens that any worker has in any of some steps: what its activations need room for.
  /// - Parameters:
  ///   - batch: Reviews of a step.
  ///   - workers: Threads of all ranks.
  ///   - steps: Which steps.
  /// - Returns: Tokens.
  package func largest(batch: Int, workers: Int, steps: Range<Int>) -> Int {
    var share = ShareOut(cost: cost)
    return steps.reduce(0) { max($0, parts(of: $1, batch, workers, &share).max() ?? 0) }
  }

  /// The mean load over some steps.
  /// - Parameters:
  ///   - batch: Reviews of a step.
  ///   - workers: Threads of all ranks.
  ///   - steps: Which steps; beyond the last review they begin again.
  /// - Returns: The mean over the steps.
  package func load(batch: Int, workers: Int, steps: Range<Int>) -> Load {
    var share = ShareOut(cost: cost)
    var total = Load(busiest: 0, mean: 0)
    for step in steps {
      let parts = parts(of: step, batch, workers, &share)
      total.busiest += Double(parts.max() ?? 0)
      total.mean += Double(parts.reduce(0, +)) / Double(workers)
    }
    let count = Double(max(1, steps.count))
    return Load(busiest: total.busiest / count, mean: total.mean / count)
  }

  /// Tokens of each worker in a step.
  private func parts(of step: Int, _ batch: Int, _ workers: Int, _ share: inout ShareOut) -> [Int] {
    share.share(0..<batch, over: workers) { tokens(step * batch + $0) }
    return (0..<workers).map { part in share.part(part).reduce(0) { $0 + tokens(step * batch + $1) } }
  }

  private func tokens(_ position: Int) -> Int { lengths[position % lengths.count] }
}

extension ShareOut {
  fileprivate mutating func share(_ reviews: Range<Int>, over parts: Int, tokenCount: (Int) -> Int) {
    share(Array(reviews)[...], over: parts, tokenCount: tokenCount)
  }
}
