import Kernels
import Tensors
import TestSupport
import Testing

/// Inner values that are scored, mixed and differentiated, against `Double`: the error model of `MixtureTests`, with
/// scales below two in size.
@Suite
struct InnerMixtureTests {
  static let shapes: [InnerParts] = [
    InnerParts(widths: [1], scales: [1]), InnerParts(widths: [7, 3], scales: [1, -1.5]),
    InnerParts(widths: [16, 33, 5], scales: [0.5, 1, 1.75]), InnerParts(widths: [129, 16], scales: [1, 1]),
  ]
  static let rowCounts = [0, 1, 3]

  /// `[h_n, 1]` of every part, and where its elements lie in what it is multiplied with.
  static func candidates(_ h: [Double], _ parts: InnerParts) -> [[(value: Double, column: Int)]] {
    (0..<parts.count).map { n in
      parts.columns(n).map { (h[$0], $0) } + [(1, parts.width + n)]
    }
  }
  static func wide(_ rows: Int, _ parts: InnerParts, _ more: Int, _ seed: Int) -> Cells {
    Cells(rows, parts.widthWithBiases + more, margin: 1, seed: seed)
  }
  static func tall(_ rows: Int, _ parts: InnerParts, _ seed: Int) -> Cells {
    Cells(rows, parts.width, margin: 2, seed: seed)
  }

  @Test
  func columns() {
    let parts = Self.shapes[2]
    #expect((0..<3).map(parts.columns) == [0..<16, 16..<49, 49..<54])
    #expect([parts.count, parts.width, parts.widthWithBiases] == [3, 54, 57])
  }

  @Test(arguments: shapes.indices, [0, 1])
  func scores(_ shape: Int, _ more: Int) {
    let parts = Self.shapes[shape]
    for rows in Self.rowCounts {
      let (h, x) = (Self.tall(rows, parts, 1), Self.wide(rows, parts, more, 2))
      let scores = Cells(rows, parts.count, margin: 3, seed: 3)
      scoreInner(h.view, x.view, parts, into: scores.view)
      let (dh, dx) = (h.doubles, x.doubles)
      let expected = each(rows, parts.count) { r, n in
        let product = Self.candidates(dh[r], parts)[n].reduce(0) { $0 + $1.value * dx[r][$1.column] }
        return Double(parts.scales[n]) * product + (more == 1 ? dx[r][parts.widthWithBiases] : 0)
      }
      let width = Double(parts.widths.max() ?? 0) + 2
      expectClose(scores.values, expected, absolute: 2 * (width / 16 + 22) * KernelsTests.u * width)
      #expect(scores.isIntactAround)
    }
  }

  @Test(arguments: shapes.indices, [0, 1])
  func mixes(_ shape: Int, _ more: Int) {
    let parts = Self.shapes[shape]
    for rows in Self.rowCounts {
      let (p, h) = (Cells(rows, parts.count, margin: 1, seed: 1), Self.tall(rows, parts, 2))
      let mix = Self.wide(rows, parts, more, 3)
      mixInner(p.view, h.view, parts, into: mix.view)
      var expected: [Double] = []
      for (share, inner) in zip(p.doubles, h.doubles) {
        var row = [Double](repeating: more == 1 ? share.reduce(0, +) : 0, count: parts.widthWithBiases + more)
        for (n, candidate) in Self.candidates(inner, parts).enumerated() {
          for element in candidate { row[element.column] = share[n] * Double(parts.scales[n]) * element.value }
        }
        expected += row
      }
      expectClose(mix.values, expected, absolute: 6 * KernelsTests.u)
      #expect(mix.isIntactAround)
    }
  }

  /// Into a matrix of its own, and into the gradient of the mixture.
  @Test(arguments: shapes.indices, [false, true])
  func gradients(_ shape: Int, _ inPlace: Bool) {
    let parts = Self.shapes[shape]
    for rows in Self.rowCounts {
      let (p, ds) = (Cells(rows, parts.count, margin: 1, seed: 1), Cells(rows, parts.count, margin: 2, seed: 2))
      let (dMix, x, own) = (Self.wide(rows, parts, 0, 3), Self.wide(rows, parts, 1, 4), Self.tall(rows, parts, 5))
      let (dp, dds, dm, dx) = (p.doubles, ds.doubles, dMix.doubles, x.doubles)
      let expected = each(rows, parts.width) { r, i in
        let n = (0..<parts.count).first { parts.columns($0).contains(i) } ?? 0
        return Double(parts.scales[n]) * (dp[r][n] * dm[r][i] + dds[r][n] * dx[r][i])
      }
      let dh = inPlace ? dMix.view.columns(0..<parts.width) : own.view
      innerGradients(p.view, dMix.view, ds.view, x.view, parts, into: dh)
      let found = (0..<rows).flatMap { r in (0..<parts.width).map { dh.row(r)[$0] } }
      expectClose(found, expected, absolute: 12 * KernelsTests.u)
      #expect(own.isIntactAround && dMix.isIntactAround)
    }
  }
}
