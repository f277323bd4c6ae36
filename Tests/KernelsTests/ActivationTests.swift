import Kernels
import Tensors
import TestSupport
import Testing

@Suite
struct ActivationTests {
  /// A fine grid where things happen, a coarse one far out, and numbers that are special.
  static let numbers: [Float] = {
    var list: [Float] = [0, -0.0, 0x1p-149, -0x1p-149, 1e-38, -1e-38, 1e-20, -1e-20, 1e-7, -1e-7]
    for i in -6000...6000 { list.append(Float(i) / 400 + Float(i % 7) * 1e-5) }
    for i in 1...60 { list += [15 * Float(i), -15 * Float(i)] }
    return list + [5000, -5000, 1e4, -1e4]
  }()

  static func run(
    _ activation: Activation, _ numbers: [Float], keepsDerivative: Bool = true
  ) -> (value: [Float], derivative: [Float]) {
    let u = Cells(1, numbers.count) { numbers[$1] }
    let y = Cells(1, numbers.count)
    activate(u.view, bias: nil, activation, into: y.view, keepsDerivative: keepsDerivative)
    return (y.values, u.values)
  }

  @Test(arguments: Activation.allCases)
  func valueAndDerivative(_ activation: Activation) {
    let (values, derivatives) = Self.run(activation, Self.numbers)
    var (worstValue, worstDerivative): ((Double, Float), (Double, Float)) = ((0, 0), (0, 0))
    for (i, x) in Self.numbers.enumerated() {
      let expected = ActivationReference(activation, Double(x))
      let valueExcess = abs(Double(values[i]) - expected.value) - expected.valueBound
      let derivativeExcess = abs(Double(derivatives[i]) - expected.derivative) - expected.derivativeBound
      if !(valueExcess <= worstValue.0) { worstValue = (valueExcess, x) }
      if !(derivativeExcess <= worstDerivative.0) { worstDerivative = (derivativeExcess, x) }
    }
    #expect(worstValue.0 == 0, "the value at \(worstValue.1) is outside its bound by \(worstValue.0)")
    #expect(
      worstDerivative.0 == 0,
      "the derivative at \(worstDerivative.1) is outside its bound by \(worstDerivative.0)")
  }

  /// The derivative that the bound is about is the one of the function: truncation h²/6·f‴, |f‴| < 10, and 1e-16 / h
  /// of rounding in `Double`.
  @Test(arguments: Activation.allCases)
  func derivativeIsThatOfTheValue(_ activation: Activation) {
    let h = 1e-5
    for x in Self.numbers where abs(x) < 40 && abs(x) > 2e-5 {
      let x = Double(x)
      let difference =
        (ActivationReference.value(activation, x + h) - ActivationReference.value(activation, x - h))
        / (2 * h)
      expectClose(
        ActivationReference(activation, x).derivative, difference, absolute: 2e-9 + 1e-10 * abs(x), "at \(x)")
    }
  }

  /// Every width and stride, with and without a bias, in place and beside, gives what one number alone gives.
  @Test(arguments: Activation.allCases, widths)
  func rows(_ activation: Activation, _ columns: Int) {
    for hasBias in [false, true] {
      let u = Cells(3, columns, margin: columns % 4, seed: columns, in: -4...4)
      let bias = Cells(1, columns, seed: 5)
      let before = u.view
      let sums = (0..<3 * columns).map {
        before.row($0 / columns)[$0 % columns] + (hasBias ? bias.base[$0 % columns] : 0)
      }
      let (values, derivatives) = Self.run(activation, sums)
      let y = Cells(3, columns, margin: 2)
      let inPlace = Cells(3, columns, margin: 1) { u.view.row($0)[$1] }
      activate(u.view, bias: hasBias ? bias.base : nil, activation, into: y.view, keepsDerivative: true)
      activate(
        inPlace.view, bias: hasBias ? bias.base : nil, activation, into: inPlace.view, keepsDerivative: false)
      // A vectorised loop and its rest may differ in the last place where one of them fuses.
      expectClose(y.values, values, relative: 4 * KernelsTests.u, absolute: 1e-7, "values")
      expectClose(inPlace.values, values, relative: 4 * KernelsTests.u, absolute: 1e-7, "values in place")
      expectClose(u.values, derivatives, relative: 4 * KernelsTests.u, absolute: 1e-6, "derivatives")
      #expect(u.isIntactAround && y.isIntactAround && inPlace.isIntactAround)
    }
  }

  /// A number that is none must reach the loss, where the run is stopped.
  @Test(arguments: Activation.allCases)
  func notANumberShows(_ activation: Activation) {
    for columns in [1, 20] {
      let numbers = [Float](repeating: .nan, count: columns)
      #expect(Self.run(activation, numbers).value.allSatisfy { $0.isNaN })
    }
  }

  @Test
  func names() {
    let names: [(String, Activation?)] = [
      ("gelu", .gelu), ("gelu_new", .geluTanh), ("gelu_pytorch_tanh", .geluTanh), ("relu", .relu),
      ("swish", .swish), ("silu", .swish), ("tanh", .tanh), ("GELU", nil), ("gelu_10", nil), ("", nil),
    ]
    for (name, activation) in names {
      #expect(Activation(configurationName: name) == activation, "\(name)")
    }
  }
}
