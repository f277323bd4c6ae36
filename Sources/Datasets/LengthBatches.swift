internal import Randomness

/// An epoch cut into batches of reviews of like length: as many to a batch as fit into a number of positions when each
/// is as long as the longest of them.
///
/// Where the cuts lie depends on the lengths alone, so every epoch has as many batches; which of the reviews of one
/// length come into which batch is drawn anew for each epoch.
package struct LengthBatches: Sendable {
  /// The reviews by rising length.
  private let sorted: [Int32]
  /// Where the reviews of one length lie in it.
  private let classes: [Range<Int>]
  /// Where the batches lie in it.
  private let batches: [Range<Int>]

  /// - Parameters:
  ///   - lengths: How many tokens each review has.
  ///   - positions: The most positions of a batch; a longer review is a batch of its own.
  package init(lengths: [Int], positions: Int) {
    var starts = [Int](repeating: 0, count: (lengths.max() ?? 0) + 2)
    for length in lengths { starts[length + 1] += 1 }
    for length in starts.indices.dropFirst() { starts[length] += starts[length - 1] }
    var next = starts
    var sorted = [Int32](repeating: 0, count: lengths.count)
    for (review, length) in lengths.enumerated() {
      sorted[next[length]] = Int32(review)
      next[length] += 1
    }
    self.sorted = sorted
    classes = starts.indices.dropLast().map { starts[$0]..<starts[$0 + 1] }.filter { !$0.isEmpty }
    var batches: [Range<Int>] = []
    var start = 0
    for (position, review) in sorted.enumerated()
    where position > start && (position + 1 - start) * lengths[Int(review)] > positions {
      batches.append(start..<position)
      start = position
    }
    if start < sorted.count { batches.append(start..<sorted.count) }
    self.batches = batches
  }

  /// How many batches an epoch has.
  package var count: Int { batches.count }

  /// Where a batch lies among the reviews of an epoch by rising length.
  func positions(ofBatch batch: Int) -> Range<Int> { batches[batch] }

  /// Adds the reviews at some positions of an epoch.
  func append(_ positions: Range<Int>, ofEpoch epoch: Int, _ generator: Philox, to reviews: inout [Int]) {
    var (low, high) = (0, classes.count)
    while high - low > 1 {
      let middle = (low + high) / 2
      if classes[middle].lowerBound <= positions.lowerBound { low = middle } else { high = middle }
    }
    var position = positions.lowerBound
    while position < positions.upperBound {
      let alike = classes[low]
      // Variants below are the orders of batches.
      let order = Permutation(
        count: alike.count, generator: generator, variant: UInt32(truncatingIfNeeded: epoch &+ (low + 1) << 20))
      while position < min(positions.upperBound, alike.upperBound) {
        reviews.append(Int(sorted[alike.lowerBound + order[position - alike.lowerBound]]))
        position += 1
      }
      low += 1
    }
  }
}
