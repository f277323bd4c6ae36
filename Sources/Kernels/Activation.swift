internal import Glibc
package import Tensors

/// The non-linearities that BERT and adapter configurations name.
package enum Activation: String, Sendable, CaseIterable, Codable {
  /// x·Φ(x), with the error function (Hendrycks, Gimpel, 2016).
  case gelu
  /// GELU by its tanh approximation, as in the original BERT code; also written `gelu_pytorch_tanh`.
  case geluTanh = "gelu_new"
  /// max(x, 0).
  case relu
  /// x·σ(x); also written `silu`.
  case swish
  /// tanh x.
  case tanh

  /// The activation that a configuration file means by a name; nil for one that we do not have.
  package init?(configurationName name: String) {
    switch name {
    case "gelu": self = .gelu
    case "gelu_new", "gelu_pytorch_tanh": self = .geluTanh
    case "relu": self = .relu
    case "swish", "silu": self = .swish
    case "tanh": self = .tanh
    default: return nil
    }
  }
}

/// `y = activation(u + bias)`; with `keepsDerivative`, `u` becomes the derivative there, which is all that backward needs.
/// - Parameters:
///   - u: `[rows, columns]`, the product before its bias.
///   - bias: `[columns]`, or nil when it is in `u` already.
///   - activation: Which non-linearity.
///   - y: `[rows, columns]`; may be `u` itself when the derivative is not kept.
///   - keepsDerivative: Whether backward will be run.
package func activate(
  _ u: Matrix, bias: UnsafePointer<Float>?, _ activation: Activation, into y: Matrix, keepsDerivative: Bool
) {
  if let bias { addToRows(u, bias) }
  switch activation {
  case .gelu: apply(ErrorFunctionGELU.self, u, y, keepsDerivative)
  case .geluTanh: apply(TanhGELU.self, u, y, keepsDerivative)
  case .relu: apply(ReLU.self, u, y, keepsDerivative)
  case .swish: apply(Swish.self, u, y, keepsDerivative)
  case .tanh: apply(HyperbolicTangent.self, u, y, keepsDerivative)
  }
}

private protocol ElementFunction {
  static func valueAndDerivative(_ x: Float) -> (Float, Float)
}

@inline(__always)
private func apply<F: ElementFunction>(_: F.Type, _ u: Matrix, _ y: Matrix, _ keepsDerivative: Bool) {
  for r in 0..<u.rows {
    let (ur, yr) = (u.row(r), y.row(r))
    if keepsDerivative {
      for i in 0..<u.columns {
        let (value, derivative) = F.valueAndDerivative(ur[i])
        yr[i] = value
        ur[i] = derivative
      }
    } else {
      for i in 0..<u.columns { yr[i] = F.valueAndDerivative(ur[i]).0 }
    }
  }
}

/// With z = |x|/√2 and e = exp(−z²): 1 − Φ(|x|) = e·erfcx(z)/2, and e serves the density too.
/// erfcx(z) = t·p(t), t = 1/(1 + 0.3 z): our own Chebyshev fit, relative error below 3e-8 for 0 ≤ z ≤ 9.5.
private enum ErrorFunctionGELU: ElementFunction {
  @inline(__always)
  static func valueAndDerivative(_ x: Float) -> (Float, Float) {
    let z = abs(x) * 0.707_106_78
    let t = 1 / (1 + 0.3 * z)
    let e = exponential(-0.5 * x * x)
    var p: Float = -0.130_492_816
    p = p * t + 0.490_571_599
    p = p * t - 0.523_314_657
    p = p * t + 0.561_246_204
    p = p * t - 0.104_712_142
    p = p * t + 0.219_567_115
    p = p * t + 0.147_045_419
    p = p * t + 0.170_914_156
    p = p * t + 0.169_175_103
    let tail = 0.5 * e * (p * t)
    let phi = x < 0 ? tail : 1 - tail
    return (x * phi, phi + x * e * 0.398_942_28)
  }
}

/// ½x(1 + tanh u), u = √(2/π)(x + 0.044715x³), written as x·σ(2u).
private enum TanhGELU: ElementFunction {
  @inline(__always)
  static func valueAndDerivative(_ x: Float) -> (Float, Float) {
    let twoU = 1.595_769_12 * (x + 0.044_715 * x * x * x)
    let s = logistic(twoU)
    let slope = 1.595_769_12 * (1 + 0.134_145 * x * x)
    return (x * s, s + x * s * (1 - s) * slope)
  }
}

private enum ReLU: ElementFunction {
  @inline(__always)
  static func valueAndDerivative(_ x: Float) -> (Float, Float) { x <= 0 ? (0, 0) : (x, 1) }
}

private enum Swish: ElementFunction {
  @inline(__always)
  static func valueAndDerivative(_ x: Float) -> (Float, Float) {
    let s = logistic(x)
    return (x * s, s + x * s * (1 - s))
  }
}

private enum HyperbolicTangent: ElementFunction {
  @inline(__always)
  static func valueAndDerivative(_ x: Float) -> (Float, Float) {
    // Near zero 2σ(2x) − 1 cancels; the series is exact to Float there.
    let square = x * x
    let series = x * (1 - square * (1 / 3 - square * (2.0 / 15)))
    let value = abs(x) < 0.03 ? series : 2 * logistic(2 * x) - 1
    return (value, 1 - value * value)
  }
}

/// 1/(1 + e⁻ˣ), from e^−|x| so that nothing overflows.
@inline(__always)
private func logistic(_ x: Float) -> Float {
  let e = exponential(-abs(x))
  let larger = 1 / (1 + e)
  return x < 0 ? e * larger : larger
}

/// tanh in `Double`, from the C library.
func hyperbolicTangent(_ x: Double) -> Double { tanh(x) }
