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
///   - rounded: Where the output goes in bfloat16 too, if anywhere.
///   - inverseDeviations: `[rows]`, 1/√(variance + ε), which backward needs.
/// - SeeAlso: Ba, Kiros, Hinton: *Layer normalization*, 2016, eq. 3.
package func normalizeSum(
  _ x: Matrix, bias: UnsafePointer<Float>?, mask: Mask?, residual: Matrix?, gamma: UnsafePointer<Float>,
  beta: UnsafePointer<Float>, epsilon: Float, into y: Matrix, rounded: RoundedMatrix? = nil,
  inverseDeviations: UnsafeMutablePointer<Float>
) {
  let count = x.columns
  for r in 0..<x.rows {
    let (h, out, short) = (x.row(r), y.row(r), rounded?.row(r))
    let (keep, other) = (mask?.row(r), residual?.row(r))
    let keepScale = mask?.scale ?? 1
    @inline(__always)
    func sum(_ range: LaneRange) -> Lanes {
      var value = range.load(h)
      if let bias { value += range.load(bias) }
      if let keep { value *= range.load(keep) * keepScale }
      if let other { value += range.load(other) }
      range.store(value, h)
      return value
    }
    let mean = rowTotal(count, sum) / Float(count)
    // Squares of what is left of the mean: a mean far from zero must not cost the variance its digits.
    @inline(__always)
    func square(_ range: LaneRange) -> Lanes {
      let centred = range.within(range.load(h) - mean)
      range.store(centred, h)
      return centred * centred
    }
    let inverse = 1 / (rowTotal(count, square) / Float(count) + epsilon).squareRoot()
    inverseDeviations[r] = inverse
    @inline(__always)
    func write(_ range: LaneRange) {
      let normalized = range.load(h) * inverse
      range.store(normalized, h)
      let value = multiplyAdd(normalized, range.load(gamma), range.load(beta))
      range.store(value, out)
      if let short { range.store(value, short) }
    }
    forEachRange(count, write)
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
///   - dropout: What `x + bias` was dropped out with, and where its gradient goes: `dh · mask · scale`, or a copy of `dh`
///     without a mask; in bfloat16 too where that is asked for.
///   - dGamma: Where the gradient of γ is added, or nil when it is frozen.
///   - dBeta: Where the gradient of β is added, or nil when it is frozen.
package func normalizeBackward(
  _ dy: Matrix, normalized: Matrix, inverseDeviations: UnsafePointer<Float>, gamma: UnsafePointer<Float>,
  into dh: Matrix, dropout: (mask: Mask?, dx: Matrix, rounded: RoundedMatrix?)? = nil,
  dGamma: UnsafeMutablePointer<Float>?,
  dBeta: UnsafeMutablePointer<Float>?
) {
  let count = dy.columns
  for r in 0..<dy.rows {
    let (d, xhat, out) = (dy.row(r), normalized.row(r), dh.row(r))
    if dGamma != nil || dBeta != nil {
      @inline(__always)
      func add(_ range: LaneRange) {
        let value = range.load(d)
        if let dGamma { range.store(multiplyAdd(value, range.load(xhat), range.load(dGamma)), dGamma) }
        if let dBeta { range.store(range.load(dBeta) + value, dBeta) }
      }
      forEachRange(count, add)
    }
    var (g, gx) = (Lanes.zero, Lanes.zero)
    @inline(__always)
    func sums(_ range: LaneRange) {
      let value = range.load(d) * range.load(gamma)
      g += value
      gx = multiplyAdd(value, range.load(xhat), gx)
    }
    forEachRange(count, sums)
    let inverse = inverseDeviations[r]
    let meanG = g.sum() / Float(count)
    let meanGX = Lanes(repeating: -(gx.sum() / Float(count)))
    let (dx, short, keep) = (dropout?.dx.row(r), dropout?.rounded?.row(r), dropout?.mask?.row(r))
    let scale = dropout?.mask?.scale ?? 1
    @inline(__always)
    func write(_ range: LaneRange) {
      let value = multiplyAdd(range.load(xhat), meanGX, range.load(d) * range.load(gamma) - meanG) * inverse
      range.store(value, out)
      guard let dx else { return }
      let kept = keep.map { value * (range.load($0) * scale) } ?? value
      range.store(kept, dx)
      if let short { range.store(kept, short) }
    }
    forEachRange(count, write)
  }
}
