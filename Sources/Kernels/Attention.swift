package import Tensors

/// Scaled dot-product attention of one head over one review, and its backward.
///
/// `P = softmax(q kᵀ / √d)`, `context = (mask · P) v`. Shapes: q `[Q, D]`, k and v `[S, D]`, P `[Q, S]`; all may be
/// column slices of wider matrices.
/// - SeeAlso: Vaswani et al.: *Attention is all you need*, 2017, §3.2.1.
package struct AttentionHead {
  /// Queries, `[Q, D]`.
  package let q: Matrix
  /// Keys, `[S, D]`.
  package let k: Matrix
  /// Values, `[S, D]`.
  package let v: Matrix
  /// Probabilities before dropout, `[Q, S]`, contiguous: written by forward, read by backward.
  package let probabilities: Matrix
  /// Dropout over the probabilities as `Q · S` bytes row after row; nil for none.
  package let keep: UnsafePointer<UInt8>?
  /// What a kept probability is multiplied by.
  package let keepScale: Float
  /// `scratchCount` floats for what is used within a call only.
  package let scratch: UnsafeMutablePointer<Float>

  /// A head over views.
  package init(
    q: Matrix, k: Matrix, v: Matrix, probabilities: Matrix, keep: UnsafePointer<UInt8>?, keepScale: Float,
    scratch: UnsafeMutablePointer<Float>
  ) {
    self.q = q
    self.k = k
    self.v = v
    self.probabilities = probabilities
    self.keep = keep
    self.keepScale = keepScale
    self.scratch = scratch
  }

  /// How many floats of scratch a head takes: a table of probabilities and a transpose, rows filled up to lanes.
  package static func scratchCount(queries: Int, keys: Int, width: Int) -> Int {
    (queries + width) * paddedCount(keys)
  }

  private static func paddedCount(_ keys: Int) -> Int { (keys + 15) & ~15 }

  /// Up to here the products are computed in place; longer reviews and odd widths are left to BLAS.
  private static let longestDirect = 256
  private var isDirect: Bool { q.columns % 16 == 0 && k.rows <= AttentionHead.longestDirect }

  private var scale: Float { 1 / Float(q.columns).squareRoot() }

  /// Writes `context`, `[Q, D]`.
  package func forward(into context: Matrix) {
    guard isDirect else { return forwardByBLAS(into: context) }
    let (table, transposed) = parts
    transpose(k, into: transposed)
    smallProduct(ScalarFactor(q), transposed, into: table)
    for i in 0..<q.rows { softmax(table.row(i), i) }
    smallProduct(ScalarFactor(table), v, into: context)
  }

  /// Writes the gradients of q, k and v from the gradient of the context, `[Q, D]`.
  package func backward(_ dContext: Matrix, dq: Matrix, dk: Matrix, dv: Matrix) {
    guard isDirect else { return backwardByBLAS(dContext, dq: dq, dk: dk, dv: dv) }
    let (table, transposed) = parts
    dropped(into: table)
    smallProduct(ScalarFactor(table.base, rowStride: 1, depthStride: table.stride), dContext, into: dv)
    transpose(v, into: transposed)
    smallProduct(ScalarFactor(dContext), transposed, into: table)
    for i in 0..<q.rows { scoreGradient(table.row(i), i) }
    smallProduct(ScalarFactor(table), k, into: dq)
    smallProduct(ScalarFactor(table.base, rowStride: 1, depthStride: table.stride), q, into: dk)
  }

  /// The scratch as a table `[Q, S]` and as a transpose `[D, S]`, S filled up to whole lanes. What the table has beyond S
  /// is never part of a result.
  private var parts: (table: Matrix, transposed: Matrix) {
    let width = AttentionHead.paddedCount(k.rows)
    return (
      Matrix(scratch, rows: q.rows, columns: width),
      Matrix(scratch + q.rows * width, rows: q.columns, columns: width)
    )
  }

  /// Writes the softmax of a row of scores that are still to be scaled, and after dropout in place.
  @inline(__always)
  private func softmax(_ row: UnsafeMutablePointer<Float>, _ i: Int) {
    var lanes = Lanes(repeating: -.infinity)
    forEachRange(k.rows) { lanes = larger($0.within(load(row, $0.start), otherwise: -.infinity), lanes) }
    let (top, factor) = (Lanes(repeating: -lanes.max() * scale), Lanes(repeating: scale))
    @inline(__always)
    func exponentials(_ range: LaneRange) -> Lanes {
      let e = range.within(exponential(multiplyAdd(load(row, range.start), factor, top)))
      store(e, row, range.start)
      return e
    }
    let inverse = 1 / rowTotal(k.rows, exponentials)
    @inline(__always)
    func write(_ range: LaneRange) {
      let p = load(row, range.start) * inverse
      let place = place(i, range)
      place.store(p, probabilities.base)
      if let keep { store(p * (place.load(keep) * keepScale), row, range.start) } else { store(p, row, range.start) }
    }
    forEachRange(k.rows, write)
  }

  /// From the gradient of a row of probabilities after dropout that of its scores, in place.
  @inline(__always)
  private func scoreGradient(_ row: UnsafeMutablePointer<Float>, _ i: Int) {
    @inline(__always)
    func products(_ range: LaneRange) -> Lanes {
      var d = load(row, range.start)
      let place = place(i, range)
      if let keep {
        d *= place.load(keep) * keepScale
        store(d, row, range.start)
      }
      return range.within(d * place.load(probabilities.base))
    }
    let total = rowTotal(k.rows, products)
    @inline(__always)
    func write(_ range: LaneRange) {
      let p = place(i, range).load(probabilities.base)
      store(p * (load(row, range.start) - total) * scale, row, range.start)
    }
    forEachRange(k.rows, write)
  }

  /// Writes the probabilities after dropout into rows of whole lanes.
  private func dropped(into table: Matrix) {
    for i in 0..<q.rows {
      let out = table.row(i)
      @inline(__always)
      func write(_ range: LaneRange) {
        let place = place(i, range)
        let p = place.load(probabilities.base)
        if let keep { store(p * (place.load(keep) * keepScale), out, range.start) } else { store(p, out, range.start) }
      }
      forEachRange(k.rows, write)
    }
  }

  /// Where a part of row `i` lies in the contiguous tables of probabilities and masks. Whole lanes wherever the table has
  /// as many: they reach into the next row, which is written later.
  @inline(__always)
  private func place(_ i: Int, _ range: LaneRange) -> LaneRange {
    let start = i * k.rows + range.start
    return LaneRange(start: start, count: min(16, q.rows * k.rows - start))
  }

  private func forwardByBLAS(into context: Matrix) {
    let table = Matrix(scratch, rows: q.rows, columns: k.rows)
    multiply(q, .plain, k, .transposed, into: probabilities, alpha: scale)
    softmaxRows(probabilities)
    multiply(droppedTable(table), .plain, v, .plain, into: context)
  }

  private func backwardByBLAS(_ dContext: Matrix, dq: Matrix, dk: Matrix, dv: Matrix) {
    let table = Matrix(scratch, rows: q.rows, columns: k.rows)
    multiply(droppedTable(table), .transposed, dContext, .plain, into: dv)
    multiply(dContext, .plain, v, .transposed, into: table)
    if let keep { applyBytes(keep, table, into: table) }
    softmaxBackward(table, probabilities)
    multiply(table, .plain, k, .plain, into: dq, alpha: scale)
    multiply(table, .transposed, q, .plain, into: dk, alpha: scale)
  }

  /// The probabilities after dropout: themselves, or in a table like theirs.
  private func droppedTable(_ table: Matrix) -> Matrix {
    guard let keep else { return probabilities }
    applyBytes(keep, probabilities, into: table)
    return table
  }

  private func applyBytes(_ keep: UnsafePointer<UInt8>, _ x: Matrix, into y: Matrix) {
    @inline(__always)
    func apply(_ range: LaneRange) { range.store(range.load(x.base) * (range.load(keep) * keepScale), y.base) }
    forEachRange(x.rows * x.columns, apply)
  }
}

/// Softmax of each row, in place.
package func softmaxRows(_ x: Matrix) {
  for r in 0..<x.rows {
    let row = x.row(r)
    let largest = maximum(row, x.columns)
    @inline(__always)
    func exponentials(_ range: LaneRange) -> Lanes {
      let e = range.within(exponential(range.load(row) - largest))
      range.store(e, row)
      return e
    }
    let inverse = 1 / rowTotal(x.columns, exponentials)
    @inline(__always)
    func divide(_ range: LaneRange) { range.store(range.load(row) * inverse, row) }
    forEachRange(x.columns, divide)
  }
}

/// `dx = p · (dp − Σ dp·p)` for each row, in place in `dp`: the backward of softmax from its output.
package func softmaxBackward(_ dp: Matrix, _ p: Matrix) {
  for r in 0..<dp.rows {
    let (d, v) = (dp.row(r), p.row(r))
    let total = dot(d, v, dp.columns)
    @inline(__always)
    func write(_ range: LaneRange) { range.store(range.load(v) * (range.load(d) - total), d) }
    forEachRange(dp.columns, write)
  }
}
