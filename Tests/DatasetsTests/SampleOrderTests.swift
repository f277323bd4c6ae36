import Datasets
import Testing

@Suite struct SampleOrderTests {
  /// Every residue of the number of reviews by the step: each review exactly once per epoch, the last step short.
  @Test(arguments: 1...33) func everyEpochSeesEveryReviewOnce(_ count: Int) {
    let order = SampleOrder(count: count, seed: 7)
    for reviewsPerStep in [1, 2, 3, 8, 32, 40] {
      let steps = order.stepsPerEpoch(reviewsPerStep: reviewsPerStep)
      var buffer: [Int] = []
      for epoch in 0..<3 {
        var seen: [Int] = []
        for step in epoch * steps..<(epoch + 1) * steps {
          let taken = order.step(step, reviewsPerStep: reviewsPerStep)
          #expect(taken.epoch == epoch && taken.positions.lowerBound == seen.count)
          let isLast = step == (epoch + 1) * steps - 1
          #expect(
            taken.positions.count == (isLast ? count - (steps - 1) * reviewsPerStep : reviewsPerStep))
          order.reviews(of: taken, into: &buffer)
          #expect(buffer == taken.positions.map { order.review(epoch: epoch, position: $0) })
          seen += buffer
        }
        #expect(seen.sorted() == Array(0..<count))
      }
    }
  }

  @Test func epochsAndSeedsHaveOrdersOfTheirOwn() {
    let order = SampleOrder(count: 1000, seed: 1)
    func epoch(_ order: SampleOrder, _ epoch: Int) -> [Int] {
      (0..<1000).map { order.review(epoch: epoch, position: $0) }
    }
    #expect(epoch(order, 0) == epoch(SampleOrder(count: 1000, seed: 1), 0))
    #expect(epoch(order, 0) != epoch(order, 1))
    #expect(epoch(order, 0) != epoch(SampleOrder(count: 1000, seed: 2), 0))
  }

  @Test func anyStepIsFoundAtOnce() {
    let order = SampleOrder(count: 150_000, seed: 1)
    #expect(order.stepsPerEpoch(reviewsPerStep: 32) == 4688)
    let far = order.step(4688 * 1_000_000 + 4687, reviewsPerStep: 32)
    #expect(far.epoch == 1_000_000 && far.positions == 149_984..<150_000)
  }

  @Test func noReviewsMakeNoSteps() {
    #expect(SampleOrder(count: 0, seed: 1).stepsPerEpoch(reviewsPerStep: 32) == 0)
  }
}
