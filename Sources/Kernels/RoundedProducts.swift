package import Tensors

/// `c = alpha · op(a) op(b) + beta · c` of factors in bfloat16: products and sums are in `Float`.
///
/// The corresponding C function is oneDNN's `dnnl_gemm_bf16bf16f32`; each call runs on one thread. Asking for it where
/// `RoundedProducts.obstacle` names one is a mistake of the program.
/// - Parameters:
///   - a: `[m, k]` after its orientation.
///   - aOrientation: How `a` is read.
///   - b: `[k, n]` after its orientation.
///   - bOrientation: How `b` is read.
///   - c: `[m, n]`; with `beta` 0 its old content is not read.
///   - alpha: What the product is multiplied by.
///   - beta: What the old content of `c` is multiplied by.
package func multiply(
  _ a: RoundedMatrix, _ aOrientation: Orientation, _ b: RoundedMatrix, _ bOrientation: Orientation, into c: Matrix,
  alpha: Float = 1, beta: Float = 0
) {
  let depth = productDepth(a, aOrientation, b, bOrientation, c)
  guard needsProduct(c, depth: depth, beta: beta) else { return }
  var isDone = false
  KernelClock.time(.products, operations: 2 * c.rows * c.columns * depth) {
    isDone =
      OneDNN.library?.multiply(
        a, aOrientation, b, bOrientation, into: c, depth: depth, alpha: alpha, beta: beta) == true
  }
  if !isDone { fatalError("oneDNN did not multiply in bfloat16: is memory at its end?") }
}

/// Whether this machine multiplies in bfloat16, and with what.
package enum RoundedProducts {
  /// What is missing on this machine; nil when nothing is.
  package enum Obstacle: Sendable, Equatable {
    /// No oneDNN, or one without this product.
    case library
    /// Neither AVX512-BF16 nor AMX.
    case instructions
    /// The library has threads that a call cannot be kept from.
    case threads
    /// The library gets a known product wrong.
    case wrongNumbers
  }

  /// What is missing on this machine.
  package static let obstacle: Obstacle? = {
    guard let library = OneDNN.library, library.hasRounded else { return .library }
    guard library.staysOnThread else { return .threads }
    guard library.hasRoundedInstructions else { return .instructions }
    return isCorrect() ? nil : .wrongNumbers
  }()

  /// The library and its version, `oneDNN 2.6.3`; nil when there is none.
  package static var description: String? { OneDNN.library.map { "oneDNN \($0.version)" } }
  /// The same and the instructions that it uses, which decide how it rounds.
  package static var identity: String? {
    OneDNN.library.map { "oneDNN \($0.version), instructions \(String($0.instructions, radix: 16))" }
  }

  /// Multiplies small matrices whose product is known.
  private static func isCorrect() -> Bool {
    let (m, n, k) = (67, 83, 129)
    var a = (0..<m * k).map { BFloat16(Float(($0 * 7) % 13) - 6) }
    var b = (0..<k * n).map { BFloat16(Float(($0 * 5) % 11) - 5) }
    var c = [Float](repeating: .nan, count: m * n)
    var isDone = false
    a.withUnsafeMutableBufferPointer { a in
      b.withUnsafeMutableBufferPointer { b in
        c.withUnsafeMutableBufferPointer { c in
          guard let a = a.baseAddress, let b = b.baseAddress, let c = c.baseAddress else { return }
          isDone =
            OneDNN.library?.multiply(
              RoundedMatrix(a, rows: m, columns: k), .plain, RoundedMatrix(b, rows: k, columns: n), .plain,
              into: Matrix(c, rows: m, columns: n), depth: k, alpha: 1, beta: 0) == true
        }
      }
    }
    // Whole numbers this small are exact, so the comparison is for equality.
    guard isDone else { return false }
    return (0..<m * n).allSatisfy { index in
      let (row, column) = (index / n, index % n)
      return c[index] == (0..<k).reduce(0) { $0 + a[row * k + $1].float * b[$1 * n + column].float }
    }
  }
}
