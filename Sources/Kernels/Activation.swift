internal import Glibc
package import Tensors

/// The non-linearities that BERT and adapter configurations name.
package enum Activation: String, Sendable, CaseIterable, Codable {
  /// x·Φ(x), with the error function (Hendrycks, Gimpel, 2016); also written `gelu_python` and `gelu_orig`.
  case gelu
  /// GELU by its tanh approximation, as in the original BERT code; also written `gelu_pytorch_tanh`,
  /// `gelu_python_tanh`, `gelu_fast` and `gelu_accurate`.
  case geluTanh = "gelu_new"
  /// max(x, 0).
  case relu
  /// x·σ(x); also written `silu`.
  case swish
  /// tanh x.
  case tanh

  /// The names to choose from, for messages.
  package static let namesText = "relu, gelu, gelu_new, swish or tanh"

  /// The activation that a configuration file means by a name; nil for one that we do not have.
  package init?(configurationName name: String) {
    switch name {
    case "gelu", "gelu_python", "gelu_orig": self = .gelu
    case "gelu_new", "gelu_pytorch_tanh", "gelu_python_tanh", "gelu_fast", "gelu_accurate": self = .geluTanh
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
///   - y: `[rows, columns]`, or nil where only the rounded form is wanted; may be `u` itself when the derivative is not
///     kept.
///   - rounded: Where the same goes in bfloat16, if anywhere.
///   - keepsDerivative: Whether backward will be run.
package func activate(
  _ u: Matrix, bias: UnsafePointer<Float>?, _ activation: Activation, into y: Matrix?, rounded: RoundedMatrix? = nil,
  keepsDerivative: Bool
) {
  switch activation {
  case .gelu: apply(ErrorFunctionGELU.self, u, bias, y, rounded, keepsDerivative)
  case .geluTanh: apply(TanhGELU.self, u, bias, y, rounded, keepsDerivative)
  case .relu: apply(ReLU.self, u, bias, y, rounded, keepsDerivative)
  case .swish: apply(Swish.self, u, bias, y, rounded, keepsDerivative)
  case .tanh: apply(HyperbolicTangent.self, u, bias, y, rounded, keepsDerivative)
  }
}

/// A function of sixteen numbers, each on its own.
private protocol ElementFunction {
  static func valueAndDerivative(_ x: Lanes) -> (Lanes, Lanes)
}

@inline(__always)
private func apply<F: ElementFunction>(
  _: F.Type, _ u: Matrix, _ bias: UnsafePointer<Float>?, _ y: Matrix?, _ rounded: RoundedMatrix?,
  _ keepsDerivative: Bool
) {
  for r in 0..<u.rows {
    let (ur, yr, short) = (u.row(r), y?.row(r), rounded?.row(r))
    @inline(__always)
    func step(_ range: LaneRange) {
      var x = range.load(ur)
      if let bias { x += range.load(bias) }
      let (value, derivative) = F.valueAndDerivative(x)
      if let yr { range.store(value, yr) }
      if let short { range.store(value, short) }
      if keepsDerivative { range.store(derivative, ur) }
    }
    forEachRange(u.columns, step)
  }
}

/// With z = |x|/√2 and e = exp(−z²): 1 − Φ(|x|) = e·erfcx(z)/2, and e serves the density too.
/// erfcx(z) = t·p(t), t = 1/(1 + 0.3 z): our own Chebyshev fit, relative error below 3e-8 for 0 ≤ z ≤ 9.5.
private enum ErrorFunctionGELU: ElementFunction {
  @inline(__always)
  static func valueAndDerivative(_ x: Lanes) -> (Lanes, Lanes) {
    let t = 1 / multiplyAdd(magnitude(x), Lanes(repeating: 0.3 * 0.707_106_78), Lanes(repeating: 1))
    let e = exponential(-0.5 * x * x)
    var p = Lanes(repeating: -0.130_492_816)
    p = multiplyAdd(p, t, Lanes(repeating: 0.490_571_599))
    p = multiplyAdd(p, t, Lanes(repeating: -0.523_314_657))
    p = multiplyAdd(p, t, Lanes(repeating: 0.561_246_204))
    p = multiplyAdd(p, t, Lanes(repeating: -0.104_712_142))
    p = multiplyAdd(p, t, Lanes(repeating: 0.219_567_115))
    p = multiplyAdd(p, t, Lanes(repeating: 0.147_045_419))
    p = multiplyAdd(p, t, Lanes(repeating: 0.170_914_156))
    p = multiplyAdd(p, t, Lanes(repeating: 0.169_175_103))
    let tail = 0.5 * e * (p * t)
    let phi = (1 - tail).replacing(with: tail, where: x .< 0)
    return (x * phi, multiplyAdd(x * e, Lanes(repeating: 0.398_942_28), phi))
  }
}

/// ½x(1 + tanh u), u = √(2/π)(x + 0.044715x³), written as x·σ(2u).
private enum TanhGELU: ElementFunction {
  @inline(__always)
  static func valueAndDerivative(_ x: Lanes) -> (Lanes, Lanes) {
    let twoU = 1.595_769_12 * (x + 0.044_715 * x * x * x)
    let s = logistic(twoU)
    let slope = 1.595_769_12 * (1 + 0.134_145 * x * x)
    return (x * s, s + x * s * (1 - s) * slope)
  }
}

private enum ReLU: ElementFunction {
  @inline(__always)
  static func valueAndDerivative(_ x: Lanes) -> (Lanes, Lanes) {
    let isOff = x .<= 0
    return (x.replacing(with: 0, where: isOff), Lanes(repeating: 1).replacing(with: 0, where: isOff))
  }
}

private enum Swish: ElementFunction {
  @inline(__always)
  static func valueAndDerivative(_ x: Lanes) -> (Lanes, Lanes) {
    let s = logistic(x)
    return (x * s, s + x * s * (1 - s))
  }
}

private enum HyperbolicTangent: ElementFunction {
  @inline(__always)
  static func valueAndDerivative(_ x: Lanes) -> (Lanes, Lanes) {
    // Near zero 2σ(2x) − 1 cancels; the series is exact to Float there.
    let square = x * x
    let series = x * (1 - square * (1 / 3 - square * (2.0 / 15)))
    let value = (2 * logistic(2 * x) - 1).replacing(with: series, where: magnitude(x) .< 0.03)
    return (value, 1 - value * value)
  }
}

/// 1/(1 + e⁻ˣ), from e^−|x| so that nothing overflows.
@inline(__always)
private func logistic(_ x: Lanes) -> Lanes {
  let e = exponential(-magnitude(x))
  let larger = 1 / (1 + e)
  return larger.replacing(with: e * larger, where: x .< 0)
}

/// tanh in `Double`, from the C library.
func hyperbolicTangent(_ x: Double) -> Double { tanh(x) }
