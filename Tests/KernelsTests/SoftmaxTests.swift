import Glibc
import Kernels
import Tensors
import TestSupport
import Testing

/// Softmax and, through it, the exponential function that the kernels share.
@Suite
struct SoftmaxTests {
  /// The softmax of (x, 0) with x ≤ 0 has the quotient eˣ. The exponential is good to 2 ulps, e⁰ is exact, and two
  /// products and the test's division round once each: 4 u around 2 ulps, that is 8 u.
  @Test
  func exponential() {
    var worst = 0.0
    for step in 0...87_000 {
      let x = -Float(step) / 1000 - Float(step % 7) * 1e-5
      let row = Cells(1, 2) { _, c in c == 0 ? x : 0 }
      softmaxRows(row.view)
      let quotient = Double(row.base[0]) / Double(row.base[1])
      let expected = exp(Double(x))
      // Below the smallest normal number the last digits go; they start to at e⁻⁸⁶ with the product's factor of 1/2.
      if expected < 0x1p-123 { continue }
      worst = max(worst, abs(quotient - expected) / expected)
    }
    expectClose(worst, 0, absolute: 8 * u, "relative error of the exponential")
  }

  /// Exact at the ends of the range: e⁰ is 1, -0 is 0, and what is far below the largest is as good as nothing.
  @Test(arguments: [Float(-87), -88, -100, -104, -1000, -1e10, -3e38, -Float.infinity])
  func farBelow(_ x: Float) {
    let row = Cells(1, 19) { _, c in c == 4 ? x : c % 2 == 0 ? 0 : -0.0 }
    softmaxRows(row.view)
    #expect(row.base[4] >= 0 && row.base[4] < 2e-38)
    expectClose(row.base[0], 1.0 / 18, relative: 4 * u)
    #expect(row.base[0] == row.base[1])
  }

  /// A value and its error bound: the exponential of a difference from the largest (2 ulps, and one rounding of the
  /// difference, which the exponential turns into a relative error of u·|x − largest|), a sum and a product.
  @Test(arguments: widths, [Float(0.01), 1, 30])
  func rows(_ columns: Int, _ size: Float) {
    let x = Cells(5, columns, margin: columns % 4, seed: columns, in: -size...size)
    let dx = x.doubles
    softmaxRows(x.view)
    for r in 0..<5 {
      let largest = dx[r].max() ?? 0
      let total = dx[r].reduce(0) { $0 + exp($1 - largest) }
      let expected = dx[r].map { exp($0 - largest) / total }
      let relative = (Double(columns) / 16 + 30 + 4 * Double(size)) * u
      expectClose(Array(x.doubles[r]), expected, relative: relative, absolute: 1e-37, "row \(r)")
      expectClose(x.doubles[r].reduce(0, +), 1, absolute: (Double(columns) / 16 + 30) * u, "sum of row \(r)")
    }
    #expect(x.isIntactAround)
  }

  /// Adding a number to a row changes nothing, even where the exponential alone would overflow.
  @Test(arguments: [Float(100), 1e4, -1e4, 1e30])
  func largeNumbers(_ shift: Float) {
    let x = Cells(1, 21) { _, c in shift + (c == 20 ? 0 : -Float(c)) }
    let expected = x.doubles[0]
    softmaxRows(x.view)
    let largest = expected.max() ?? 0
    let total = expected.reduce(0) { $0 + exp($1 - largest) }
    expectClose(x.values, expected.map { exp($0 - largest) / total }, relative: 100 * u, absolute: 1e-37)
  }

  /// A number that is none must reach the loss, where the run is stopped.
  @Test(arguments: [0, 3, 17])
  func notANumberShows(_ place: Int) {
    let row = Cells(1, 18) { _, c in c == place ? .nan : 1 }
    softmaxRows(row.view)
    #expect(row.values.allSatisfy { $0.isNaN })
  }

  /// `dx = p (dp − Σ dp·p)`; the difference cancels, so the bound is absolute: that of the sum, times p.
  @Test(arguments: widths)
  func backward(_ columns: Int) {
    let p = Cells(3, columns, margin: columns % 4, seed: columns, in: -2...2)
    softmaxRows(p.view)
    let dp = Cells(3, columns, margin: columns % 5, seed: columns + 1)
    let (dd, pp) = (dp.doubles, p.doubles)
    softmaxBackward(dp.view, p.view)
    for r in 0..<3 {
      let total = zip(dd[r], pp[r]).reduce(0) { $0 + $1.0 * $1.1 }
      for c in 0..<columns {
        let bound = pp[r][c] * (Double(columns) / 16 + 24) * u
        expectClose(Double(dp.view.row(r)[c]), pp[r][c] * (dd[r][c] - total), absolute: bound)
      }
    }
    #expect(p.doubles == pp && dp.isIntactAround)
  }
}
