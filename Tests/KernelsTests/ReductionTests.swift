import Kernels
import Tensors
import TestSupport
import Testing

/// Sums against `Double`. Sixteen partial sums of n/16 terms each, added up in a tree or one after another, are wrong
/// by at most (n/16 + 20)·u·Σ|term|; a product adds one rounding more.
@Suite
struct ReductionTests {
  static let counts = widths + [0, 63, 1000, 4095, 4096, 4097, 10_000]

  static func bound(_ count: Int, _ magnitude: Double) -> Double { (Double(count) / 16 + 21) * u * magnitude }

  @Test(arguments: counts)
  func sums(_ count: Int) {
    let (x, y) = (Cells(1, count, seed: count), Cells(1, count, seed: -count - 1, in: -3...3))
    let (dx, dy) = (x.values.map { Double($0) }, y.values.map { Double($0) })
    let products = zip(dx, dy).map { $0 * $1 }
    expectClose(
      sum(x.base, count), dx.reduce(0, +), absolute: Self.bound(count, dx.reduce(0) { $0 + abs($1) }), "sum")
    expectClose(
      dot(x.base, y.base, count), products.reduce(0, +),
      absolute: Self.bound(count, products.reduce(0) { $0 + abs($1) }), "dot")
  }

  /// Every element counts once, wherever it stands: sums of powers of two are exact.
  @Test
  func everyElementCountsOnce() {
    for count in [1, 15, 16, 17, 40, 4099] {
      let ones = Cells(1, count) { _, _ in 1 }
      #expect(sum(ones.base, count) == Float(count))
      #expect(dot(ones.base, ones.base, count) == Float(count))
      #expect(sumOfSquares(ones.base, count) == Double(count))
      for i in stride(from: 0, to: count, by: max(1, count / 40)) {
        ones.base[i] = 3
        #expect(sum(ones.base, count) == Float(count + 2), "element \(i) of \(count)")
        #expect(dot(ones.base, ones.base, count) == Float(count + 8), "element \(i) of \(count)")
        #expect(sumOfSquares(ones.base, count) == Double(count + 8), "element \(i) of \(count)")
        ones.base[i] = 1
      }
    }
  }

  /// Over millions of numbers the relative error stays that of a block of 4,096, as the sum of the blocks is `Double`.
  @Test(arguments: [0, 1, 4096, 4097, 300_001])
  func squares(_ count: Int) {
    let x = Cells(1, count, seed: count, in: 0.5...1)
    let expected = x.values.reduce(0.0) { $0 + Double($1) * Double($1) }
    expectClose(sumOfSquares(x.base, count), expected, relative: (4096 / 16 + 21) * u)
  }

  @Test(arguments: widths, [0, 1, 2, 3, 4, 5, 8, 11])
  func rowSums(_ columns: Int, _ rows: Int) {
    let x = Cells(rows, columns, margin: columns % 3, seed: 7)
    let total = Cells(1, columns, seed: 8)
    let (dx, before) = (x.doubles, total.doubles[0])
    sumRows(x.view, addingTo: total.base)
    for c in 0..<columns {
      let expected = (0..<rows).reduce(before[c]) { $0 + dx[$1][c] }
      let magnitude = (0..<rows).reduce(abs(before[c])) { $0 + abs(dx[$1][c]) }
      expectClose(total.base[c], expected, absolute: Double(rows + 1) * u * magnitude, "column \(c)")
    }
    #expect(total.isIntactAround && x.isIntactAround)
  }

  /// A worker's gradients move to the rank's and leave zeros behind: exactly one addition each.
  @Test(arguments: [0, 1, 15, 16, 17, 1000])
  func moves(_ count: Int) {
    let (from, onto) = (Cells(1, count, seed: 1), Cells(1, count, seed: 2))
    let expected = zip(from.values, onto.values).map { $0 + $1 }
    moveSum(from.base, to: onto.base, count)
    #expect(onto.values == expected)
    #expect(from.values.allSatisfy { $0 == 0 })
    #expect(from.isIntactAround && onto.isIntactAround)
  }
}
