import Glibc
import Kernels
import Tensors
import TestSupport
import Testing

@Suite
struct CrossEntropyTests {
  /// Logits, the right class, and the loss by hand.
  @Test
  func knownLosses() {
    let equal: [Float] = [0.5, 0.5, 0.5]
    expectClose(crossEntropy(equal, count: 3, label: 1, gradient: nil), log(3.0), relative: 1e-15)
    let two: [Float] = [2, -1]
    expectClose(crossEntropy(two, count: 2, label: 0, gradient: nil), log(1 + exp(-3.0)), relative: 1e-14)
    expectClose(crossEntropy(two, count: 2, label: 1, gradient: nil), 3 + log(1 + exp(-3.0)), relative: 1e-14)
    expectClose(crossEntropy([7], count: 1, label: 0, gradient: nil), 0, absolute: 0)
  }

  /// Logits so far apart that a probability is 0 or 1 in any format: the loss is their distance, nothing overflows.
  @Test(arguments: [Float(100), 1e4, 1e30])
  func farApart(_ distance: Float) {
    var gradient: [Float] = [9, 9]
    expectClose(
      crossEntropy([distance, -distance], count: 2, label: 1, gradient: &gradient), 2 * Double(distance),
      relative: 1e-15)
    expectClose(gradient, [1.0, -1], absolute: 0)
    #expect(crossEntropy([distance, -distance], count: 2, label: 0, gradient: &gradient) < 1e-80)
  }

  /// The gradient against central differences of a `Double` loss, the loss against the kernel: both in `Double`, so
  /// only the truncation, 1e-5² / 6, and 1e-16 / 1e-5 of rounding remain; the gradient is rounded to `Float` once.
  @Test(arguments: [2, 3, 17, 100])
  func gradient(_ count: Int) {
    var numbers = MadeUpNumbers(count)
    let logits = numbers.numbers(count, in: -5...5)
    let label = numbers.index(below: count)
    func loss(_ x: [Double]) -> Double { log(x.reduce(0) { $0 + exp($1) }) - x[label] }
    let doubles = logits.map { Double($0) }
    var gradient = [Float](repeating: .nan, count: count)
    expectClose(
      crossEntropy(logits, count: count, label: label, gradient: &gradient), loss(doubles), relative: 1e-13)
    for c in 0..<count {
      var (above, below) = (doubles, doubles)
      above[c] += 1e-5
      below[c] -= 1e-5
      expectClose(Double(gradient[c]), (loss(above) - loss(below)) / 2e-5, absolute: 1e-9 + u, "class \(c)")
    }
    expectClose(gradient.reduce(0.0) { $0 + Double($1) }, 0, absolute: Double(count) * u)

    let inPlace = Cells(1, count) { logits[$1] }
    _ = crossEntropy(inPlace.base, count: count, label: label, gradient: inPlace.base)
    #expect(inPlace.values == gradient, "the gradient may overwrite the logits")
    #expect(inPlace.isIntactAround)
  }

  @Test(arguments: [Float(0.1), 1, 50, 1000])
  func probabilities(_ size: Float) {
    var numbers = MadeUpNumbers(3)
    let logits = numbers.numbers(11, in: -size...size)
    let largest = logits.map { Double($0) }.max() ?? 0
    let total = logits.reduce(0.0) { $0 + exp(Double($1) - largest) }
    let found = softmaxProbabilities(logits, count: 11)
    expectClose(found, logits.map { exp(Double($0) - largest) / total }, relative: 1e-14)
    expectClose(found.reduce(0, +), 1, absolute: 1e-15 * 11)
  }

  /// The run has to notice: status 76 depends on it.
  @Test
  func notANumberShows() {
    #expect(!crossEntropy([.nan, 1], count: 2, label: 1, gradient: nil).isFinite)
    #expect(!crossEntropy([1, .nan], count: 2, label: 0, gradient: nil).isFinite)
    #expect(!crossEntropy([.infinity, 1], count: 2, label: 1, gradient: nil).isFinite)
  }
}
