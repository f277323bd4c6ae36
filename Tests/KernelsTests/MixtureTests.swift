import Kernels
import Tensors
import TestSupport
import Testing

/// Candidates that are scored, mixed and differentiated, against `Double`: a product of n terms below one in size is
/// wrong by at most (n/16 + 21) u of the sum of their sizes, a mix of N candidates by (N + 1) u.
@Suite
struct MixtureTests {
  struct Shape: Sendable {
    let rows: Int, width: Int, candidates: Int
  }
  static let shapes = [
    Shape(rows: 1, width: 1, candidates: 1), Shape(rows: 3, width: 7, candidates: 2),
    Shape(rows: 5, width: 16, candidates: 3), Shape(rows: 4, width: 33, candidates: 5),
    Shape(rows: 0, width: 8, candidates: 2),
  ]

  static func tall(_ s: Shape, _ seed: Int) -> Cells { Cells(s.rows, s.width, margin: 2, seed: seed) }
  static func wide(_ s: Shape, _ seed: Int) -> Cells { Cells(s.rows, s.width * s.candidates, margin: 1, seed: seed) }
  static func table(_ s: Shape, _ seed: Int) -> Cells { Cells(s.rows, s.candidates, margin: 3, seed: seed) }

  @Test(arguments: shapes, [false, true])
  func scores(_ s: Shape, _ hasOffset: Bool) {
    let (w, u, q, bias) = (Self.tall(s, 1), Self.wide(s, 2), Self.tall(s, 3), Cells(1, s.width, seed: 4))
    let scores = Self.table(s, 5)
    scoreCandidates(w.view, u.view, into: scores.view, offset: hasOffset ? (q.view, UnsafePointer(bias.base)) : nil)
    let (dw, du, dq, db) = (w.doubles, u.doubles, q.doubles, bias.doubles[0])
    let expected = each(s.rows, s.candidates) { r, n in
      (0..<s.width).reduce(0) {
        $0 + dw[r][$1] * du[r][n * s.width + $1] + (hasOffset ? dq[r][$1] * db[$1] : 0)
      }
    }
    let bound = 2 * (Double(s.width) / 16 + 22) * KernelsTests.u * Double(s.width)
    expectClose(scores.values, expected, absolute: bound)
    #expect(scores.isIntactAround)
  }

  @Test(arguments: shapes)
  func mixes(_ s: Shape) {
    let (p, u, context) = (Self.table(s, 1), Self.wide(s, 2), Self.tall(s, 3))
    mixCandidates(p.view, u.view, into: context.view)
    let (dp, du) = (p.doubles, u.doubles)
    let expected = each(s.rows, s.width) { r, c in
      (0..<s.candidates).reduce(0) { $0 + dp[r][$1] * du[r][$1 * s.width + c] }
    }
    expectClose(
      context.values, expected, absolute: Double(s.candidates * (s.candidates + 1)) * KernelsTests.u)
    #expect(context.isIntactAround)
  }

  @Test(arguments: shapes)
  func gradients(_ s: Shape) {
    let (p, ds, dContext, w) = (Self.table(s, 1), Self.table(s, 2), Self.tall(s, 3), Self.tall(s, 4))
    let du = Self.wide(s, 5)
    candidateGradients(p.view, dContext.view, ds.view, w.view, into: du.view)
    let (dp, dds, ddc, dw) = (p.doubles, ds.doubles, dContext.doubles, w.doubles)
    let expected = each(s.rows, s.width * s.candidates) { r, i in
      let (n, c) = (i / s.width, i % s.width)
      return dp[r][n] * ddc[r][c] + dds[r][n] * dw[r][c]
    }
    expectClose(du.values, expected, absolute: 6 * KernelsTests.u)
    #expect(du.isIntactAround)
  }

  @Test(arguments: widths.filter { $0 < 200 })
  func addsScaled(_ columns: Int) {
    let (x, y) = (Cells(3, columns, margin: 2, seed: 1), Cells(3, columns, margin: 1, seed: 2))
    let expected = zip(x.values, y.values).map { -0.75 * Double($0) + Double($1) }
    addScaled(x.view, -0.75, to: y.view)
    expectClose(y.values, expected, absolute: 4 * KernelsTests.u)
    #expect(y.isIntactAround)
  }
}
