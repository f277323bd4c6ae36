/// The constants of one AdamW step, worked out once for all parameters.
package struct AdamWStep: Sendable, BitwiseCopyable {
  /// Decay of the first moment.
  package let beta1: Float
  /// Decay of the second moment.
  package let beta2: Float
  /// The gradient's weight in the first moment, 1 − β₁: rounded once, since 1 − 0.999 in floats is wrong by 1e-5.
  let gradientShare1: Float
  /// The squared gradient's weight in the second moment, 1 − β₂.
  let gradientShare2: Float
  /// Added to the root of the second moment.
  package let epsilon: Float
  /// 1/(1 − β₁ᵗ).
  package let correction1: Float
  /// 1/√(1 − β₂ᵗ).
  package let correction2: Float
  /// What each gradient is multiplied by first: one over the number of reviews, times clipping.
  package let gradientScale: Float

  /// The constants of step `step` (from 1).
  package init(beta1: Double, beta2: Double, epsilon: Double, step: Int, gradientScale: Double) {
    self.beta1 = Float(beta1)
    self.beta2 = Float(beta2)
    gradientShare1 = Float(1 - beta1)
    gradientShare2 = Float(1 - beta2)
    self.epsilon = Float(epsilon)
    correction1 = Float(1 / (1 - power(beta1, step)))
    correction2 = Float(1 / (1 - power(beta2, step)).squareRoot())
    self.gradientScale = Float(gradientScale)
  }
}

/// βᵗ by repeated squaring.
private func power(_ base: Double, _ exponent: Int) -> Double {
  var (result, square, rest) = (1.0, base, exponent)
  while rest > 0 {
    if rest & 1 == 1 { result *= square }
    square *= square
    rest >>= 1
  }
  return result
}

/// One AdamW step over `count` parameters; the gradient is set to zero for the next step where that is asked for.
///
/// `p ← p·(1 − η·λ)`, then `m ← β₁m + (1 − β₁)g`, `v ← β₂v + (1 − β₂)g²`, `p ← p − η·m̂/(√v̂ + ε)`.
/// - SeeAlso: Loshchilov, Hutter: *Decoupled weight decay regularization*, ICLR 2019, algorithm 2.
package func adamWUpdate(
  values: UnsafeMutablePointer<Float>, gradients: UnsafeMutablePointer<Float>,
  firstMoments m: UnsafeMutablePointer<Float>, secondMoments v: UnsafeMutablePointer<Float>, count: Int,
  learningRate: Float, weightDecay: Float, step: AdamWStep, clearsGradients: Bool = true
) {
  let keep = Lanes(repeating: 1 - learningRate * weightDecay)
  let (b1, b2) = (Lanes(repeating: step.beta1), Lanes(repeating: step.beta2))
  let (c1, c2) = (Lanes(repeating: step.gradientShare1), Lanes(repeating: step.gradientShare2))
  let rate = Lanes(repeating: learningRate * step.correction1)
  let correction2 = Lanes(repeating: step.correction2)
  let epsilon = Lanes(repeating: step.epsilon)
  let gradientScale = Lanes(repeating: step.gradientScale)
  @inline(__always)
  func update(_ range: LaneRange, clears: Bool) {
    let g = range.load(gradients) * gradientScale
    if clears { range.store(.zero, gradients) }
    let mi = multiplyAdd(b1, range.load(m), c1 * g)
    let vi = multiplyAdd(b2, range.load(v), c2 * g * g)
    range.store(mi, m)
    range.store(vi, v)
    let change = rate * mi / multiplyAdd(squareRoot(vi), correction2, epsilon)
    range.store(range.load(values) * keep - change, values)
  }
  if clearsGradients {
    forEachRange(count) { update($0, clears: true) }
  } else {
    forEachRange(count) { update($0, clears: false) }
  }
}
