import Randomness
import Testing

/// One line of Random123's `kat_vectors` for `philox4x32 10`.
struct KnownAnswer: Sendable {
  let counter: [UInt32]
  let key: [UInt32]
  let words: [UInt32]
}

@Suite struct PhiloxTests {
  static let knownAnswers = [
    KnownAnswer(
      counter: [0, 0, 0, 0], key: [0, 0],
      words: [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]),
    KnownAnswer(
      counter: [.max, .max, .max, .max], key: [.max, .max],
      words: [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]),
    // The digits of π.
    KnownAnswer(
      counter: [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344], key: [0xa409_3822, 0x299f_31d0],
      words: [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]),
  ]

  @Test(arguments: knownAnswers) func givesTheWordsOfRandom123(_ answer: KnownAnswer) {
    let generator = Philox(key: (answer.key[0], answer.key[1]))
    let w = generator.words(answer.counter[0], answer.counter[1], answer.counter[2], answer.counter[3])
    #expect([w.0, w.1, w.2, w.3] == answer.words)
  }

  @Test func keyIsMadeOfSeedPurposeAndSite() {
    let generator = Philox(seed: 0xdead_beef, purpose: .dropout, site: 0x12_3456)
    #expect(generator.key.0 == 0xdead_beef)
    #expect(generator.key.1 == 0x0212_3456)
  }

  /// Every bit of every word is one half of the time: 128 bits over 2¹⁴ counters, each within five deviations.
  @Test func everyBitIsFair() {
    let generator = Philox(seed: 1, purpose: .test)
    let count = 1 << 14
    var ones = [Int](repeating: 0, count: 128)
    for counter in 0..<UInt32(count) {
      let w = generator.words(counter)
      for (lane, word) in [w.0, w.1, w.2, w.3].enumerated() {
        for bit in 0..<32 where word >> UInt32(bit) & 1 == 1 { ones[lane * 32 + bit] += 1 }
      }
    }
    let deviation = 0.5 * Double(count).squareRoot()
    for (bit, seen) in ones.enumerated() {
      #expect(abs(Double(seen) - Double(count) / 2) < 5 * deviation, "bit \(bit) is one \(seen) times")
    }
  }

  /// One flipped bit of counter or key changes half of the 128 bits: the mean over 2¹⁰ counters is 64 ± 5 · √32/32.
  @Test(arguments: 0..<192) func oneFlippedBitChangesHalfOfTheBits(_ bit: Int) {
    var changed = 0
    let count: UInt32 = 1 << 10
    for counter in 0..<count {
      var input: [UInt32] = [counter, 7, 0, 3, 11, 13]
      let before = Philox(key: (input[4], input[5])).words(input[0], input[1], input[2], input[3])
      input[bit / 32] ^= 1 << UInt32(bit % 32)
      let after = Philox(key: (input[4], input[5])).words(input[0], input[1], input[2], input[3])
      changed += (before.0 ^ after.0).nonzeroBitCount + (before.1 ^ after.1).nonzeroBitCount
      changed += (before.2 ^ after.2).nonzeroBitCount + (before.3 ^ after.3).nonzeroBitCount
    }
    let mean = Double(changed) / Double(count)
    #expect(abs(mean - 64) < 5 * (32 / Double(count)).squareRoot())
  }

  @Test func uniformStaysInsideTheOpenInterval() {
    #expect(Philox.uniform(0) == 0x1p-24)
    #expect(Philox.uniform(.max) == 1 - 0x1p-24)
    #expect(Philox.uniform(1 << 31) > 0.5 && Philox.uniform(1 << 31 - 1) < 0.5)
  }

  /// Ten bins over 10⁵ draws: chi-square with 9 degrees of freedom, 99.99 % quantile 33.72.
  @Test func indexIsUniform() {
    let generator = Philox(seed: 3, purpose: .test)
    var bins = [Int](repeating: 0, count: 10)
    for counter in 0..<UInt32(100_000) { bins[generator.index(below: 10, counter)] += 1 }
    let chiSquare = bins.reduce(0.0) { $0 + (Double($1) - 10_000) * (Double($1) - 10_000) / 10_000 }
    #expect(chiSquare < 33.72)
    #expect(generator.index(below: 1, 5) == 0)
    #expect((0..<1000).allSatisfy { generator.index(below: .max, UInt32($0)) >= 0 })
  }

  @Test func purposesAndSitesShareNoNumbers() {
    var seen = Set<UInt64>()
    for purpose in [
      Purpose.initialization, .dropout, .sampleOrder, .subset, .validation, .masking, .demo, .test,
    ] {
      for site in 0..<UInt32(64) {
        let w = Philox(seed: 9, purpose: purpose, site: site).words(0)
        seen.insert(UInt64(w.0) << 32 | UInt64(w.1))
      }
    }
    #expect(seen.count == 8 * 64)
  }

  @Test func aSiteBeyondItsBitsIsRefused() async {
    await #expect(processExitsWith: .failure) { _ = Philox(seed: 0, purpose: .test, site: 1 << 24) }
  }
}
