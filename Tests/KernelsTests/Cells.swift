import Tensors
import TestSupport

/// A matrix in memory of its own: a column slice of a wider one when it has a margin. What lies around it is filled
/// with a sentinel, so that a kernel which writes beside its matrix is noticed.
final class Cells {
  /// What the kernel gets.
  let view: Matrix
  private let memory: UnsafeMutableBufferPointer<Float>
  private static let guardCount = 64
  private static let sentinel: Float = -0x1.357p100

  /// A matrix whose rows have `margin` elements of the wider one on either side.
  init(_ rows: Int, _ columns: Int, margin: Int = 0, _ value: (Int, Int) -> Float = { _, _ in 0 }) {
    let stride = columns + 2 * margin
    memory = .allocate(capacity: rows * stride + 2 * Cells.guardCount)
    memory.initialize(repeating: Cells.sentinel)
    guard let base = memory.baseAddress else { preconditionFailure("no memory for a test's matrix") }
    view = Matrix(base + Cells.guardCount + margin, rows: rows, columns: columns, stride: stride)
    for r in 0..<rows { for c in 0..<columns { view.row(r)[c] = value(r, c) } }
  }

  /// A matrix of made-up numbers.
  convenience init(
    _ rows: Int, _ columns: Int, margin: Int = 0, seed: Int, in range: ClosedRange<Float> = -1...1
  ) {
    var numbers = MadeUpNumbers(seed)
    self.init(rows, columns, margin: margin) { _, _ in numbers.number(in: range) }
  }

  deinit { memory.deallocate() }

  /// The first element, for kernels over vectors.
  var base: UnsafeMutablePointer<Float> { view.base }

  /// The numbers row after row.
  var values: [Float] {
    (0..<view.rows).flatMap { r in (0..<view.columns).map { view.row(r)[$0] } }
  }

  /// The numbers as `Double`, row by row.
  var doubles: [[Double]] {
    (0..<view.rows).map { r in (0..<view.columns).map { Double(view.row(r)[$0]) } }
  }

  /// Whether nothing was written outside the matrix.
  var isIntactAround: Bool {
    var outside = Set(memory.indices)
    guard let base = memory.baseAddress else { return true }
    for r in 0..<view.rows {
      let start = view.row(r) - base
      for c in 0..<view.columns { outside.remove(start + c) }
    }
    return outside.allSatisfy { memory[$0] == Cells.sentinel }
  }
}

/// The unit roundoff of `Float`, 2⁻²⁴: one operation is wrong by at most this share of its result.
let u = 0x1p-24

/// Widths below, at and above the sixteen lanes that kernels work with, and shapes of real models.
let widths = [1, 2, 3, 7, 8, 15, 16, 17, 31, 32, 33, 48, 100, 127, 128, 129, 768]

/// `f` at every cell, row after row.
func each(_ rows: Int, _ columns: Int, _ f: (Int, Int) -> Double) -> [Double] {
  (0..<rows).flatMap { r in (0..<columns).map { f(r, $0) } }
}
