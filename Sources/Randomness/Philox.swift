/// What a random number is for; part of the key, so that no two uses share numbers.
package enum Purpose: UInt32, Sendable {
  /// The initial value of a parameter.
  case initialization = 1
  /// A dropout mask.
  case dropout = 2
  /// The order of the reviews within an epoch.
  case sampleOrder = 3
  /// Which reviews `--train-limit` keeps.
  case subset = 4
  /// Which reviews a validation split takes.
  case validation = 5
  /// Which tokens masked-language modelling hides.
  case masking = 6
  /// The texts of the embedded demo.
  case demo = 7
  /// Numbers made up by tests and benchmarks.
  case test = 8
  /// Which sentences are paired for next-sentence prediction.
  case sentencePairs = 9
}

/// The counter-based generator Philox4x32-10: a pure function from (key, counter) to four 32-bit words.
///
/// Nothing advances and nothing is stored: the same key and counter give the same words on every rank and after
/// every resume. The key is made of (seed, purpose, site), the counter of whatever names the number wanted.
///
/// - SeeAlso: Salmon, Moraes, Dror, Shaw: *Parallel random numbers: as easy as 1, 2, 3*, SC 2011.
package struct Philox: Sendable, BitwiseCopyable {
  /// The key words; the first is the seed, the second purpose and site.
  package let key: (UInt32, UInt32)

  /// The multiplier of the first lane pair.
  package static let multiplier0: UInt32 = 0xD251_1F53
  /// The multiplier of the second lane pair.
  package static let multiplier1: UInt32 = 0xCD9E_8D57
  /// What the first key word grows by each round: the golden ratio.
  package static let weyl0: UInt32 = 0x9E37_79B9
  /// What the second key word grows by each round: √3 − 1.
  package static let weyl1: UInt32 = 0xBB67_AE85

  /// A generator with raw key words.
  package init(key: (UInt32, UInt32)) { self.key = key }

  /// The generator of one purpose at one site.
  /// - Parameters:
  ///   - seed: The run's seed.
  ///   - purpose: What the numbers are for.
  ///   - site: Which of the places with that purpose; less than 2²⁴.
  package init(seed: UInt32, purpose: Purpose, site: UInt32 = 0) {
    precondition(site < 1 << 24, "a random site must be below 2^24")
    key = (seed, purpose.rawValue << 24 | site)
  }

  /// The four words at a counter.
  package func words(
    _ c0: UInt32, _ c1: UInt32 = 0, _ c2: UInt32 = 0, _ c3: UInt32 = 0
  ) -> (UInt32, UInt32, UInt32, UInt32) {
    var (x0, x1, x2, x3) = (c0, c1, c2, c3)
    var (k0, k1) = key
    for _ in 0..<10 {
      let p0 = UInt64(Philox.multiplier0) &* UInt64(x0)
      let p1 = UInt64(Philox.multiplier1) &* UInt64(x2)
      (x0, x1, x2, x3) = (
        UInt32(truncatingIfNeeded: p1 >> 32) ^ x1 ^ k0, UInt32(truncatingIfNeeded: p1),
        UInt32(truncatingIfNeeded: p0 >> 32) ^ x3 ^ k1, UInt32(truncatingIfNeeded: p0)
      )
      k0 &+= Philox.weyl0
      k1 &+= Philox.weyl1
    }
    return (x0, x1, x2, x3)
  }

  /// A number in the open interval (0, 1) from one word, 23 bits of resolution.
  ///
  /// With 24 bits the half step would round up to 1 for the largest words, and `log(1 - u)` would be infinite.
  package static func uniform(_ word: UInt32) -> Float {
    (Float(word >> 9) + 0.5) * 0x1p-23
  }

  /// A whole number in `0..<bound` from the first two words at a counter, with a bias below bound · 2⁻⁶⁴.
  package func index(below bound: Int, _ c0: UInt32, _ c1: UInt32 = 0, _ c2: UInt32 = 0) -> Int {
    precondition(bound > 0, "an index below nothing")
    let w = words(c0, c1, c2)
    let wide = UInt64(w.0) << 32 | UInt64(w.1)
    return Int(wide.multipliedFullWidth(by: UInt64(bound)).high)
  }
}
