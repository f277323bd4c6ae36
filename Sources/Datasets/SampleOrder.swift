internal import Randomness

/// In which order the reviews of an epoch are seen: a pure function of (seed, epoch, position).
///
/// The order knows nothing of ranks, and nothing of it is stored, so a run goes on at any step at once and on any number
/// of ranks. Every review is seen exactly once per epoch.
package struct SampleOrder: Sendable {
  /// How many reviews an epoch has.
  package let count: Int
  private let generator: Philox
  /// Batches of like length that take the place of batches of as many reviews; nil for none.
  private let batches: LengthBatches?

  /// The reviews of one optimiser step: positions in the order of an epoch.
  package struct Step: Sendable, Equatable {
    /// The epoch, from 0.
    package let epoch: Int
    /// The positions in that epoch's order.
    package let positions: Range<Int>
  }

  /// The order of `count` reviews that a run's seed gives.
  /// - Parameters:
  ///   - count: How many reviews.
  ///   - seed: The run's seed.
  ///   - batches: A step's reviews, where that is not a number of them.
  package init(count: Int, seed: UInt32, batches: LengthBatches? = nil) {
    precondition(count >= 0, "a negative number of reviews")
    self.count = count
    self.batches = batches
    generator = Philox(seed: seed, purpose: .sampleOrder)
  }

  /// The review at a position of an epoch; O(1), where steps have a number of reviews.
  package func review(epoch: Int, position: Int) -> Int {
    var reviews: [Int] = []
    self.reviews(of: Step(epoch: epoch, positions: position..<position + 1), into: &reviews)
    return reviews[0]
  }

  /// How many steps an epoch has: the last one is short when the reviews do not divide evenly.
  package func stepsPerEpoch(reviewsPerStep: Int) -> Int {
    precondition(reviewsPerStep > 0, "a step needs at least one review")
    if let batches { return batches.count }
    return count / reviewsPerStep + (count % reviewsPerStep == 0 ? 0 : 1)
  }

  /// What optimiser step `step`, counted from 0 over all epochs, takes.
  package func step(_ step: Int, reviewsPerStep: Int) -> Step {
    precondition(step >= 0 && count > 0, "a step of no reviews, or before the first")
    let (epoch, stepInEpoch) = step.quotientAndRemainder(
      dividingBy: stepsPerEpoch(reviewsPerStep: reviewsPerStep))
    if let batches {
      let order = Permutation(
        count: batches.count, generator: generator, variant: UInt32(truncatingIfNeeded: epoch))
      return Step(epoch: epoch, positions: batches.positions(ofBatch: order[stepInEpoch]))
    }
    let start = stepInEpoch * reviewsPerStep
    return Step(epoch: epoch, positions: start..<start + min(reviewsPerStep, count - start))
  }

  /// Replaces the content of `reviews` by the reviews of a step, in order.
  package func reviews(of step: Step, into reviews: inout [Int]) {
    reviews.removeAll(keepingCapacity: true)
    if let batches { return batches.append(step.positions, ofEpoch: step.epoch, generator, to: &reviews) }
    let order = Permutation(
      count: count, generator: generator, variant: UInt32(truncatingIfNeeded: step.epoch))
    for position in step.positions { reviews.append(order[position]) }
  }
}
