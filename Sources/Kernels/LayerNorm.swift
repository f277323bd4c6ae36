package import Tensors

/// Layer normalisation of the sum that a transformer block ends with, in one pass over each row.
///
/// `h = mask · scale · (x + bias) + residual`, `x̂ = (h − mean) / √(variance + ε)`, `y = γ x̂ + β`, the variance biased.
/// - Parameters:
///   - x: `[rows, H]`; overwritten with `x̂`, which backward needs.
///   - bias: `[H]` to be added first, or nil.
///   - mask: Dropout on `x + bias`, or nil.
///   - residual: `[rows, H]` to be added after dropout, or nil.
///   - gamma: `[H]`.
///   - beta: `[H]`.
///   - epsilon: Added to the variance.
///   - y: `[rows, H]`, the output.
///   - inverseDeviations: `[rows]`, 1/√(variance + ε), which backward needs.
/// - SeeAlso: Ba, Kiros, Hinton: *Layer normalization*, 2016, eq. 3.
package func normalizeSum(
  _ x: Matrix, bias: UnsafePointer<Float>?, mask: Mask?, residual: Matrix?, gamma: UnsafePointer<Float>,
  beta: UnsafePointer<Float>, epsilon: Float, into y: Matrix, inverseDeviations: UnsafeMutablePointer<Float>
) {
  let count = x.columns
  for r in 0..<x.rows {
    let (h, out) = (x.row(r), y.row(r))
    if let bias { for i in 0..<count { h[i] += bias[i] } }
    if let mask {
      let keep = mask.row(r)
      for i in 0..<count { h[i] *= Float(keep[i]) * mask.scale }
    }
    if let residual {
      let other = residual.row(r)
      for i in 0..<count { h[i] += other[i] }
    }
    let mean = sum(h, count) / Float(count)
    for i in 0..<count { h[i] -= mean }
    let inverse = 1 / (dot(h, h, count) / Float(count) + epsilon).squareRoot()
    inverseDeviations[r] = inverse
    for i in 0..<count {
      let normalized = h[i] * inverse
      h[i] = normalized
      out[i] = normalized * gamma[i] + beta[i]
    }
  }
}

/// The backward of layer normalisation.
///
/// With `g = γ · dy`: `dh = (g − mean(g) − x̂ · mean(g · x̂)) / √(variance + ε)`.
/// - Parameters:
///   - dy: `[rows, H]`.
///   - normalized: `x̂`, `[rows, H]`, from forward.
///   - inverseDeviations: `[rows]`, from forward.
///   - gamma: `[H]`.
///   - dh: `[rows, H]`, the gradient of the sum; may be `dy`.
///   - dGamma: Where the gradient of γ is added, or nil when it is frozen.
///   - dBeta: Where the gradient of β is added, or nil when it is frozen.
package func normalizeBackward(
  _ dy: Matrix, normalized: Matrix, inverseDeviations: UnsafePointer<Float>, gamma: UnsafePointer<Float>,
  into dh: Matrix, dGamma: UnsafeMutablePointer<Float>?, dBeta: UnsafeMutablePointer<Float>?
) {
  let count = dy.columns
  for r in 0..<dy.rows {
    let (d, xhat, out) = (dy.row(r), normalized.row(r), dh.row(r))
    if let dGamma { for i in 0..<count { dGamma[i] += d[i] * xhat[i] } }
    if let dBeta { for i in 0..<count { dBeta[i] += d[i] } }
    for i in 0..<count { out[i] = d[i] * gamma[i] }
    let inverse = inverseDeviations[r]
    let meanG = sum(out, count) / Float(count)
    let meanGX = dot(out, xhat, count) / Float(count)
    for i in 0..<count { out[i] = (out[i] - meanG - xhat[i] * meanGX) * inverse }
  }
}
