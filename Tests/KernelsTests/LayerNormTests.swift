import Kernels
import Tensors
import TestSupport
import Testing

@Suite
struct LayerNormTests {
  /// What is added and masked before the row is normalised.
  struct Case: Sendable, CustomStringConvertible {
    let columns: Int
    let hasBias: Bool, hasMask: Bool, hasResidual: Bool
    var description: String {
      "\(columns) columns" + (hasBias ? ", bias" : "") + (hasMask ? ", mask" : "")
        + (hasResidual ? ", residual" : "")
    }
  }

  static let cases = [2, 7, 16, 17, 33, 64, 100, 768].flatMap { columns in
    (0..<8).map { Case(columns: columns, hasBias: $0 & 1 > 0, hasMask: $0 & 2 > 0, hasResidual: $0 & 4 > 0) }
  }

  /// Everything that a call takes, kept alive together.
  final class Inputs {
    static let rows = 5
    let x: Cells, residual: Cells, gamma: Cells, beta: Cells, bias: Cells, y: Cells, deviations: Cells
    let maskBytes: UnsafeMutablePointer<UInt8>
    let mask: Mask
    let test: Case
    let epsilon: Float = 1e-5

    init(_ test: Case) {
      self.test = test
      let columns = test.columns
      x = Cells(Self.rows, columns, margin: columns % 3, seed: 1, in: -2...3)
      residual = Cells(Self.rows, columns, margin: 1, seed: 2)
      y = Cells(Self.rows, columns, margin: columns % 2)
      gamma = Cells(1, columns, seed: 3, in: 0.5...1.5)
      beta = Cells(1, columns, seed: 4)
      bias = Cells(1, columns, seed: 5)
      deviations = Cells(1, Self.rows)
      let size = Self.rows * Dropout.maskStride(columns)
      maskBytes = .allocate(capacity: size)
      for i in 0..<size { maskBytes[i] = (i * 7) % 5 == 0 ? 0 : 1 }
      mask = Mask(base: maskBytes, columns: columns, scale: 1.25)
    }

    deinit { maskBytes.deallocate() }

    func forward() {
      normalizeSum(
        x.view, bias: test.hasBias ? bias.base : nil, mask: test.hasMask ? mask : nil,
        residual: test.hasResidual ? residual.view : nil, gamma: gamma.base, beta: beta.base,
        epsilon: epsilon,
        into: y.view, inverseDeviations: deviations.base)
    }

    /// The sum that is normalised, in `Double`.
    func sums(_ x: [[Double]]) -> [[Double]] {
      let (bias, residual) = (bias.doubles[0], residual.doubles)
      return (0..<Self.rows).map { r in
        (0..<test.columns).map { c in
          var h = x[r][c] + (test.hasBias ? bias[c] : 0)
          if test.hasMask { h *= Double(mask.row(r)[c]) * Double(mask.scale) }
          return h + (test.hasResidual ? residual[r][c] : 0)
        }
      }
    }
  }

  /// Mean, inverse deviation and normalised row in `Double`.
  static func normalize(_ h: [Double], epsilon: Double) -> (normalized: [Double], inverse: Double) {
    let mean = h.reduce(0, +) / Double(h.count)
    let variance = h.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(h.count)
    let inverse = 1 / (variance + epsilon).squareRoot()
    return (h.map { ($0 - mean) * inverse }, inverse)
  }

  /// Numbers of size 5 with a deviation near 1: sum, mean and difference are wrong by at most (n/16 + 24)·u·5, which
  /// the division by the deviation keeps; the deviation itself is wrong by as much again, relatively.
  static func bound(_ columns: Int, inverse: Double) -> Double {
    (Double(columns) / 16 + 24) * u * 5 * max(1, inverse) * 2
  }

  @Test(arguments: cases)
  func forward(_ test: Case) {
    let inputs = Inputs(test)
    let sums = inputs.sums(inputs.x.doubles)
    inputs.forward()
    for r in 0..<Inputs.rows {
      let expected = Self.normalize(sums[r], epsilon: Double(inputs.epsilon))
      let bound = Self.bound(test.columns, inverse: expected.inverse)
      expectClose(inputs.x.doubles[r], expected.normalized, absolute: bound, "normalised row \(r)")
      let y = (0..<test.columns).map {
        expected.normalized[$0] * Double(inputs.gamma.base[$0]) + Double(inputs.beta.base[$0])
      }
      expectClose(inputs.y.doubles[r], y, absolute: 1.5 * bound + 4 * u, "output row \(r)")
      expectClose(inputs.deviations.base[r], expected.inverse, relative: bound, "deviation of row \(r)")
    }
    #expect(inputs.x.isIntactAround && inputs.y.isIntactAround && inputs.deviations.isIntactAround)
  }

  /// A mean far from zero must not cost the variance its digits: the difference from the mean is squared, not the
  /// numbers. What is left is the rounding of the inputs' mean, 1000 · (n/16 + 24) u.
  @Test
  func largeMean() {
    let x = Cells(1, 48) { _, c in 1000 + Float(c % 2) }
    let (ones, zeros, deviation) = (Cells(1, 48) { _, _ in 1 }, Cells(1, 48), Cells(1, 1))
    let y = Cells(1, 48)
    normalizeSum(
      x.view, bias: nil, mask: nil, residual: nil, gamma: ones.base, beta: zeros.base, epsilon: 1e-12,
      into: y.view,
      inverseDeviations: deviation.base)
    expectClose(y.values, (0..<48).map { $0 % 2 == 0 ? -1.0 : 1 }, absolute: 1000 * 27 * 2 * u)
  }

  /// Epsilon keeps a constant row finite: deviation √ε, output β.
  @Test
  func constantRow() {
    let x = Cells(1, 20) { _, _ in 3 }
    let (gamma, beta, deviation) = (Cells(1, 20, seed: 1), Cells(1, 20, seed: 2), Cells(1, 1))
    let y = Cells(1, 20)
    normalizeSum(
      x.view, bias: nil, mask: nil, residual: nil, gamma: gamma.base, beta: beta.base, epsilon: 1e-12,
      into: y.view,
      inverseDeviations: deviation.base)
    #expect(y.values == beta.values)
    expectClose(deviation.base[0], 1e6, relative: 4 * u)
  }

  /// Against the formula in `Double` from the forward's own output, and against central differences of the `Double`
  /// forward: L = Σ weight·y, so dL/dy is `dy`.
  @Test(arguments: cases.filter { !$0.hasBias }, [false, true])
  func backward(_ test: Case, _ inPlace: Bool) {
    let inputs = Inputs(test)
    let sums = inputs.sums(inputs.x.doubles)
    inputs.forward()
    let dy = Cells(Inputs.rows, test.columns, margin: 1, seed: 9)
    let dh = inPlace ? dy : Cells(Inputs.rows, test.columns, margin: 2)
    let (dGamma, dBeta) = (Cells(1, test.columns, seed: 10), Cells(1, test.columns, seed: 11))
    let (weights, gammaBefore, betaBefore) = (dy.doubles, dGamma.doubles[0], dBeta.doubles[0])
    normalizeBackward(
      dy.view, normalized: inputs.x.view, inverseDeviations: inputs.deviations.base, gamma: inputs.gamma.base,
      into: dh.view, dGamma: dGamma.base, dBeta: dBeta.base)

    let gamma = inputs.gamma.doubles[0]
    var (expectedGamma, expectedBeta) = (gammaBefore, betaBefore)
    for r in 0..<Inputs.rows {
      func loss(_ h: [Double]) -> Double {
        let normalized = Self.normalize(h, epsilon: Double(inputs.epsilon)).normalized
        return (0..<test.columns).reduce(0) { $0 + weights[r][$1] * gamma[$1] * normalized[$1] }
      }
      let row = Self.normalize(sums[r], epsilon: Double(inputs.epsilon))
      for c in stride(from: 0, to: test.columns, by: max(1, test.columns / 16)) {
        let step = 1e-4
        var (above, below) = (sums[r], sums[r])
        above[c] += step
        below[c] -= step
        // Truncation step²/6·|f‴|, with |f‴| below 100 inverse³; the kernel's rounding as in forward.
        let bound = Self.bound(test.columns, inverse: row.inverse) * 4 * row.inverse
        expectClose(
          Double(dh.view.row(r)[c]), (loss(above) - loss(below)) / (2 * step),
          absolute: bound + 100 * step * step * row.inverse * row.inverse * row.inverse,
          "row \(r), column \(c)")
      }
      for c in 0..<test.columns {
        expectedGamma[c] += weights[r][c] * row.normalized[c]
        expectedBeta[c] += weights[r][c]
      }
    }
    let bound = Self.bound(test.columns, inverse: 2) * Double(Inputs.rows)
    expectClose(dGamma.values, expectedGamma, absolute: bound, "dGamma")
    expectClose(dBeta.values, expectedBeta, absolute: 10 * u, "dBeta")
    #expect(dh.isIntactAround && dGamma.isIntactAround && dBeta.isIntactAround)
  }

  /// The gradient of what was dropped out: the sum's times mask and scale; without a mask the sum's itself.
  @Test(arguments: [7, 16, 40, 768], [false, true])
  func gradientBeforeDropout(_ columns: Int, _ hasMask: Bool) {
    let inputs = Inputs(Case(columns: columns, hasBias: true, hasMask: hasMask, hasResidual: true))
    inputs.forward()
    let dy = Cells(Inputs.rows, columns, seed: 9)
    let (dh, dx) = (Cells(Inputs.rows, columns, margin: 1), Cells(Inputs.rows, columns, margin: 2))
    normalizeBackward(
      dy.view, normalized: inputs.x.view, inverseDeviations: inputs.deviations.base, gamma: inputs.gamma.base,
      into: dh.view, dropout: (hasMask ? inputs.mask : nil, dx.view, nil), dGamma: nil, dBeta: nil)
    let expected = each(Inputs.rows, columns) { r, c in
      Double(dh.view.row(r)[c]) * (hasMask ? Double(inputs.mask.row(r)[c]) * Double(inputs.mask.scale) : 1)
    }
    expectClose(dx.values, expected, relative: 2 * u)
    #expect(dx.isIntactAround && dh.isIntactAround)
  }

  /// Without γ's and β's gradients (frozen) the input's gradient is the same to the last bit.
  @Test
  func frozenBackward() {
    let inputs = Inputs(Case(columns: 40, hasBias: true, hasMask: true, hasResidual: true))
    inputs.forward()
    let dy = Cells(Inputs.rows, 40, seed: 9)
    let (with, without) = (Cells(Inputs.rows, 40), Cells(Inputs.rows, 40))
    let (dGamma, dBeta) = (Cells(1, 40), Cells(1, 40))
    normalizeBackward(
      dy.view, normalized: inputs.x.view, inverseDeviations: inputs.deviations.base, gamma: inputs.gamma.base,
      into: with.view, dGamma: dGamma.base, dBeta: dBeta.base)
    normalizeBackward(
      dy.view, normalized: inputs.x.view, inverseDeviations: inputs.deviations.base, gamma: inputs.gamma.base,
      into: without.view, dGamma: nil, dBeta: nil)
    #expect(with.values == without.values)
  }
}
