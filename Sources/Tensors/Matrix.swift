/// A matrix of `Float`.
package typealias Matrix = MatrixView<Float>
/// A matrix of bfloat16: the factor of a product.
package typealias RoundedMatrix = MatrixView<BFloat16>

/// A view of a row-major matrix in memory that somebody else owns: an arena, a parameter block.
///
/// Rows lie `stride` elements apart, so a range of columns is a matrix too. Copying a view copies no numbers.
package struct MatrixView<Element: BitwiseCopyable>: BitwiseCopyable, @unchecked Sendable {
  /// The first element.
  package let base: UnsafeMutablePointer<Element>
  /// How many rows.
  package let rows: Int
  /// How many columns.
  package let columns: Int
  /// How many elements lie between the starts of two rows; at least `columns`.
  package let stride: Int

  /// A view of `rows × columns` elements at `base`, rows `stride` apart (`columns` when left out).
  @inlinable
  package init(_ base: UnsafeMutablePointer<Element>, rows: Int, columns: Int, stride: Int? = nil) {
    self.base = base
    self.rows = rows
    self.columns = columns
    self.stride = stride ?? columns
  }

  /// The first element of a row.
  @inlinable @inline(__always)
  package func row(_ index: Int) -> UnsafeMutablePointer<Element> { base + index * stride }

  /// The view of some columns of every row.
  @inlinable
  package func columns(_ range: Range<Int>) -> MatrixView {
    precondition(range.lowerBound >= 0 && range.upperBound <= columns, "columns outside the matrix")
    return MatrixView(base + range.lowerBound, rows: rows, columns: range.count, stride: stride)
  }

  /// The view of some rows.
  @inlinable
  package func rows(_ range: Range<Int>) -> MatrixView {
    precondition(range.lowerBound >= 0 && range.upperBound <= rows, "rows outside the matrix")
    return MatrixView(base + range.lowerBound * stride, rows: range.count, columns: columns, stride: stride)
  }

  /// Sets every element.
  @inlinable
  package func fill(_ value: Element) {
    for r in 0..<rows { setNumbers(row(r), columns, to: value) }
  }

  /// Copies another matrix of the same shape into this one.
  @inlinable
  package func copy(from other: MatrixView) {
    precondition(other.rows == rows && other.columns == columns, "copy between different shapes")
    for r in 0..<rows { row(r).update(from: other.row(r), count: columns) }
  }
}
