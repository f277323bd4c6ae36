internal import Randomness

/// In which order the reviews of an epoch are seen: a pure function of (seed, epoch, position).
///
/// The order knows nothing of ranks, and nothing of it is stored, so a run goes on at any step at once and on any number
/// of ranks. Every review is seen exactly once per epoch.
package struct SampleOrder: Sendable {
  /// How many reviews an epoch has.
  package let count: Int
  private let generator: Philox

  /// The reviews of one optimiser step: positions in the order of an epoch.
  package struct Step: Sendable, Equatable {
    /// The epoch, from 0.
    package let epoch: Int
    /// The positions in that epoch's order.
    package let positions: Range<Int>
  }

  /// The order of `count` reviews that a run's seed gives.
  package init(count: Int, seed: UInt32) {
    precondition(count >= 0, "a negative number of reviews")
    self.count = count
    generator = Philox(seed: seed, purpose: .sampleOrder)
  }

  /// The review at a position of an epoch; O(1).
  package func review(epoch: Int, position: Int) -> Int { order(ofEpoch: epoch)[position] }

  /// How many steps an epoch has: the last one is short when the reviews do not divide evenly.
  package func stepsPerEpoch(reviewsPerStep: Int) -> Int {
    precondition(reviewsPerStep > 0, "a step needs at least one review")
    return count / reviewsPerStep + (count % reviewsPerStep == 0 ? 0 : 1)
  }

  /// What optimiser step `step`, counted from 0 over all epochs, takes.
  package func step(_ step: Int, reviewsPerStep: Int) -> Step {
    precondition(step >= 0 && count > 0, "a step of no reviews, or before the first")
    let (epoch, stepInEpoch) = step.quotientAndRemainder(
      dividingBy: stepsPerEpoch(reviewsPerStep: reviewsPerStep))
    let start = stepInEpoch * reviewsPerStep
    return Step(epoch: epoch, positions: start..<start + min(reviewsPerStep, count - start))
  }

  /// Replaces the content of `reviews` by the reviews of a step, in order.
  package func reviews(of step: Step, into reviews: inout [Int]) {
    reviews.removeAll(keepingCapacity: true)
    let order = order(ofEpoch: step.epoch)
    for position in step.positions { reviews.append(order[position]) }
  }

  private func order(ofEpoch epoch: Int) -> Permutation {
    Permutation(count: count, generator: generator, variant: UInt32(truncatingIfNeeded: epoch))
  }
}
