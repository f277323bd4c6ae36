/// A piece of a buffer that one rank adds up for all of them.
package struct Piece: Sendable, Equatable {
  /// Where its numbers lie, in order and apart; several short stretches travel as one message.
  package let ranges: ArraySlice<Range<Int>>
  /// The rank that adds it up.
  package let owner: Int
  /// How many numbers it has.
  package let count: Int

  /// A piece of some stretches.
  package init(_ ranges: [Range<Int>], owner: Int) { self.init(ranges[...], owner: owner) }

  /// A piece of some stretches of a list, which is not copied.
  package init(_ ranges: ArraySlice<Range<Int>>, owner: Int) {
    self.ranges = ranges
    self.owner = owner
    count = ranges.reduce(0) { $0 + $1.count }
  }

  /// The numbers of a piece that is one stretch, where they lie; nil when it is several.
  func place(in buffer: UnsafeMutablePointer<Float>) -> UnsafeMutablePointer<Float>? {
    ranges.count == 1 ? ranges.first.map { buffer + $0.lowerBound } : nil
  }

  /// Copies the numbers end to end.
  func pack(_ buffer: UnsafePointer<Float>, into packed: UnsafeMutablePointer<Float>) {
    var offset = 0
    for range in ranges {
      (packed + offset).update(from: buffer + range.lowerBound, count: range.count)
      offset += range.count
    }
  }

  /// Copies numbers that lie end to end to their places.
  func unpack(_ packed: UnsafePointer<Float>, into buffer: UnsafeMutablePointer<Float>) {
    var offset = 0
    for range in ranges {
      (buffer + range.lowerBound).update(from: packed + offset, count: range.count)
      offset += range.count
    }
  }

  /// Makes the numbers zero.
  func clear(_ buffer: UnsafeMutablePointer<Float>) {
    // `update(repeating:count:)` calls a function for each number.
    for range in ranges {
      for index in range { buffer[index] = 0 }
    }
  }
}
