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
  /// Dropout over the probabilities as `Q · S` bytes row after row, and what a kept one is multiplied by.
  package let keep: UnsafePointer<UInt8>?
  /// What a kept probability is multiplied by.
  package let keepScale: Float
  /// `[Q, S]`, contiguous, for what is used within a call only.
  package let scratch: Matrix

  /// A head over views.
  package init(
    q: Matrix, k: Matrix, v: Matrix, probabilities: Matrix, keep: UnsafePointer<UInt8>?, keepScale: Float,
    scratch: Matrix
  ) {
    self.q = q
    self.k = k
    self.v = v
    self.probabilities = probabilities
    self.keep = keep
    self.keepScale = keepScale
    self.scratch = scratch
  }

  private var scale: Float { 1 / Float(q.columns).squareRoot() }

  /// Writes `context`, `[Q, D]`.
  package func forward(into context: Matrix) {
    multiply(q, .plain, k, .transposed, into: probabilities, alpha: scale)
    softmaxRows(probabilities)
    multiply(dropped(), .plain, v, .plain, into: context)
  }

  /// Writes the gradients of q, k and v from the gradient of the context, `[Q, D]`.
  package func backward(_ dContext: Matrix, dq: Matrix, dk: Matrix, dv: Matrix) {
    multiply(dropped(), .transposed, dContext, .plain, into: dv)
    multiply(dContext, .plain, v, .transposed, into: scratch)
    if let keep { multiplyBytes(scratch, keep, keepScale) }
    softmaxBackward(scratch, probabilities)
    multiply(scratch, .plain, k, .plain, into: dq, alpha: scale)
    multiply(scratch, .transposed, q, .plain, into: dk, alpha: scale)
  }

  /// The probabilities after dropout: themselves, or in `scratch`.
  private func dropped() -> Matrix {
    guard let keep else { return probabilities }
    let count = probabilities.rows * probabilities.columns
    for i in 0..<count {
      scratch.base[i] = probabilities.base[i] * (Float(keep[i]) * keepScale)
    }
    return scratch
  }
}

private func multiplyBytes(_ x: Matrix, _ bytes: UnsafePointer<UInt8>, _ scale: Float) {
  for i in 0..<x.rows * x.columns { x.base[i] *= Float(bytes[i]) * scale }
}

/// Softmax of each row, in place.
package func softmaxRows(_ x: Matrix) {
  for r in 0..<x.rows {
    let row = x.row(r)
    let largest = maximum(row, x.columns)
    for i in 0..<x.columns { row[i] = exponential(row[i] - largest) }
    let inverse = 1 / sum(row, x.columns)
    for i in 0..<x.columns { row[i] *= inverse }
  }
}

/// `dx = p · (dp − Σ dp·p)` for each row, in place in `dp`: the backward of softmax from its output.
package func softmaxBackward(_ dp: Matrix, _ p: Matrix) {
  for r in 0..<dp.rows {
    let (d, v) = (dp.row(r), p.row(r))
    let total = dot(d, v, dp.columns)
    for i in 0..<dp.columns { d[i] = v[i] * (d[i] - total) }
  }
}
