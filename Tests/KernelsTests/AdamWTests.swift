import Glibc
import Kernels
import Tensors
import TestSupport
import Testing

@Suite
struct AdamWTests {
  struct Case: Sendable, CustomStringConvertible {
    var count = 37
    var beta1 = 0.9
    var beta2 = 0.999
    var epsilon = 1e-8
    var learningRate: Float = 1e-2
    var weightDecay: Float = 0
    var gradientScale = 1.0
    var description: String {
      "\(count) numbers, β₁ \(beta1), β₂ \(beta2), ε \(epsilon), η \(learningRate), λ \(weightDecay), "
        + "scale \(gradientScale)"
    }
  }

  static let cases: [Case] = [
    Case(), Case(count: 1), Case(count: 16), Case(count: 1000), Case(weightDecay: 0.1),
    Case(weightDecay: 0.01, gradientScale: 0.03125), Case(beta1: 0.5, beta2: 0.9, epsilon: 1e-3),
    Case(beta1: 0, beta2: 0.99), Case(epsilon: 1, weightDecay: 0.5, gradientScale: 7), Case(learningRate: 0),
  ]

  /// The paper's algorithm 2 in `Double`: decay, moments, corrected moments, step.
  struct Reference {
    var p: [Double], m: [Double], v: [Double]

    mutating func step(_ t: Int, _ g: [Double], _ c: Case) {
      let rate = Double(c.learningRate)
      for i in p.indices {
        let gradient = g[i] * c.gradientScale
        p[i] *= 1 - rate * Double(c.weightDecay)
        m[i] = c.beta1 * m[i] + (1 - c.beta1) * gradient
        v[i] = c.beta2 * v[i] + (1 - c.beta2) * gradient * gradient
        let corrected = m[i] / (1 - pow(c.beta1, Double(t)))
        p[i] -= rate * corrected / ((v[i] / (1 - pow(c.beta2, Double(t)))).squareRoot() + c.epsilon)
      }
    }
  }

  /// Twelve steps. Each rounds v some four times (β₂, its product, g², the sum), so v is wrong by 12 · 4u at most, its
  /// root by half of that; m's products and sum likewise. A step's quotient is below 5 (m̂/√v̂ while β₁ < β₂), so a step is
  /// wrong by at most 5 η times both, and u of the parameter.
  @Test(arguments: cases)
  func severalSteps(_ test: Case) {
    let values = Cells(1, test.count, seed: 1, in: -2...2)
    let gradients = Cells(1, test.count)
    let (m, v) = (Cells(1, test.count), Cells(1, test.count))
    var reference = Reference(p: values.doubles[0], m: m.doubles[0], v: v.doubles[0])
    var numbers = MadeUpNumbers(2)
    let steps = 12
    for t in 1...steps {
      for i in 0..<test.count { gradients.base[i] = numbers.number(in: -1...1) * (i % 3 == 0 ? 1e-3 : 1) }
      reference.step(t, gradients.doubles[0], test)
      let step = AdamWStep(
        beta1: test.beta1, beta2: test.beta2, epsilon: test.epsilon, step: t,
        gradientScale: test.gradientScale)
      adamWUpdate(
        values: values.base, gradients: gradients.base, firstMoments: m.base, secondMoments: v.base,
        count: test.count, learningRate: test.learningRate, weightDecay: test.weightDecay, step: step)
      #expect(gradients.values.allSatisfy { $0 == 0 }, "gradients are zero for the next step")
    }
    let bound = Double(steps) * (5 * Double(test.learningRate) * 64 * u + 4 * u)
    expectClose(values.values, reference.p, absolute: bound, "parameters")
    let size = test.gradientScale
    expectClose(m.values, reference.m, absolute: Double(steps) * 8 * u * size, "first moments")
    expectClose(
      v.values, reference.v, relative: Double(steps) * 4 * u, absolute: Double(steps) * 4 * u * size * size * 0.1,
      "second")
    #expect([values, gradients, m, v].allSatisfy { $0.isIntactAround })
  }

  /// The first step moves every parameter by the learning rate against its gradient's sign, whatever its size.
  @Test(arguments: [Float(1e-4), 1, 1e4])
  func firstStep(_ size: Float) {
    let values = Cells(1, 4)
    let gradients = Cells(1, 4) { _, c in c % 2 == 0 ? size : -size }
    let (m, v) = (Cells(1, 4), Cells(1, 4))
    adamWUpdate(
      values: values.base, gradients: gradients.base, firstMoments: m.base, secondMoments: v.base, count: 4,
      learningRate: 0.5, weightDecay: 0,
      step: AdamWStep(beta1: 0.9, beta2: 0.999, epsilon: 1e-12, step: 1, gradientScale: 1))
    expectClose(values.values, [-0.5, 0.5, -0.5, 0.5], relative: 8 * u)
  }

  /// Weight decay is decoupled: a parameter without gradient shrinks by exactly 1 − ηλ, its moments stay zero.
  @Test
  func decayAlone() {
    let values = Cells(1, 3) { _, c in Float(c + 1) }
    let (gradients, m, v) = (Cells(1, 3), Cells(1, 3), Cells(1, 3))
    adamWUpdate(
      values: values.base, gradients: gradients.base, firstMoments: m.base, secondMoments: v.base, count: 3,
      learningRate: 0.5, weightDecay: 0.25,
      step: AdamWStep(beta1: 0.9, beta2: 0.999, epsilon: 1e-8, step: 3, gradientScale: 1))
    #expect(values.values == [0.875, 1.75, 2.625])
    #expect(m.values == [0, 0, 0] && v.values == [0, 0, 0])
  }

  /// Far into a run the corrections are 1, however many steps that is.
  @Test
  func corrections() {
    for step in [1, 2, 3, 10, 1000, 100_000] {
      let constants = AdamWStep(beta1: 0.9, beta2: 0.999, epsilon: 1e-8, step: step, gradientScale: 2)
      expectClose(constants.correction1, 1 / (1 - pow(0.9, Double(step))), relative: u)
      expectClose(constants.correction2, 1 / (1 - pow(0.999, Double(step))).squareRoot(), relative: u)
      #expect(constants.gradientScale == 2)
    }
  }
}
