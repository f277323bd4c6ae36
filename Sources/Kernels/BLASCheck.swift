internal import COpenBLAS
internal import CVectors
internal import Glibc
internal import Tensors

/// Who multiplies, and the kernels that OpenBLAS chose for this processor: `OpenBLAS 0.3.21, Haswell kernels`, or
/// `oneDNN 2.6.3, small products by OpenBLAS 0.3.21, Haswell kernels`.
package func blasDescription() -> String {
  let words = String(cString: openblas_get_config()).split(separator: " ").prefix(2)
  let openBLAS = words.joined(separator: " ") + ", \(blasKernels()) kernels"
  guard ProductLibrary.forLarge == .oneDNN, let version = OneDNN.library?.version else { return openBLAS }
  return "oneDNN \(version), small products by \(openBLAS)"
}

private func blasKernels() -> String { String(cString: openblas_get_corename()) }

/// What this program's own kernels were built for: `own kernels for AVX-512`.
package let ownKernelsDescription =
  "own kernels for " + ["any processor", "AVX2", "AVX-512", "NEON"][Int(CVECTORS_LEVEL)]

/// Something about the set-up that costs speed, and its cure.
package struct SpeedFinding: Sendable, Equatable {
  /// What it is, a sentence.
  package let finding: String
  /// What to do, a sentence.
  package let cure: String
  /// The same as a command.
  package let command: String

  /// What there is to say about the products of this machine: slower ones than the processor can do; nil when there is
  /// nothing.
  package static func ofBLAS() -> SpeedFinding? {
    ofBLAS(
      kernels: blasKernels(),
      hasWideVectors: cvectors_processor_has_avx512() != 0 && ProductLibrary.forLarge == .openBLAS,
      oneDNN: OneDNN.library.map {
        $0.hasWideVectors ? "Install another build of oneDNN (Debian: libdnnl-dev)" : "Let oneDNN use AVX-512"
      } ?? "Install oneDNN (Debian: libdnnl-dev)",
      coreType: getenv("OPENBLAS_CORETYPE").map { String(cString: $0) })
  }

  /// The same for a machine that is described.
  /// - Parameters:
  ///   - kernels: OpenBLAS's name for its kernels.
  ///   - hasWideVectors: Whether the processor has AVX-512 and OpenBLAS is who multiplies.
  ///   - oneDNN: How it would come to multiply.
  ///   - coreType: What `OPENBLAS_CORETYPE` says, if anything.
  /// - Returns: What there is to say; nil when there is nothing.
  package static func ofBLAS(
    kernels: String, hasWideVectors: Bool, oneDNN: String = "Install oneDNN (Debian: libdnnl-dev)", coreType: String?
  ) -> SpeedFinding? {
    let wide = ["SkylakeX", "Cooperlake", "Sapphirerapids", "Zen4", "Zen5"]
    guard hasWideVectors, !wide.contains(where: { $0.lowercased() == kernels.lowercased() }) else { return nil }
    guard let coreType, !coreType.isEmpty else {
      return SpeedFinding(
        finding: "OpenBLAS uses its \(kernels) kernels although this processor has AVX-512: about half the speed.",
        cure: "\(oneDNN), or set OPENBLAS_CORETYPE=SkylakeX; products are checked at every start.",
        command: "apt-get install libdnnl-dev   # or: export OPENBLAS_CORETYPE=SkylakeX")
    }
    return SpeedFinding(
      finding: "OPENBLAS_CORETYPE=\(coreType) makes OpenBLAS use its \(kernels) kernels although this processor has "
        + "AVX-512: about half the speed.",
      cure: "\(oneDNN), or unset OPENBLAS_CORETYPE; products are checked at every start.",
      command: "unset OPENBLAS_CORETYPE   # or: apt-get install libdnnl-dev")
  }
}

/// Multiplies matrices of every kind that a step has and says whether a library gets them right.
///
/// Old releases choose kernels for new processors that compute wrong numbers, some of them only for small matrices or
/// for one orientation; that has to show before training does. Takes some milliseconds.
package func multipliesCorrectly(_ library: ProductLibrary) -> Bool {
  // Single numbers, attention's tables, thin products of low rank, whole tiles, and more than a block of packed rows.
  let shapes = [
    (1, 1, 1), (5, 3, 7), (1, 96, 384), (22, 22, 64), (22, 64, 22), (33, 65, 17), (67, 83, 129), (131, 16, 770),
    (16, 257, 130), (64, 64, 64), (515, 301, 803),
  ]
  let orientations = [Orientation.plain, .transposed]
  for (m, n, k) in shapes {
    for a in orientations {
      for b in orientations {
        for beta in [Float(0), 1] where !ProductCheck(m, n, k, library).holds(a, b, beta) { return false }
      }
    }
  }
  return true
}

/// One product `c = 2 a b + β c` of small whole numbers, exact in `Float`, against `2 a (b x) + β c x` for a vector x:
/// a wrong number anywhere shows, at the cost of a few passes over the matrices (Freivalds, 1977).
private struct ProductCheck {
  let m: Int, n: Int, k: Int
  let library: ProductLibrary

  init(_ m: Int, _ n: Int, _ k: Int, _ library: ProductLibrary) {
    (self.m, self.n, self.k, self.library) = (m, n, k, library)
  }

  func holds(_ aOrientation: Orientation, _ bOrientation: Orientation, _ beta: Float) -> Bool {
    var a = (0..<m * k).map { Float(($0 * 7) % 13) - 6 }
    var b = (0..<k * n).map { Float(($0 * 5) % 11) - 5 }
    // With β = 0 the old content is not to be read.
    var c = (0..<m * n).map { beta == 0 ? .nan : Float(($0 * 3) % 7) }
    let weights = (0..<n).map { Double(1 + ($0 * 7919) % 31) }
    let old = beta == 0 ? [Double](repeating: 0, count: m) : rowSums(c, weights)
    var isDone = false
    a.withUnsafeMutableBufferPointer { a in
      b.withUnsafeMutableBufferPointer { b in
        c.withUnsafeMutableBufferPointer { c in
          isDone = library.multiply(
            view(a, m, k, aOrientation), aOrientation, view(b, k, n, bOrientation), bOrientation,
            into: view(c, m, n, .plain), depth: k, alpha: 2, beta: beta)
        }
      }
    }
    let bx = product(b, k, n, bOrientation, weights)
    let abx = product(a, m, k, aOrientation, bx)
    let found = rowSums(c, weights)
    return isDone && (0..<m).allSatisfy { found[$0] == 2 * abx[$0] + old[$0] }
  }

  private func view(
    _ x: UnsafeMutableBufferPointer<Float>, _ rows: Int, _ columns: Int, _ orientation: Orientation
  ) -> Matrix {
    guard let base = x.baseAddress else { preconditionFailure("a matrix without elements") }
    return orientation == .plain
      ? Matrix(base, rows: rows, columns: columns) : Matrix(base, rows: columns, columns: rows)
  }

  private func rowSums(_ c: [Float], _ weights: [Double]) -> [Double] { product(c, m, n, .plain, weights) }

  private func product(
    _ x: [Float], _ rows: Int, _ columns: Int, _ orientation: Orientation, _ weights: [Double]
  ) -> [Double] {
    let (across, down) = orientation == .plain ? (1, columns) : (rows, 1)
    return (0..<rows).map { r in
      var total = 0.0
      for c in 0..<columns { total += Double(x[r * down + c * across]) * weights[c] }
      return total
    }
  }
}
