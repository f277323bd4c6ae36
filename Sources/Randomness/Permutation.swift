/// A pseudo-random order of `0..<count` as a function: position in, element out, nothing stored.
///
/// A balanced Feistel network over the smallest even number of bits that holds `count`, whose round function is
/// Philox; values at or above `count` are walked along their cycle until they fall inside, which keeps it a bijection.
/// Looking up one position costs a few rounds, so a run resumes at any position without replaying an order.
///
/// - SeeAlso: Black, Rogaway: *Ciphers with arbitrary finite domains*, CT-RSA 2002, §3 (cycle walking).
package struct Permutation: Sendable {
  private let count: Int
  private let generator: Philox
  private let variant: UInt32
  private let halfBits: UInt32
  private static let roundCount: UInt32 = 6

  /// The order of `0..<count` that `generator` gives to `variant` (an epoch, say).
  package init(count: Int, generator: Philox, variant: UInt32) {
    precondition(count >= 0 && count < 1 << 60, "a permutation needs a count of 0 or more, below 2^60")
    self.count = count
    self.generator = generator
    self.variant = variant
    var bits: UInt32 = 1
    while (1 << (2 * bits)) < count { bits += 1 }
    halfBits = bits
  }

  /// The element at a position in `0..<count`.
  package subscript(position: Int) -> Int {
    precondition(position >= 0 && position < count, "position outside the permutation")
    var value = UInt64(position)
    repeat { value = encipher(value) } while value >= UInt64(count)
    return Int(value)
  }

  private func encipher(_ value: UInt64) -> UInt64 {
    let mask = UInt64(1) << halfBits - 1
    var left = value >> halfBits
    var right = value & mask
    for round in 0..<Permutation.roundCount {
      let mixed = generator.words(
        UInt32(truncatingIfNeeded: right), UInt32(truncatingIfNeeded: right >> 32), round, variant)
      let word = UInt64(mixed.0) << 32 | UInt64(mixed.1)
      (left, right) = (right, (left ^ word) & mask)
    }
    return left << halfBits | right
  }
}
