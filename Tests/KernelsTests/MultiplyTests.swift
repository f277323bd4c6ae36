import Kernels
import Tensors
import TestSupport
import Testing

/// `multiply` against the definition in `Double`. Whatever the order of a sum of k products, it is wrong by at most
/// (k + 2)·u·Σ|a·b| (Higham: *Accuracy and stability of numerical algorithms*, §3.1), times alpha; the old content
/// adds two roundings of its own.
@Suite
struct MultiplyTests {
  struct Case: Sendable, CustomStringConvertible {
    let m: Int, n: Int, k: Int
    var margin = 0
    var alpha: Float = 1
    var beta: Float = 0
    var description: String { "\(m)×\(k)×\(n), margin \(margin), alpha \(alpha), beta \(beta)" }
  }

  static let cases: [Case] = [
    Case(m: 1, n: 1, k: 1), Case(m: 1, n: 7, k: 3), Case(m: 5, n: 1, k: 9), Case(m: 4, n: 4, k: 1),
    Case(m: 3, n: 5, k: 17, margin: 2), Case(m: 16, n: 16, k: 16, margin: 3, alpha: 0.125),
    Case(m: 17, n: 33, k: 15, alpha: -1.5, beta: 1), Case(m: 31, n: 64, k: 100, margin: 5, beta: 1),
    Case(m: 65, n: 19, k: 8, alpha: 2, beta: -0.5),
    Case(m: 67, n: 129, k: 130, margin: 1, alpha: 0.5, beta: 2),
    Case(m: 2, n: 96, k: 384), Case(m: 128, n: 8, k: 128, margin: 24, alpha: 0.35),
    Case(m: 5, n: 6, k: 0), Case(m: 5, n: 6, k: 0, margin: 2, beta: 0.75), Case(m: 0, n: 6, k: 4),
    Case(m: 5, n: 0, k: 4), Case(m: 0, n: 0, k: 0), Case(m: 4, n: 4, k: 0, beta: 1),
    Case(m: 9, n: 4, k: 5, alpha: 0, beta: 1),
  ]
  /// Those of this machine, and nobody in particular.
  static let libraries: [ProductLibrary?] = [nil] + ProductLibrary.allCases.filter(\.isUsable)
  static let orientations: [(Orientation, Orientation)] = [
    (.plain, .plain), (.plain, .transposed), (.transposed, .plain), (.transposed, .transposed),
  ]

  @Test(arguments: cases, orientations)
  func product(_ test: Case, _ orientation: (Orientation, Orientation)) {
    for library in MultiplyTests.libraries { expectProduct(test, orientation, by: library) }
  }

  private func expectProduct(_ test: Case, _ orientation: (Orientation, Orientation), by library: ProductLibrary?) {
    let (m, n, k) = (test.m, test.n, test.k)
    let (aPlain, bPlain) = (orientation.0 == .plain, orientation.1 == .plain)
    let a = Cells(aPlain ? m : k, aPlain ? k : m, margin: test.margin, seed: 1)
    let b = Cells(bPlain ? k : n, bPlain ? n : k, margin: test.margin, seed: 2)
    let c = Cells(m, n, margin: test.margin, seed: 3)
    let (da, db, before) = (a.doubles, b.doubles, c.doubles)
    multiply(
      a.view, orientation.0, b.view, orientation.1, into: c.view, alpha: test.alpha, beta: test.beta, by: library)

    for i in 0..<m {
      for j in 0..<n {
        var (sum, magnitude) = (0.0, 0.0)
        for p in 0..<k {
          let term = (aPlain ? da[i][p] : da[p][i]) * (bPlain ? db[p][j] : db[j][p])
          sum += term
          magnitude += abs(term)
        }
        let kept = Double(test.beta) * before[i][j]
        let expected = Double(test.alpha) * sum + kept
        let bound =
          Double(k + 4) * u * abs(Double(test.alpha)) * magnitude + 3 * u * (abs(kept) + abs(expected))
        expectClose(Double(c.view.row(i)[j]), expected, absolute: bound, "row \(i), column \(j)")
      }
    }
    #expect(c.isIntactAround && a.isIntactAround && b.isIntactAround)
    #expect(a.doubles == da && b.doubles == db, "factors are read only")
  }

  /// With beta 0 the old content is not read, so what an arena left there does no harm.
  @Test(arguments: orientations)
  func oldContentIsNotRead(_ orientation: (Orientation, Orientation)) {
    for depth in [0, 6] {
      let a = orientation.0 == .plain ? Cells(4, depth, seed: 1) : Cells(depth, 4, seed: 1)
      let b = orientation.1 == .plain ? Cells(depth, 5, seed: 2) : Cells(5, depth, seed: 2)
      for library in MultiplyTests.libraries {
        let c = Cells(4, 5, margin: 1) { _, _ in .nan }
        multiply(a.view, orientation.0, b.view, orientation.1, into: c.view, by: library)
        #expect(c.values.allSatisfy { $0.isFinite }, "depth \(depth)")
      }
    }
  }

  /// Not-a-number in a factor is not lost, not even beside a zero.
  @Test
  func notANumberShows() {
    let a = Cells(2, 20) { r, c in r == 1 && c == 17 ? .nan : 1 }
    let b = Cells(20, 3) { r, _ in r == 17 ? 0 : 1 }
    for library in MultiplyTests.libraries {
      let c = Cells(2, 3)
      multiply(a.view, .plain, b.view, .plain, into: c.view, by: library)
      #expect(c.values[0..<3].allSatisfy { $0 == 19 } && c.values[3...].allSatisfy { $0.isNaN })
    }
  }

  @Test
  func librariesAreRight() {
    useOneBLASThread()
    #expect(multipliesCorrectly(.openBLAS))
    // One that is there and wrong would not be used, and nobody would know.
    #expect(!ProductLibrary.oneDNN.isPresent || multipliesCorrectly(.oneDNN))
    #expect(blasDescription().contains("OpenBLAS"))
    #expect(blasDescription().contains("oneDNN") == (ProductLibrary.forLarge == .oneDNN))
    #expect(ProductLibrary.forProduct(20, 100, 199) == .openBLAS)
    #expect(ProductLibrary.forProduct(20, 100, 200) == .forLarge)
  }

  /// Kernels slower than the processor's own are noticed, and whoever asked for them is told how to undo it.
  @Test
  func slowKernelsAreNoticed() throws {
    let forced = try #require(SpeedFinding.ofBLAS(kernels: "Haswell", hasWideVectors: true, coreType: "Haswell"))
    #expect(forced.finding.contains("OPENBLAS_CORETYPE=Haswell") && forced.cure.contains("unset"))
    let old = try #require(SpeedFinding.ofBLAS(kernels: "Zen", hasWideVectors: true, coreType: nil))
    #expect(old.finding.contains("Zen kernels") && old.cure.contains("OPENBLAS_CORETYPE=SkylakeX"))
    for kernels in ["SkylakeX", "Cooperlake", "SapphireRapids"] {
      #expect(SpeedFinding.ofBLAS(kernels: kernels, hasWideVectors: true, coreType: "x") == nil)
    }
    #expect(SpeedFinding.ofBLAS(kernels: "Haswell", hasWideVectors: false, coreType: nil) == nil)
  }

  @Test
  func shapesThatDoNotFitAreRefused() async {
    await #expect(processExitsWith: .failure) {
      let (a, b, c) = (Cells(2, 3), Cells(4, 5), Cells(2, 5))
      multiply(a.view, .plain, b.view, .plain, into: c.view)
    }
    await #expect(processExitsWith: .failure) {
      let (a, b, c) = (Cells(2, 3), Cells(3, 5), Cells(2, 6))
      multiply(a.view, .plain, b.view, .plain, into: c.view)
    }
  }
}
