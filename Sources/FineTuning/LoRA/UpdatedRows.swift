internal import Kernels
internal import Tensors

/// The rows of `V = W + s B A`, a few at a time: DoRA needs their lengths, never all of V at once.
struct UpdatedRows {
  let parameters: ParameterStore
  let weight: Parameter  // [out, in]
  let a: Matrix  // [r, in]
  let b: Matrix  // [out, r]
  let scale: Float

  private static let rowsAtOnce = 64

  /// `‖V‖` of each row into `norms`, `[out]`, in memory of its own.
  func norms(into norms: UnsafeMutablePointer<Float>) {
    let memory = UnsafeMutablePointer<Float>.allocate(capacity: UpdatedRows.rowsAtOnce * weight.columns)
    defer { memory.deallocate() }
    forEachBlock(in: memory) { writeNorms($1, to: norms + $0.lowerBound) }
  }

  /// `‖V‖` of each row into `norms`, `[out]`.
  func norms(into norms: UnsafeMutablePointer<Float>, _ arena: ActivationArena) {
    forEachBlock(arena) { writeNorms($1, to: norms + $0.lowerBound) }
  }

  /// Calls `body` with the rows of each block, and the block of V.
  func forEachBlock(_ arena: ActivationArena, _ body: (Range<Int>, Matrix) -> Void) {
    let mark = arena.mark
    forEachBlock(in: arena.allocate(Float.self, UpdatedRows.rowsAtOnce * weight.columns), body)
    arena.rewind(to: mark)
  }

  private func forEachBlock(in memory: UnsafeMutablePointer<Float>, _ body: (Range<Int>, Matrix) -> Void) {
    var start = 0
    while start < weight.rows {
      let range = start..<min(start + UpdatedRows.rowsAtOnce, weight.rows)
      let block = Matrix(memory, rows: range.count, columns: weight.columns)
      parameters.copyRows(range, of: weight, into: block)
      multiply(b.rows(range), .plain, a, .plain, into: block, alpha: scale, beta: 1)
      body(range, block)
      start = range.upperBound
    }
  }

  private func writeNorms(_ block: Matrix, to norms: UnsafeMutablePointer<Float>) {
    for r in 0..<block.rows { norms[r] = Float(sumOfSquares(block.row(r), block.columns).squareRoot()) }
  }
}
