import Glibc
import Kernels

/// A non-linearity in `Double`, with what bounds the error of computing it in `Float`.
struct ActivationReference {
  /// f(x).
  let value: Double
  /// f′(x).
  let derivative: Double
  /// How wrong the value may be.
  let valueBound: Double
  /// How wrong the derivative may be.
  let derivativeBound: Double

  /// - The exponential is good to 2 ulps; an argument a that has been rounded k times before costs k·u·|a| more.
  /// - A share in 0...1 is computed as 1 − e/2·(…) or 1/(1 + e), 4 roundings; where 1 − s follows it cancels, which
  ///   leaves 2u, until s rounds to 1 from 18 on.
  /// - The fit of erfcx is good to 3e-8, as its source says.
  /// - Below e⁻⁸⁷ the exponential stays at about 1.7e-38, and what is multiplied with it stays with it.
  init(_ activation: Activation, _ x: Double) {
    let floor = 2e-38 * (1 + abs(x))
    switch activation {
    case .gelu:
      let phi = 0.5 * erfc(-x / 2.0.squareRoot())
      let density = exp(-0.5 * x * x) / (2 * Double.pi).squareRoot()
      let relative = 3e-8 + (12 + 1.5 * min(x * x, 200)) * u
      value = x * phi
      derivative = phi + x * density
      valueBound = relative * abs(value) + floor
      derivativeBound = relative * (phi + abs(x) * density) + floor
    case .geluTanh:
      let k = 2 * (2 / Double.pi).squareRoot()
      let argument = k * (x + 0.044715 * x * x * x)
      let slope = k * (1 + 3 * 0.044715 * x * x)
      let (s, rest) = ActivationReference.logistic(argument)
      let relative = (12 + 5 * min(abs(argument), 90)) * u
      value = x * s
      derivative = s + x * s * rest * slope
      valueBound = relative * abs(value) + floor
      derivativeBound =
        relative * (s + abs(x) * s * rest * slope) + (abs(argument) < 18 ? 2 * u * abs(x) * slope * s : 0)
        + floor * slope
    case .relu:
      value = max(x, 0)
      derivative = x > 0 ? 1 : 0
      valueBound = 0
      derivativeBound = 0
    case .swish:
      let (s, rest) = ActivationReference.logistic(x)
      value = x * s
      derivative = s + x * s * rest
      valueBound = 10 * u * abs(value) + floor
      derivativeBound = 12 * u * (s + abs(x) * s * rest) + (abs(x) < 18 ? 2 * u * abs(x) * s : 0) + floor
    case .tanh:
      value = Glibc.tanh(x)
      derivative = 1 - value * value
      // Near zero a series keeps the relative error small; elsewhere twice a share minus one.
      valueBound = abs(x) < 0.03 ? 6 * u * abs(x) : 8 * u
      derivativeBound = 2 * valueBound + 2 * u
    }
  }

  /// f(x) alone.
  static func value(_ activation: Activation, _ x: Double) -> Double { Self(activation, x).value }

  /// σ(x) and 1 − σ(x), each without cancellation.
  private static func logistic(_ x: Double) -> (Double, Double) { (1 / (1 + exp(-x)), 1 / (1 + exp(x))) }
}
