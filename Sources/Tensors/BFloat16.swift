/// A number of bfloat16: the upper half of a `Float`, with its sign and exponent and eight bits of significand.
package struct BFloat16: BitwiseCopyable, Sendable, Equatable {
  /// Sign, eight bits of exponent, seven of significand.
  package let bits: UInt16

  /// The number of a bit pattern.
  @inlinable
  package init(bits: UInt16) { self.bits = bits }

  /// The nearest number, ties to even; beyond the largest it is infinite, and not-a-number stays that.
  @inlinable
  package init(_ value: Float) {
    let word = value.bitPattern
    // Written without branches, so that loops over it vectorise.
    let rounded = (word &+ 0x7FFF &+ ((word &>> 16) & 1)) &>> 16
    let quiet = (word &>> 16) | 0x40
    bits = UInt16(truncatingIfNeeded: word & 0x7FFF_FFFF > 0x7F80_0000 ? quiet : rounded)
  }

  /// The same number as `Float`, exactly.
  @inlinable
  package var float: Float { Float(bitPattern: UInt32(bits) &<< 16) }
}

/// How the numbers of matrix products are kept; sums, and everything between products, are fp32 in both.
package enum Precision: String, Sendable, BitwiseCopyable, Codable, CaseIterable {
  /// `Float`.
  case fp32
  /// bfloat16.
  case bf16

  /// How many bytes a number takes.
  package var bytes: Int { self == .fp32 ? 4 : 2 }
}

/// Rounds `count` floats to bfloat16.
package func round(_ from: UnsafePointer<Float>, to onto: UnsafeMutablePointer<BFloat16>, _ count: Int) {
  for i in 0..<count { onto[i] = BFloat16(from[i]) }
}

/// Copies `count` numbers of bfloat16 to floats, exactly.
package func expand(_ from: UnsafePointer<BFloat16>, to onto: UnsafeMutablePointer<Float>, _ count: Int) {
  for i in 0..<count { onto[i] = from[i].float }
}

extension MatrixView<BFloat16> {
  /// Rounds another matrix of the same shape into this one.
  package func round(from other: Matrix) {
    precondition(other.rows == rows && other.columns == columns, "rounding between different shapes")
    for r in 0..<rows { Tensors.round(other.row(r), to: row(r), columns) }
  }
}

extension MatrixView<Float> {
  /// Copies a matrix of the same shape that is kept in bfloat16 into this one, exactly.
  package func expand(from other: RoundedMatrix) {
    precondition(other.rows == rows && other.columns == columns, "copy between different shapes")
    for r in 0..<rows { Tensors.expand(other.row(r), to: row(r), columns) }
  }
}
