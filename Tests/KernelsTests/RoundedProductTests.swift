import Kernels
import Tensors
import TestSupport
import Testing

/// Products in bfloat16 against the definition in `Double`.
///
/// A product of two numbers of eight significant bits is exact in `Float`, so the product of the *rounded* factors has
/// the error of a sum of floats, at most (k + 2)·u·Σ|a·b| with u = 2⁻²⁴. Rounding to eight bits changes a factor by at most
/// 2⁻⁸ of itself, so against the factors as they were another (2·2⁻⁸ + 2⁻¹⁶)·Σ|a·b| is allowed, and no more.
@Suite(.enabled(if: RoundedProducts.obstacle == nil, "needs oneDNN and a processor with AVX512-BF16 or AMX"))
struct RoundedProductTests {
  @Test(arguments: MultiplyTests.cases, MultiplyTests.orientations)
  func product(_ test: MultiplyTests.Case, _ orientation: (Orientation, Orientation)) {
    let (m, n, k) = (test.m, test.n, test.k)
    let (aPlain, bPlain) = (orientation.0 == .plain, orientation.1 == .plain)
    let a = Cells(aPlain ? m : k, aPlain ? k : m, margin: test.margin, seed: 1)
    let b = Cells(bPlain ? k : n, bPlain ? n : k, margin: test.margin, seed: 2)
    let c = Cells(m, n, margin: test.margin, seed: 3)
    let (exactA, exactB, before) = (a.doubles, b.doubles, c.doubles)
    let (ra, rb) = (RoundedCells(a), RoundedCells(b))
    multiply(ra.view, orientation.0, rb.view, orientation.1, into: c.view, alpha: test.alpha, beta: test.beta)
    let (da, db) = (ra.doubles, rb.doubles)
    for i in 0..<m {
      for j in 0..<n {
        var (sum, exact, magnitude) = (0.0, 0.0, 0.0)
        for p in 0..<k {
          let term = (aPlain ? da[i][p] : da[p][i]) * (bPlain ? db[p][j] : db[j][p])
          let exactTerm = (aPlain ? exactA[i][p] : exactA[p][i]) * (bPlain ? exactB[p][j] : exactB[j][p])
          sum += term
          exact += exactTerm
          magnitude += abs(exactTerm)
        }
        let (alpha, kept) = (Double(test.alpha), Double(test.beta) * before[i][j])
        let found = Double(c.view.row(i)[j])
        // The rounded terms are larger than the exact ones by a little at most.
        let summing = 1.01 * Double(k + 4) * u * abs(alpha) * magnitude + 3 * u * (abs(kept) + abs(alpha * sum + kept))
        expectClose(found, alpha * sum + kept, absolute: summing, "row \(i), column \(j), of rounded factors")
        let rounding = (0x1p-7 + 0x1p-16) * abs(alpha) * magnitude
        expectClose(found, alpha * exact + kept, absolute: summing + rounding, "row \(i), column \(j)")
      }
    }
    #expect(c.isIntactAround)
  }

  /// With beta 0 the old content is not read, so what an arena left there does no harm.
  @Test(arguments: MultiplyTests.orientations)
  func oldContentIsNotRead(_ orientation: (Orientation, Orientation)) {
    for depth in [0, 6] {
      let a = RoundedCells(orientation.0 == .plain ? Cells(4, depth, seed: 1) : Cells(depth, 4, seed: 1))
      let b = RoundedCells(orientation.1 == .plain ? Cells(depth, 5, seed: 2) : Cells(5, depth, seed: 2))
      let c = Cells(4, 5, margin: 1) { _, _ in .nan }
      multiply(a.view, orientation.0, b.view, orientation.1, into: c.view)
      #expect(c.values.allSatisfy { $0.isFinite }, "depth \(depth)")
    }
  }

  @Test
  func notANumberShows() {
    let a = RoundedCells(Cells(2, 20) { r, c in r == 1 && c == 17 ? .nan : 1 })
    let b = RoundedCells(Cells(20, 3) { r, _ in r == 17 ? 0 : 1 })
    let c = Cells(2, 3)
    multiply(a.view, .plain, b.view, .plain, into: c.view)
    #expect((0..<3).allSatisfy { c.view.row(1)[$0].isNaN && c.view.row(0)[$0] == 19 })
  }

  /// The same bits again, from every thread of a process.
  @Test
  func sameBitsOnEveryThread() async {
    let (a, b) = (RoundedCells(Cells(70, 300, seed: 1)), RoundedCells(Cells(90, 300, seed: 2)))
    let (left, right) = (a.view, b.view)
    let compute: @Sendable () -> [UInt32] = {
      let c = Cells(70, 90)
      multiply(left, .plain, right, .transposed, into: c.view)
      return c.values.map(\.bitPattern)
    }
    let expected = compute()
    await withTaskGroup(of: [UInt32].self) { group in
      for _ in 0..<8 { group.addTask { compute() } }
      for await found in group { #expect(found == expected) }
    }
    _ = (a, b)
  }
}

/// A matrix rounded to bfloat16, in memory of its own, with rows as far apart.
private final class RoundedCells {
  let view: RoundedMatrix
  private let memory: UnsafeMutableBufferPointer<BFloat16>

  init(_ cells: Cells) {
    let from = cells.view
    memory = .allocate(capacity: max(1, from.rows * from.stride))
    // Not-a-number beside the matrix would show.
    memory.initialize(repeating: BFloat16(.nan))
    guard let base = memory.baseAddress else { preconditionFailure("no memory for a test's matrix") }
    view = RoundedMatrix(base, rows: from.rows, columns: from.columns, stride: from.stride)
    view.round(from: from)
  }

  deinit { memory.deallocate() }

  var doubles: [[Double]] {
    (0..<view.rows).map { r in (0..<view.columns).map { Double(view.row(r)[$0].float) } }
  }
}
