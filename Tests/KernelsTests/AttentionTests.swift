import Glibc
import Kernels
import Tensors
import TestSupport
import Testing

/// One head against `softmax(q kᵀ/√d)·mask·v` in `Double` and its derivative, worked out here with plain loops.
@Suite
struct AttentionTests {
  struct Case: Sendable, CustomStringConvertible {
    let queries: Int, keys: Int, width: Int
    var margin = 0
    var drops = false
    var description: String {
      "\(queries) queries, \(keys) keys, width \(width), margin \(margin)\(drops ? ", dropout" : "")"
    }
  }

  static let cases: [Case] = [
    (1, 1, 1), (1, 9, 8), (5, 5, 16), (3, 17, 7), (16, 16, 4), (33, 33, 12), (1, 128, 64), (22, 22, 64),
    (6, 16, 32), (15, 31, 16), (70, 70, 48), (3, 256, 16), (3, 257, 16),
  ]
  .flatMap { shape in
    [0, 8].flatMap { margin in
      [false, true].map {
        Case(queries: shape.0, keys: shape.1, width: shape.2, margin: margin, drops: $0)
      }
    }
  }

  /// A head with its inputs and the `Double` reference beside it.
  final class Head {
    let test: Case
    let q: Cells, k: Cells, v: Cells, dContext: Cells, probabilities: Cells, scratch: Cells
    let keep: [UInt8]
    let keepScale: Double = 1.25

    init(_ test: Case) {
      self.test = test
      q = Cells(test.queries, test.width, margin: test.margin, seed: 1, in: -2...2)
      k = Cells(test.keys, test.width, margin: test.margin, seed: 2, in: -2...2)
      v = Cells(test.keys, test.width, margin: test.margin, seed: 3)
      dContext = Cells(test.queries, test.width, margin: test.margin, seed: 4)
      probabilities = Cells(test.queries, test.keys) { _, _ in .nan }
      scratch = Cells(
        1, AttentionHead.scratchCount(queries: test.queries, keys: test.keys, width: test.width)
      ) { _, _ in .nan }
      var numbers = MadeUpNumbers(5)
      keep = (0..<test.queries * test.keys).map { _ in numbers.index(below: 5) == 0 ? 0 : 1 }
    }

    func run(_ body: (AttentionHead) -> Void) {
      keep.withUnsafeBufferPointer { keep in
        body(
          AttentionHead(
            q: q.view, k: k.view, v: v.view, probabilities: probabilities.view,
            keep: test.drops ? keep.baseAddress : nil, keepScale: Float(keepScale), scratch: scratch.base))
      }
    }

    func factor(_ i: Int, _ j: Int) -> Double { test.drops ? Double(keep[i * test.keys + j]) * keepScale : 1 }

    /// The probabilities before dropout.
    func reference() -> [[Double]] {
      let (q, k) = (q.doubles, k.doubles)
      return q.map { q in
        let scores = k.map { zip(q, $0).reduce(0) { $0 + $1.0 * $1.1 } / Double(test.width).squareRoot() }
        let largest = scores.max() ?? 0
        let total = scores.reduce(0) { $0 + exp($1 - largest) }
        return scores.map { exp($0 - largest) / total }
      }
    }
  }

  /// A score is a sum of d products below 4, over √d: wrong by at most (d + 4)·u·4√d; the exponential turns that into
  /// a relative error of a probability, the sum over keys adds (S/16 + 30) u.
  static func relative(_ test: Case) -> Double {
    let d = Double(test.width)
    return ((d + 4) * 4 * d.squareRoot() + Double(test.keys) / 16 + 30) * u
  }

  @Test(arguments: cases)
  func forward(_ test: Case) {
    let head = Head(test)
    let context = Cells(test.queries, test.width, margin: test.margin)
    head.run { $0.forward(into: context.view) }
    let (p, v) = (head.reference(), head.v.doubles)
    expectClose(
      head.probabilities.values, p.flatMap { $0 }, relative: 2 * Self.relative(test), "probabilities")
    let expected = each(test.queries, test.width) { i, c in
      (0..<test.keys).reduce(0) { $0 + head.factor(i, $1) * p[i][$1] * v[$1][c] }
    }
    // The rows of P sum to one and |v| ≤ 1, so the error of P and the product's (S + 4) u stand as they are.
    let bound = 1.25 * (2 * Self.relative(test) + Double(test.keys + 4) * u)
    expectClose(context.values, expected, absolute: bound, "context")
    #expect(context.isIntactAround && head.probabilities.isIntactAround && head.scratch.isIntactAround)
  }

  @Test(arguments: cases)
  func backward(_ test: Case) {
    let head = Head(test)
    let (n, s, d) = (test.queries, test.keys, test.width)
    let context = Cells(n, d)
    let dq = Cells(n, d, margin: test.margin) { _, _ in .nan }
    let dk = Cells(s, d, margin: test.margin) { _, _ in .nan }
    let dv = Cells(s, d, margin: test.margin) { _, _ in .nan }
    head.run {
      $0.forward(into: context.view)
      $0.backward(head.dContext.view, dq: dq.view, dk: dk.view, dv: dv.view)
    }
    let (p, dc) = (head.reference(), head.dContext.doubles)
    let (q, k, v) = (head.q.doubles, head.k.doubles, head.v.doubles)
    var ds = [[Double]](repeating: [Double](repeating: 0, count: s), count: n)
    for i in 0..<n {
      let dp = (0..<s).map { j in head.factor(i, j) * (0..<d).reduce(0) { $0 + dc[i][$1] * v[j][$1] } }
      let total = (0..<s).reduce(0) { $0 + dp[$1] * p[i][$1] }
      for j in 0..<s { ds[i][j] = p[i][j] * (dp[j] - total) / Double(d).squareRoot() }
    }
    // |dp| ≤ 1.25 d; dS inherits the relative error of P, and each row of |dS| sums to at most 2.5 d / √d.
    let each1 = (2 * Self.relative(test) + Double(d + s + 30) * u) * 2.5 * Double(d).squareRoot()
    expectClose(
      dq.values, each(n, d) { i, c in (0..<s).reduce(0) { $0 + ds[i][$1] * k[$1][c] } }, absolute: 4 * each1,
      "dq")
    expectClose(
      dk.values, each(s, d) { j, c in (0..<n).reduce(0) { $0 + ds[$1][j] * q[$1][c] } },
      absolute: 4 * each1 * Double(n).squareRoot(), "dk")
    expectClose(
      dv.values, each(s, d) { j, c in (0..<n).reduce(0) { $0 + head.factor($1, j) * p[$1][j] * dc[$1][c] } },
      absolute: each1 * Double(n).squareRoot(), "dv")
    #expect(dq.isIntactAround && dk.isIntactAround && dv.isIntactAround && head.scratch.isIntactAround)
  }

  /// The derivative worked out above is the one of the forward pass: central differences of Σ weight·context in
  /// `Double` would only repeat the test's own algebra, so the kernel's forward is used, over every input of a small
  /// head. Rounding 2e-7 · 20 over a step of 2 · 0.01, truncation 0.01² of a third derivative below 3.
  @Test(arguments: [false, true])
  func centralDifferences(_ drops: Bool) {
    let head = Head(Case(queries: 3, keys: 4, width: 5, margin: 3, drops: drops))
    let (context, dq) = (Cells(3, 5), Cells(3, 5))
    let (dk, dv) = (Cells(4, 5), Cells(4, 5))
    head.run {
      $0.forward(into: context.view)
      $0.backward(head.dContext.view, dq: dq.view, dk: dk.view, dv: dv.view)
    }
    func loss() -> Double {
      head.run { $0.forward(into: context.view) }
      return zip(context.values, head.dContext.values).reduce(0) { $0 + Double($1.0) * Double($1.1) }
    }
    for (input, gradient) in [(head.q, dq), (head.k, dk), (head.v, dv)] {
      for r in 0..<input.view.rows {
        for c in 0..<5 {
          let old = input.view.row(r)[c]
          input.view.row(r)[c] = old + 0.01
          let above = loss()
          input.view.row(r)[c] = old - 0.01
          let difference = (above - loss()) / 0.02
          input.view.row(r)[c] = old
          expectClose(gradient.view.row(r)[c], difference, absolute: 3e-4, "row \(r), column \(c)")
        }
      }
    }
  }
}
