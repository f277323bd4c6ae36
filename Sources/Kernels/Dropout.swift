internal import CVectors
internal import Randomness

/// Dropout at one site of the model: which numbers are dropped is a function of (seed, site, step, review, row, column).
///
/// A number is kept when its 16 random bits are at least `probability · 2¹⁶`, rounded; what is kept is scaled by the
/// inverse of the exact share that is. Sixteen bits are taken from a counter's eight halves so that a row of 128
/// columns costs sixteen counters: column `128 g + 16 h + l` reads half `h` of counter `16 g + l`.
package struct Dropout: Sendable, BitwiseCopyable {
  private let generator: Philox
  private let step: UInt32
  private let threshold: UInt32
  /// What a kept number is multiplied by.
  package let scale: Float

  /// Dropout of a probability at a site; nil for probability zero.
  /// - Parameters:
  ///   - probability: In `0..<1`.
  ///   - seed: The run's seed.
  ///   - site: Which place in the model.
  ///   - step: The optimiser step.
  package init?(probability: Float, seed: UInt32, site: UInt32, step: UInt32) {
    guard probability > 0 else { return nil }
    // At least one value of 65,536 is kept, so that the scale stays finite next to probability one.
    threshold = min(UInt32((probability * 65_536).rounded()), 65_535)
    scale = 65_536 / Float(65_536 - threshold)
    generator = Philox(seed: seed, purpose: .dropout, site: site)
    self.step = step
  }

  /// How many bytes a mask row of `columns` takes: whole groups of 128.
  package static func maskStride(_ columns: Int) -> Int { (columns + 127) & ~127 }

  /// Writes one row of a mask, 1 for what is kept and 0 for what is dropped, `maskStride(columns)` bytes.
  /// - Parameters:
  ///   - mask: Where the row goes.
  ///   - columns: How many columns it has.
  ///   - review: Which review the row belongs to.
  ///   - row: Which row of the review it is: a token's position, or a head and a position.
  package func writeMask(_ mask: UnsafeMutablePointer<UInt8>, columns: Int, review: UInt32, row: UInt32) {
    writeGroups(mask, 0..<Dropout.maskStride(columns) / 128, review: review, row: row)
  }

  /// Writes the columns `from..<from + count` of a row, exactly `count` bytes.
  package func writeMaskPart(
    _ mask: UnsafeMutablePointer<UInt8>, from: Int, count: Int, review: UInt32, row: UInt32
  ) {
    withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 128) { group in
      guard let bytes = group.baseAddress else { return }
      for index in from / 128..<(from + count + 127) / 128 {
        writeGroups(bytes, index..<index + 1, review: review, row: row)
        for column in max(from, 128 * index)..<min(from + count, 128 * index + 128) {
          mask[column - from] = bytes[column - 128 * index]
        }
      }
    }
  }

  private func writeGroups(
    _ mask: UnsafeMutablePointer<UInt8>, _ groups: Range<Int>, review: UInt32, row: UInt32
  ) {
    let (weyl0, weyl1) = (Philox.weyl0, Philox.weyl1)
    let multipliers = (Philox.multiplier0, Philox.multiplier1)
    for group in groups {
      let out = UnsafeMutableRawPointer(mask + 128 * (group - groups.lowerBound))
      let first = UInt64(UInt32(truncatingIfNeeded: 16 * group))
      var low = PhiloxLanes(first, row: row, review: review, step: step)
      var high = PhiloxLanes(first + 8, row: row, review: review, step: step)
      var (k0, k1) = generator.key
      for _ in 0..<10 {
        low.round(multipliers, k0, k1)
        high.round(multipliers, k0, k1)
        k0 &+= weyl0
        k1 &+= weyl1
      }
      storeHalves(cvectors_low_words(low.x0, high.x0), out, 0)
      storeHalves(cvectors_low_words(low.x1, high.x1), out, 32)
      storeHalves(cvectors_low_words(low.x2, high.x2), out, 64)
      storeHalves(cvectors_low_words(low.x3, high.x3), out, 96)
    }
  }

  @inline(__always)
  private func storeHalves(_ words: SIMD16<UInt32>, _ out: UnsafeMutableRawPointer, _ offset: Int) {
    // The sign of (half − threshold) says whether the number is dropped.
    let low = (((words & 0xFFFF) &- threshold) &>> 31) ^ 1
    let high = (((words &>> 16) &- threshold) &>> 31) ^ 1
    out.storeBytes(of: cvectors_to_bytes(low), toByteOffset: offset, as: SIMD16<UInt8>.self)
    out.storeBytes(of: cvectors_to_bytes(high), toByteOffset: offset + 16, as: SIMD16<UInt8>.self)
  }
}

/// The words of eight counters of Philox at once, each in the low half of an element: so a product of 32 bits by 32 is
/// one instruction, and what is left in the high halves never matters.
private struct PhiloxLanes {
  var x0: SIMD8<UInt64>, x1: SIMD8<UInt64>, x2: SIMD8<UInt64>, x3: SIMD8<UInt64>

  @inline(__always)
  init(_ first: UInt64, row: UInt32, review: UInt32, step: UInt32) {
    x0 = SIMD8<UInt64>(0, 1, 2, 3, 4, 5, 6, 7) &+ SIMD8<UInt64>(repeating: first)
    x1 = SIMD8<UInt64>(repeating: UInt64(row))
    x2 = SIMD8<UInt64>(repeating: UInt64(review))
    x3 = SIMD8<UInt64>(repeating: UInt64(step))
  }

  @inline(__always)
  mutating func round(_ multipliers: (UInt32, UInt32), _ k0: UInt32, _ k1: UInt32) {
    let p0 = cvectors_multiply_low_words(x0, multipliers.0)
    let p1 = cvectors_multiply_low_words(x2, multipliers.1)
    x0 = cvectors_high_words(p1, x1, k0)
    x1 = p1
    x2 = cvectors_high_words(p0, x3, k1)
    x3 = p0
  }
}

/// A dropout mask over the rows of a matrix: 1 for what is kept, 0 for what is dropped.
package struct Mask: @unchecked Sendable, BitwiseCopyable {
  /// The bytes, rows `Dropout.maskStride(columns)` apart.
  package let base: UnsafeMutablePointer<UInt8>
  /// How many bytes lie between two rows.
  package let stride: Int
  /// What a kept number is multiplied by.
  package let scale: Float

  /// A mask over bytes that somebody else owns.
  package init(base: UnsafeMutablePointer<UInt8>, columns: Int, scale: Float) {
    self.base = base
    stride = Dropout.maskStride(columns)
    self.scale = scale
  }

  /// The bytes of a row.
  package func row(_ index: Int) -> UnsafeMutablePointer<UInt8> { base + index * stride }
}
