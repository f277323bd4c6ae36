/// Stretches of a block of numbers, in order and apart: where a step has something to do.
package struct Stretches: Sendable, Equatable {
  /// Offsets in the block.
  package private(set) var ranges: [Range<Int>] = []
  /// Where each stretch begins when all are laid end to end.
  private var starts: [Int] = []
  /// How many numbers they have together.
  package private(set) var count = 0

  /// None yet.
  package init() {}

  /// A whole block.
  package init(all count: Int) { append(0..<count) }

  /// Takes all stretches away and keeps the room of so many.
  package mutating func removeAll(keepingRoomFor most: Int) {
    ranges.removeAll(keepingCapacity: true)
    starts.removeAll(keepingCapacity: true)
    ranges.reserveCapacity(most)
    starts.reserveCapacity(most)
    count = 0
  }

  /// Adds a stretch behind the last one; the two become one where they touch.
  package mutating func append(_ range: Range<Int>) {
    if range.isEmpty { return }
    if let last = ranges.last, last.upperBound == range.lowerBound {
      ranges[ranges.count - 1] = last.lowerBound..<range.upperBound
    } else {
      precondition(ranges.last.map { $0.upperBound < range.lowerBound } ?? true, "stretches come in order")
      ranges.append(range)
      starts.append(count)
    }
    count += range.count
  }

  /// Finds what is left of all stretches without some ranges. Allocates nothing after the first time.
  /// - Parameters:
  ///   - rest: Receives it.
  ///   - ranges: In order and apart.
  ///   - most: Room for so many stretches, where later calls may find more.
  package func find(_ rest: inout Stretches, without ranges: [Range<Int>], keepingRoomFor most: Int = 0) {
    rest.removeAll(keepingRoomFor: max(most, self.ranges.count + ranges.count))
    var next = 0
    for stretch in self.ranges {
      var start = stretch.lowerBound
      while next < ranges.count, ranges[next].upperBound <= start { next += 1 }
      var index = next
      while index < ranges.count, ranges[index].lowerBound < stretch.upperBound {
        if start < ranges[index].lowerBound { rest.append(start..<ranges[index].lowerBound) }
        start = min(stretch.upperBound, ranges[index].upperBound)
        index += 1
      }
      if start < stretch.upperBound { rest.append(start..<stretch.upperBound) }
    }
  }

  /// Runs `body` on each stretch, or the piece of it, that lies in a part of all stretches laid end to end.
  package func forEach(in part: Range<Int>, _ body: (Range<Int>) -> Void) {
    if part.isEmpty { return }
    var (low, high) = (0, starts.count)
    while high - low > 1 {
      let middle = (low + high) / 2
      if starts[middle] <= part.lowerBound { low = middle } else { high = middle }
    }
    while low < ranges.count, starts[low] < part.upperBound {
      let (start, range) = (starts[low], ranges[low])
      let from = max(part.lowerBound - start, 0)
      let to = min(part.upperBound - start, range.count)
      body(range.lowerBound + from..<range.lowerBound + to)
      low += 1
    }
  }
}
