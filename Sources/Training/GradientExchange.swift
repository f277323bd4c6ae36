package import Collectives

/// The all-reduce of a step's gradients: of what the step touched, and nothing else.
package final class GradientExchange {
  private let communicator: Communicator
  /// Short stretches, end to end.
  private var packed: UnsafeMutableBufferPointer<Float>

  /// Longer stretches are reduced where they are; copying shorter ones together saves a message each.
  private static let shortest = 1 << 15

  /// An exchange between all ranks.
  package init(_ communicator: Communicator) {
    self.communicator = communicator
    packed = .allocate(capacity: 0)
  }

  deinit { packed.deallocate() }

  /// Replaces gradients by their sums over all ranks; collective.
  /// - Parameters:
  ///   - gradients: In the layout of the trainable block.
  ///   - touched: Where they are other than zero on any rank, the same on all.
  /// - Throws: `Failure` when ranks cannot talk.
  package func sum(_ gradients: UnsafeMutableBufferPointer<Float>, touched: Stretches) throws {
    // Alone there is nothing to add, but what would be sent is still counted.
    let short = touched.ranges.filter { $0.count < GradientExchange.shortest }
    for range in touched.ranges where range.count >= GradientExchange.shortest {
      try communicator.allReduceSum(UnsafeMutableBufferPointer(rebasing: gradients[range]))
    }
    guard short.count > 1 else {
      for range in short { try communicator.allReduceSum(UnsafeMutableBufferPointer(rebasing: gradients[range])) }
      return
    }
    let count = short.reduce(0) { $0 + $1.count }
    if packed.count < count {
      packed.deallocate()
      // Steps differ in how many rows they touch; half as much again is seldom outgrown.
      packed = .allocate(capacity: count + count / 2)
    }
    guard let from = gradients.baseAddress, let to = packed.baseAddress else { return }
    var offset = 0
    for range in short {
      (to + offset).update(from: from + range.lowerBound, count: range.count)
      offset += range.count
    }
    try communicator.allReduceSum(UnsafeMutableBufferPointer(rebasing: packed[..<count]))
    offset = 0
    for range in short {
      (from + range.lowerBound).update(from: to + offset, count: range.count)
      offset += range.count
    }
  }
}
