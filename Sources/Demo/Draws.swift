internal import Randomness

/// The choices made for one text: a function of seed, site, text and attempt.
struct Draws {
  private let generator: Philox
  private let text: UInt32
  private let attempt: UInt32
  private var count: UInt32 = 0

  init(_ generator: Philox, text: Int, attempt: Int) {
    self.generator = generator
    self.text = UInt32(truncatingIfNeeded: text)
    self.attempt = UInt32(truncatingIfNeeded: attempt)
  }

  /// A whole number in `0..<bound`.
  mutating func index(below bound: Int) -> Int {
    defer { count += 1 }
    return generator.index(below: bound, text, attempt, count)
  }

  /// True `percent` times of a hundred.
  mutating func happens(percent: Int) -> Bool { index(below: 100) < percent }

  /// One of a list.
  mutating func pick<T>(_ list: [T]) -> T { list[index(below: list.count)] }
}
