internal import COpenBLAS
package import Tensors

/// Whether a factor of a product is read as its transpose.
package enum Orientation: Sendable {
  /// As it lies in memory.
  case plain
  /// Rows and columns exchanged.
  case transposed
}

/// Who multiplies matrices of floats.
package enum ProductLibrary: Sendable, CaseIterable {
  /// `cblas_sgemm`.
  case openBLAS
  /// `dnnl_sgemm`, opened when the program runs.
  case oneDNN

  /// Who multiplies large ones here: oneDNN where it is installed, computes with AVX-512, stays on the calling thread and
  /// gets known products right. It is 5 % quicker than OpenBLAS's AVX-512 kernels and 1.8 times as quick as its others.
  /// A matter of the machine alone, not of a measurement: a run that goes on where it began has the bits it would have had.
  package static let forLarge: ProductLibrary = ProductLibrary.oneDNN.isUsable ? .oneDNN : .openBLAS

  /// Whether it is there, with the instructions and the threads that make it of use here.
  package var isPresent: Bool {
    self == .openBLAS || OneDNN.library.map { $0.hasWideVectors && $0.staysOnThread } == true
  }

  /// Whether it is there and right.
  package var isUsable: Bool { isPresent && multipliesCorrectly(self) }

  /// Who multiplies an `[m, k]` by a `[k, n]`: OpenBLAS has kernels for small ones that do without packing.
  @inline(__always)
  package static func forProduct(_ m: Int, _ n: Int, _ k: Int) -> ProductLibrary {
    m * n * k < fewestForLarge ? .openBLAS : forLarge
  }
  /// In multiplications, as measured (see Where the time goes).
  private static let fewestForLarge = 400_000
}

/// `c = alpha · op(a) op(b) + beta · c`.
///
/// Each call runs on one thread (see `useOneBLASThread`), a rank's further threads on products of their own.
/// - Parameters:
///   - a: `[m, k]` after its orientation.
///   - aOrientation: How `a` is read.
///   - b: `[k, n]` after its orientation.
///   - bOrientation: How `b` is read.
///   - c: `[m, n]`; with `beta` 0 its old content is not read.
///   - alpha: What the product is multiplied by.
///   - beta: What the old content of `c` is multiplied by.
///   - library: Who multiplies; the one that suits the sizes when left out.
package func multiply(
  _ a: Matrix, _ aOrientation: Orientation, _ b: Matrix, _ bOrientation: Orientation, into c: Matrix,
  alpha: Float = 1, beta: Float = 0, by library: ProductLibrary? = nil
) {
  let depth = productDepth(a, aOrientation, b, bOrientation, c)
  guard needsProduct(c, depth: depth, beta: beta) else { return }
  let library = library ?? .forProduct(c.rows, c.columns, depth)
  var isDone = true
  KernelClock.time(.products, operations: 2 * c.rows * c.columns * depth) {
    isDone = library.multiply(a, aOrientation, b, bOrientation, into: c, depth: depth, alpha: alpha, beta: beta)
  }
  if !isDone {
    fatalError(
      "oneDNN did not multiply \(c.rows) × \(depth) by \(depth) × \(c.columns): is memory at its end? ONEDNN_MAX_CPU_ISA=AVX2 leaves products to OpenBLAS."
    )
  }
}

extension ProductLibrary {
  /// `c = alpha · op(a) op(b) + beta · c`, of sizes that were checked.
  /// - Returns: Whether it was done.
  @inline(__always)
  func multiply(
    _ a: Matrix, _ aOrientation: Orientation, _ b: Matrix, _ bOrientation: Orientation, into c: Matrix, depth: Int,
    alpha: Float, beta: Float
  ) -> Bool {
    switch self {
    case .openBLAS:
      cblas_sgemm(
        CblasRowMajor, aOrientation == .plain ? CblasNoTrans : CblasTrans,
        bOrientation == .plain ? CblasNoTrans : CblasTrans, blasint(c.rows), blasint(c.columns), blasint(depth),
        alpha, a.base, blasint(max(a.stride, 1)), b.base, blasint(max(b.stride, 1)), beta, c.base,
        blasint(max(c.stride, 1)))
      return true
    case .oneDNN:
      guard let library = OneDNN.library else { return false }
      return library.multiply(a, aOrientation, b, bOrientation, into: c, depth: depth, alpha: alpha, beta: beta)
    }
  }
}

/// How many products each element of `c` is the sum of.
func productDepth<Element: BitwiseCopyable>(
  _ a: MatrixView<Element>, _ aOrientation: Orientation, _ b: MatrixView<Element>, _ bOrientation: Orientation,
  _ c: Matrix
) -> Int {
  let depth = aOrientation == .plain ? a.columns : a.rows
  precondition(
    (aOrientation == .plain ? a.rows : a.columns) == c.rows
      && (bOrientation == .plain ? b.columns : b.rows) == c.columns
      && (bOrientation == .plain ? b.rows : b.columns) == depth, "a product of shapes that do not fit")
  return depth
}

/// Whether there is anything to multiply; sums of no products are dealt with here.
func needsProduct(_ c: Matrix, depth: Int, beta: Float) -> Bool {
  guard c.rows > 0, c.columns > 0 else { return false }
  guard depth > 0 else {
    if beta == 0 { c.fill(0) } else if beta != 1 { scale(c, by: beta) }
    return false
  }
  return true
}

/// Keeps OpenBLAS to the calling thread, and finds out who multiplies before a step has to. The corresponding C function
/// is `openblas_set_num_threads`.
package func useOneBLASThread() {
  openblas_set_num_threads(1)
  _ = ProductLibrary.forLarge
}
