import Glibc
import Kernels
import Tensors
import TestSupport
import Testing

/// Kernels that work on elements and whole rows: each does one rounding a number, so most results are exact.
@Suite
struct RowTests {
  static let shapes = widths.filter { $0 < 200 }.flatMap { columns in
    [0, 1, 5].map { (rows: $0, columns: columns) }
  }

  static func pair(_ rows: Int, _ columns: Int) -> (Cells, Cells) {
    (
      Cells(rows, columns, margin: columns % 3, seed: 1, in: -3...3),
      Cells(rows, columns, margin: columns % 2, seed: 2)
    )
  }

  @Test(arguments: shapes)
  func scales(_ rows: Int, _ columns: Int) {
    let x = Self.pair(rows, columns).0
    let expected = x.values.map { $0 * -0.3 }
    scale(x.view, by: -0.3)
    #expect(x.values == expected && x.isIntactAround)
  }

  @Test(arguments: shapes)
  func adds(_ rows: Int, _ columns: Int) {
    let (x, y) = Self.pair(rows, columns)
    let expected = zip(x.values, y.values).map { $0 + $1 }
    add(y.view, to: x.view)
    #expect(x.values == expected && x.isIntactAround && y.isIntactAround)
  }

  @Test(arguments: shapes)
  func subtracts(_ rows: Int, _ columns: Int) {
    let (x, y) = Self.pair(rows, columns)
    let expected = zip(x.values, y.values).map { $0 - $1 }
    subtract(y.view, from: x.view)
    #expect(x.values == expected && x.isIntactAround && y.isIntactAround)
  }

  @Test(arguments: shapes)
  func scalesColumns(_ rows: Int, _ columns: Int) {
    let (x, factors) = (Self.pair(rows, columns).0, Cells(1, columns, seed: 3))
    let expected = x.values.enumerated().map { $1 * factors.base[$0 % columns] }
    scaleColumns(x.view, by: factors.base)
    #expect(x.values == expected && x.isIntactAround)
  }

  /// Sums of at most five products, in any order, fused or not: each wrong by a rounding.
  @Test(arguments: shapes)
  func sumsProductsOfColumns(_ rows: Int, _ columns: Int) {
    let (x, y) = Self.pair(rows, columns)
    let total = Cells(1, columns, seed: 4)
    let expected = (0..<columns).map { c in
      (0..<rows).reduce(Double(total.base[c])) { $0 + Double(x.view.row($1)[c]) * Double(y.view.row($1)[c]) }
    }
    sumProducts(x.view, y.view, addingTo: total.base)
    expectClose(total.values, expected, absolute: 10 * 16 * u)
    #expect(total.isIntactAround && x.isIntactAround && y.isIntactAround)
  }

  @Test(arguments: [1, 2, 3, 5], [0, 1, 15, 16, 100, 768, 3072])
  func partsOfWorkersCoverEverythingOnce(_ count: Int, _ total: Int) {
    let parts = (0..<count).map { workerPart($0, of: count, total: total) }
    #expect(parts.flatMap { Array($0) } == Array(0..<total))
    #expect(parts.dropLast().allSatisfy { $0.upperBound % 16 == 0 })
  }

  @Test(arguments: shapes)
  func vectors(_ rows: Int, _ columns: Int) {
    let (x, vector) = (Self.pair(rows, columns).0, Cells(1, columns, seed: 3))
    let expected = x.values.enumerated().map { $1 + vector.base[$0 % columns] }
    addToRows(x.view, vector.base)
    #expect(x.values == expected && x.isIntactAround)
    fillRows(x.view, with: vector.base)
    #expect(x.values == (0..<rows).flatMap { _ in vector.values } && x.isIntactAround)
  }

  @Test(arguments: shapes)
  func products(_ rows: Int, _ columns: Int) {
    let (x, y) = Self.pair(rows, columns)
    let expected = zip(x.values, y.values).map { $0 * $1 }
    let factors = y.values
    multiplyElements(x.view, by: y.view)
    #expect(x.values == expected && y.values == factors && x.isIntactAround)
  }

  @Test(arguments: shapes)
  func tanhOfRows(_ rows: Int, _ columns: Int) {
    let (x, dy) = Self.pair(rows, columns)
    let expected = x.values.map { tanh(Double($0)) }
    tanhRows(x.view)
    expectClose(x.values, expected, relative: u)
    let gradients = zip(dy.doubles.flatMap { $0 }, expected).map { $0 * (1 - $1 * $1) }
    tanhBackward(dy.view, y: x.view)
    expectClose(dy.values, gradients, absolute: 4 * u)
    #expect(x.isIntactAround && dy.isIntactAround)
  }

  /// Rows in any order, some twice, some never.
  @Test(arguments: [1, 15, 16, 33])
  func gathersAndScatters(_ columns: Int) {
    let x = Cells(6, columns, margin: 2, seed: 1)
    let indices: [Int32] = [5, 0, 0, 3]
    let y = Cells(4, columns, margin: 1)
    gatherRows(x.view, indices, into: y.view)
    let rows = x.doubles
    #expect(y.doubles == [rows[5], rows[0], rows[0], rows[3]] && y.isIntactAround)

    let before = x.values
    let dy = Cells(4, columns, seed: 2)
    scatterAddRows(dy.view, indices, to: x.view)
    for r in 0..<6 {
      for c in 0..<columns {
        // In the order of the rows, as the floating-point sum of two rows depends on it.
        var expected = before[r * columns + c]
        for (i, index) in indices.enumerated() where index == r { expected += dy.view.row(i)[c] }
        #expect(x.view.row(r)[c] == expected, "row \(r), column \(c)")
      }
    }
    #expect(x.isIntactAround)
  }

  @Test
  func differentShapesAreRefused() async {
    await #expect(processExitsWith: .failure) { add(Cells(2, 3).view, to: Cells(3, 2).view) }
  }
}

@Suite
struct MaskTests {
  /// A mask of a row is padded to whole groups of 128 bytes: rows must be found behind the padding.
  @Test(arguments: [1, 15, 16, 17, 100, 128, 129, 300])
  func appliesAndAdds(_ columns: Int) {
    let rows = 4
    let size = rows * Dropout.maskStride(columns)
    let bytes = UnsafeMutablePointer<UInt8>.allocate(capacity: size)
    defer { bytes.deallocate() }
    for i in 0..<size { bytes[i] = (i * 11) % 7 < 2 ? 0 : 1 }
    let mask = Mask(base: bytes, columns: columns, scale: 1.125)
    #expect(mask.stride % 128 == 0 && mask.stride >= columns && mask.stride < columns + 128)

    let x = Cells(rows, columns, margin: 3, seed: 1)
    let expected = (0..<rows * columns).map { i in
      Float(bytes[i / columns * Dropout.maskStride(columns) + i % columns]) * 1.125
        * x.view.row(i / columns)[i % columns]
    }
    let (y, total) = (Cells(rows, columns, margin: 1), Cells(rows, columns, margin: 2, seed: 2))
    let sums = zip(total.values, expected).map { Double($0) + Double($1) }
    applyMask(mask, x.view, into: y.view)
    #expect(y.values == expected && y.isIntactAround)
    addMasked(mask, x.view, to: total.view)
    expectClose(total.values, sums, absolute: 3 * u, "sum of the masked")
    #expect(total.isIntactAround)
    applyMask(mask, x.view, into: x.view)
    #expect(x.values == expected && x.isIntactAround, "in place")
  }
}
