import Randomness
import Testing

@Suite struct PermutationTests {
  static func order(_ count: Int, seed: UInt32 = 1, variant: UInt32 = 0) -> [Int] {
    let permutation = Permutation(
      count: count, generator: Philox(seed: seed, purpose: .test), variant: variant)
    return (0..<count).map { permutation[$0] }
  }

  static func isBijection(_ order: [Int]) -> Bool {
    var seen = [Bool](repeating: false, count: order.count)
    for element in order {
      guard seen.indices.contains(element), !seen[element] else { return false }
      seen[element] = true
    }
    return true
  }

  @Test func isABijectionForEveryCountUpTo1000() {
    for count in 0...1000 { #expect(Self.isBijection(Self.order(count)), "count \(count)") }
  }

  /// Around the powers of four the domain is fullest and emptiest.
  @Test(arguments: [4095, 4096, 4097, 16_383, 16_384, 16_385, 65_536, 65_537, 150_000])
  func isABijection(_ count: Int) {
    #expect(Self.isBijection(Self.order(count, seed: 42, variant: 3)))
  }

  @Test func manySeedsGiveBijections() {
    for seed in 0..<UInt32(200) {
      for count in [2, 3, 5, 17] { #expect(Self.isBijection(Self.order(count, seed: seed, variant: seed))) }
    }
  }

  @Test func differsByVariantAndSeed() {
    let first = Self.order(1000)
    #expect(first == Self.order(1000))
    for other in [Self.order(1000, variant: 1), Self.order(1000, seed: 2)] {
      let agreeing = zip(first, other).count { $0 == $1 }
      // Two independent orders agree in Poisson(1) places; more than 8 has probability 10⁻⁶.
      #expect(agreeing <= 8)
    }
    #expect(first != Array(0..<1000))
  }

  /// Where an element lands is uniform: a 24 × 24 table of (position, element) over 4,000 epochs.
  ///
  /// Chi-square with 23² = 529 degrees of freedom: mean 529, deviation √1058 = 32.5; six deviations are allowed.
  @Test(arguments: [1, 2, 3] as [UInt32]) func positionsAreUniform(_ seed: UInt32) {
    let (count, epochs) = (24, 4000)
    var table = [Int](repeating: 0, count: count * count)
    for epoch in 0..<UInt32(epochs) {
      for (position, element) in Self.order(count, seed: seed, variant: epoch).enumerated() {
        table[position * count + element] += 1
      }
    }
    let expected = Double(epochs) / Double(count)
    let chiSquare = table.reduce(0.0) { $0 + (Double($1) - expected) * (Double($1) - expected) / expected }
    #expect(abs(chiSquare - 529) < 6 * 32.5, "chi-square \(chiSquare)")
  }

  /// Neighbours in the order are not neighbours in the file: pairs (order[i], order[i+1]) fall into 8 × 8 cells.
  ///
  /// Chi-square with 63 degrees of freedom: mean 63, deviation √126 = 11.2; six deviations are allowed.
  @Test func neighboursAreIndependent() {
    let order = Self.order(150_000, seed: 5)
    var table = [Int](repeating: 0, count: 64)
    for (a, b) in zip(order, order.dropFirst()) { table[a * 8 / 150_000 * 8 + b * 8 / 150_000] += 1 }
    let expected = Double(order.count - 1) / 64
    let chiSquare = table.reduce(0.0) { $0 + (Double($1) - expected) * (Double($1) - expected) / expected }
    #expect(abs(chiSquare - 63) < 6 * 11.2, "chi-square \(chiSquare)")
  }

  @Test func hugeCountsAnswerAtOnce() {
    let permutation = Permutation(
      count: 1 << 59 + 1, generator: Philox(seed: 1, purpose: .test), variant: 0)
    let elements = (0..<1000).map { permutation[$0] }
    #expect(Set(elements).count == 1000)
    #expect(elements.allSatisfy { $0 >= 0 && $0 <= 1 << 59 })
  }

  @Test func aPositionOutsideIsRefused() async {
    await #expect(processExitsWith: .failure) {
      _ = Permutation(count: 3, generator: Philox(seed: 0, purpose: .test), variant: 0)[3]
    }
  }
}
