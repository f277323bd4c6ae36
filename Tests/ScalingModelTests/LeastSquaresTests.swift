import Foundation
import ScalingModel
import Testing

@Suite("Least squares")
struct LeastSquaresTests {
  @Test("known coefficients are found again")
  func recovers() {
    let truth: [Double] = [3, 0.5, 2e-6]
    let rows: [[Double]] = (0..<20).map { (i: Int) -> [Double] in
      let x = Double(i)
      return [1, x, x * x * 1e5 + Double(i % 3)]
    }
    let targets: [Double] = rows.map { $0[0] * truth[0] + $0[1] * truth[1] + $0[2] * truth[2] }
    let found = LeastSquares.nonNegative(rows, targets)
    for (a, b) in zip(found, truth) { #expect(abs(a - b) <= 1e-8 * b) }
  }

  @Test("what would be negative is zero, and the rest is the best that is left")
  func staysAboveZero() {
    // y = 2x − 1 on 1…4: without a negative constant the best slope is Σxy/Σx².
    let rows = (1...4).map { [1, Double($0)] }
    let targets = (1...4).map { 2 * Double($0) - 1 }
    let found = LeastSquares.nonNegative(rows, targets)
    #expect(found[0] == 0)
    #expect(abs(found[1] - 50.0 / 30) < 1e-12)
  }

  @Test("weights decide between rows that disagree")
  func weighs() {
    let found = LeastSquares.nonNegative([[1], [1]], [1, 4], weights: [3, 1])
    #expect(abs(found[0] - 7.0 / 4) < 1e-12)
  }

  @Test("a column that no row has is zero")
  func ignoresEmptyColumns() {
    #expect(LeastSquares.nonNegative([[1, 0], [2, 0]], [2, 4])[1] == 0)
    #expect(LeastSquares.nonNegative([], []).isEmpty)
  }
}

@Suite("Statistics")
struct StatisticsTests {
  @Test(
    "quantiles of Student's t are those of tables",
    arguments: [
      (1.0, 12.706), (2, 4.303), (4, 2.776), (9, 2.262), (30, 2.042), (1000, 1.962),
    ])
  func quantiles(_ freedom: Double, _ expected: Double) {
    #expect(abs(Statistics.studentQuantile(0.975, freedom: freedom) - expected) < 6e-4)
  }

  @Test("an interval around a ratio")
  func ratio() {
    // Logarithms of a: 1 ± 0.1, of b: 0 ± 0.1, three of each: s² = 0.01, error = √(2 · 0.01/3), 4 degrees of freedom.
    let e = 2.718281828459045
    func power(_ x: Double) -> Double { exp(x) }
    let result = Statistics.ratio([power(0.9), e, power(1.1)], to: [power(-0.1), 1, power(0.1)])
    #expect(abs(result.value - e) < 1e-9)
    let width = 2.776445 * (2 * 0.01 / 3).squareRoot()
    #expect(abs((result.low ?? 0) - power(1 - width)) < 1e-4)
    #expect(abs((result.high ?? 0) - power(1 + width)) < 1e-4)
  }

  @Test("a single measurement has no interval")
  func single() {
    let result = Statistics.ratio([2], to: [1])
    #expect(abs(result.value - 2) < 1e-12)
    #expect(result.low == nil && result.high == nil)
  }

  @Test("Karp's and Flatt's fraction is Amdahl's where Amdahl's law holds")
  func serialFraction() {
    for workers in [2.0, 4, 16] {
      let speedup = 1 / (0.05 + 0.95 / workers)
      #expect(abs(Statistics.karpFlatt(speedup: speedup, workers: workers) - 0.05) < 1e-12)
    }
  }
}
