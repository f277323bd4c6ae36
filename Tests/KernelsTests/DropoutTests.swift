import Kernels
import Randomness
import Tensors
import TestSupport
import Testing

/// Dropout masks against their definition, bit by bit, and what follows from it.
@Suite
struct DropoutTests {
  static let columnCounts = [1, 15, 16, 17, 100, 127, 128, 129, 256, 300, 768]

  static func dropout(
    _ probability: Float, seed: UInt32 = 3, site: UInt32 = 70, step: UInt32 = 11
  ) throws -> Dropout {
    try #require(Dropout(probability: probability, seed: seed, site: site, step: step))
  }

  /// The bytes of a row, behind and before which nothing is written.
  static func mask(_ dropout: Dropout, _ columns: Int, review: UInt32, row: UInt32) -> [UInt8] {
    let stride = Dropout.maskStride(columns)
    var bytes = [UInt8](repeating: 0xAB, count: stride + 128)
    bytes.withUnsafeMutableBufferPointer { buffer in
      guard let base = buffer.baseAddress else { return }
      dropout.writeMask(base + 64, columns: columns, review: review, row: row)
    }
    #expect((bytes.prefix(64) + bytes.suffix(64)).allSatisfy { $0 == 0xAB }, "written outside the row")
    return Array(bytes[64..<64 + columns])
  }

  /// The definition, one column at a time: column `128 g + 16 h + l` reads half `h` of counter `16 g + l`, where a
  /// counter's eight halves are its four words' low and high sixteen bits in turn.
  static func definition(
    _ probability: Float, seed: UInt32, site: UInt32, step: UInt32, column: Int, review: UInt32, row: UInt32
  ) -> UInt8 {
    let generator = Philox(seed: seed, purpose: .dropout, site: site)
    let (group, half, lane) = (column / 128, column % 128 / 16, column % 16)
    let words = generator.words(UInt32(16 * group + lane), row, review, step)
    let word = [words.0, words.1, words.2, words.3][half / 2]
    let bits = half % 2 == 0 ? word & 0xFFFF : word >> 16
    return Double(bits) >= (Double(probability) * 65_536).rounded() ? 1 : 0
  }

  @Test(arguments: columnCounts, [Float(0.1), 0.5, 0.937])
  func bits(_ columns: Int, _ probability: Float) throws {
    let dropout = try Self.dropout(probability, seed: 0xFFFF_FFF1, site: (1 << 24) - 1, step: 0x8000_0001)
    for (review, row) in [(UInt32(0), UInt32(0)), (149_999, 127), (.max, .max)] {
      let expected = (0..<columns).map {
        Self.definition(
          probability, seed: 0xFFFF_FFF1, site: (1 << 24) - 1, step: 0x8000_0001, column: $0, review: review,
          row: row)
      }
      #expect(
        Self.mask(dropout, columns, review: review, row: row) == expected, "review \(review), row \(row)")
    }
  }

  @Test
  func strides() {
    for columns in Self.columnCounts {
      #expect(Dropout.maskStride(columns) == (columns + 127) / 128 * 128, "\(columns) columns")
    }
  }

  /// A part of a row, wherever it begins and ends, is the slice of the whole row and writes no byte more.
  @Test
  func parts() throws {
    let dropout = try Self.dropout(0.3)
    let whole = Self.mask(dropout, 700, review: 5, row: 2)
    for (from, count) in [
      (0, 1), (0, 128), (0, 700), (1, 127), (127, 1), (127, 2), (128, 128), (100, 400), (255, 258), (640, 60),
      (699, 1),
      (300, 0),
    ] {
      var bytes = [UInt8](repeating: 0xAB, count: count + 2)
      bytes.withUnsafeMutableBufferPointer { buffer in
        guard let base = buffer.baseAddress else { return }
        dropout.writeMaskPart(base + 1, from: from, count: count, review: 5, row: 2)
      }
      #expect(bytes.first == 0xAB && bytes.last == 0xAB, "\(count) from \(from): written outside")
      #expect(bytes[1..<count + 1] == whole[from..<from + count], "\(count) from \(from)")
    }
  }

  /// The kept share of a million numbers: its standard deviation is √(p(1 − p)/n) < 0.0005, and a bound of five of
  /// them fails once in two million seeds (the seed is fixed).
  @Test(arguments: [Float(0.1), 0.25, 0.5, 0.9])
  func keptShare(_ probability: Float) throws {
    let dropout = try Self.dropout(probability)
    var (kept, count) = (0, 0)
    for review in 0..<40 {
      for row in 0..<33 {
        let mask = Self.mask(dropout, 768, review: UInt32(review), row: UInt32(row))
        kept += mask.reduce(0) { $0 + Int($1) }
        count += mask.count
      }
    }
    let p = Double(probability)
    let share = Double(kept) / Double(count)
    expectClose(share, 1 - p, absolute: 5 * (p * (1 - p) / Double(count)).squareRoot() + 0x1p-17)
    expectClose(share * Double(dropout.scale), 1, absolute: 0.02, "what is kept makes up for what is dropped")
  }

  /// The scale is the inverse of the share that is kept exactly: of 65,536 values, those from the threshold on.
  @Test(arguments: [Float(0.1), 0.25, 0.5, 0.9, 0x1p-16, 0.999])
  func scale(_ probability: Float) throws {
    let threshold = (Double(probability) * 65_536).rounded()
    expectClose(try Self.dropout(probability).scale, 65_536 / (65_536 - threshold), relative: 0x1p-24)
  }

  /// However near to one a probability below one is, the scale stays finite: nothing times infinity is not a number.
  @Test(arguments: [Float(0.99999), 0.999_999, Float(1).nextDown])
  func nearlyOne(_ probability: Float) throws {
    #expect(try Self.dropout(probability).scale.isFinite)
  }

  @Test
  func zeroProbabilityIsNoDropout() {
    #expect(Dropout(probability: 0, seed: 1, site: 1, step: 1) == nil)
  }

  /// Seeds, sites, steps, reviews and rows have masks of their own: two of them agree on a share p² + (1 − p)² of the
  /// numbers, give or take five deviations of √(1/4n); and so do neighbouring columns.
  @Test
  func independence() throws {
    let probability: Float = 0.5
    let base = try Self.dropout(probability)
    let first = Self.mask(base, 4096, review: 5, row: 2)
    let others: [(String, [UInt8])] = [
      ("seed", Self.mask(try Self.dropout(probability, seed: 4), 4096, review: 5, row: 2)),
      ("site", Self.mask(try Self.dropout(probability, site: 71), 4096, review: 5, row: 2)),
      ("step", Self.mask(try Self.dropout(probability, step: 12), 4096, review: 5, row: 2)),
      ("review", Self.mask(base, 4096, review: 6, row: 2)),
      ("row", Self.mask(base, 4096, review: 5, row: 3)),
      ("review and row exchanged", Self.mask(base, 4096, review: 2, row: 5)),
      ("shifted by one", Array(first[1...] + first[..<1])),
      ("shifted by a lane", Array(first[16...] + first[..<16])),
      ("shifted by a group", Array(first[128...] + first[..<128])),
    ]
    for (name, other) in others {
      let agreeing = zip(first, other).reduce(0) { $0 + ($1.0 == $1.1 ? 1 : 0) }
      expectClose(Double(agreeing) / 4096, 0.5, absolute: 5 * (0.25 / 4096).squareRoot(), name)
    }
    #expect(Self.mask(try Self.dropout(probability), 4096, review: 5, row: 2) == first, "the same again")
  }
}
