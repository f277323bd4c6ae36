internal import Randomness

/// Numbers made up for tests: the same at every run, different for every seed.
package struct MadeUpNumbers {
  private let generator: Philox
  private var counter: UInt32 = 0

  /// The numbers of a seed.
  package init(_ seed: Int) { generator = Philox(seed: UInt32(truncatingIfNeeded: seed), purpose: .test) }

  /// The next word.
  package mutating func word() -> UInt32 {
    counter += 1
    return generator.words(counter).0
  }

  /// The next number of a range, spread evenly.
  package mutating func number(in range: ClosedRange<Float>) -> Float {
    range.lowerBound + (range.upperBound - range.lowerBound) * Philox.uniform(word())
  }

  /// The next whole number in `0..<bound`.
  package mutating func index(below bound: Int) -> Int {
    Int(UInt64(word()) * UInt64(bound) >> 32)
  }

  /// The next `count` numbers of a range.
  package mutating func numbers(_ count: Int, in range: ClosedRange<Float> = -1...1) -> [Float] {
    (0..<count).map { _ in number(in: range) }
  }
}
