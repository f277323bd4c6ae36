import Datasets
import Testing

/// Epochs cut into batches of like length, as a run sees them: through its order.
@Suite struct LengthBatchesTests {
  private static let lengths = (0..<700).map { 3 + ($0 * $0 * 31 + $0 * 7) % 61 }

  private func batches(_ lengths: [Int], _ positions: Int, epoch: Int, seed: UInt32 = 1) -> [[Int]] {
    let order = SampleOrder(
      count: lengths.count, seed: seed, batches: LengthBatches(lengths: lengths, positions: positions))
    let count = order.stepsPerEpoch(reviewsPerStep: 1)
    var buffer: [Int] = []
    return (epoch * count..<(epoch + 1) * count).map {
      let step = order.step($0, reviewsPerStep: 1)
      #expect(step.epoch == epoch)
      order.reviews(of: step, into: &buffer)
      return buffer
    }
  }

  @Test(arguments: [1, 40, 63, 64, 1000, 100_000])
  func everyEpochSeesEveryReviewOnce(_ positions: Int) {
    let first = batches(Self.lengths, positions, epoch: 0)
    for epoch in [1, 5] {
      let others = batches(Self.lengths, positions, epoch: epoch)
      #expect(others.count == first.count && others != first)
      #expect(others.joined().sorted() == Array(Self.lengths.indices))
    }
  }

  /// Each is as full as it can be: with the shortest review of the next one it would be too large.
  @Test(arguments: [40, 63, 64, 1000])
  func theyAreFullAndAlike(_ positions: Int) {
    let byLength = batches(Self.lengths, positions, epoch: 2).map { $0.map { Self.lengths[$0] } }
      .sorted { ($0.min() ?? 0, $0.max() ?? 0, -$0.count) < ($1.min() ?? 0, $1.max() ?? 0, -$1.count) }
    for (batch, next) in zip(byLength, byLength.dropFirst()) {
      let (longest, shortest) = (batch.max() ?? 0, next.min() ?? 0)
      #expect(batch.count == 1 || batch.count * longest <= positions)
      #expect((batch.count + 1) * shortest > positions)
      #expect(longest <= shortest)
    }
  }

  @Test func epochsAndSeedsDrawThemAnew() {
    let one = batches(Self.lengths, 500, epoch: 0)
    #expect(one == batches(Self.lengths, 500, epoch: 0))
    #expect(Set(one.map(Set.init)) != Set(batches(Self.lengths, 500, epoch: 1).map(Set.init)))
    #expect(Set(one.map(Set.init)) != Set(batches(Self.lengths, 500, epoch: 0, seed: 2).map(Set.init)))
    // Batches do not come by length.
    let longest = one.map { batch in batch.map { Self.lengths[$0] }.max() ?? 0 }
    #expect(longest != longest.sorted())
  }

  @Test func oddSets() {
    #expect(batches([], 10, epoch: 0).isEmpty)
    #expect(batches([50], 10, epoch: 3) == [[0]])
    #expect(batches([5, 5, 5, 5], 10, epoch: 0).map(\.count) == [2, 2])
    #expect(Set(batches([90, 4, 4], 10, epoch: 0).map { Set($0) }) == [[0], [1, 2]])
  }
}
