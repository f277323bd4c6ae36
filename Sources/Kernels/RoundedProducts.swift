internal import Glibc
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
  guard let library = OneDNN.loaded.library else {
    preconditionFailure("products in bfloat16 without a library for them")
  }
  // Each thread has a number of its own.
  library.setThreadCount?(1)
  var status: CInt = 0
  KernelClock.time(.products, operations: 2 * c.rows * c.columns * depth) {
    status = library.multiply(
      aOrientation.letter, bOrientation.letter, c.rows, c.columns, depth, alpha, a.base, max(a.stride, 1), b.base,
      max(b.stride, 1), beta, c.base, max(c.stride, 1))
  }
  precondition(status == 0, "dnnl_gemm_bf16bf16f32 returned \(status)")
}

extension Orientation {
  /// What BLAS calls it.
  fileprivate var letter: CChar { CChar(self == .plain ? UInt8(ascii: "N") : UInt8(ascii: "T")) }
}

/// Whether this machine multiplies in bfloat16, and with what.
package enum RoundedProducts {
  /// What is missing on this machine; nil when nothing is.
  package enum Obstacle: Sendable, Equatable {
    /// No oneDNN, or one without this product.
    case library
    /// Neither AVX512-BF16 nor AMX.
    case instructions
    /// The library gets a known product wrong.
    case wrongNumbers
  }

  /// What is missing on this machine.
  package static let obstacle: Obstacle? = {
    guard let library = OneDNN.loaded.library else { return .library }
    guard library.hasInstructions else { return .instructions }
    return isCorrect() ? nil : .wrongNumbers
  }()

  /// The library and its version, `oneDNN 2.6.3`; nil when there is none.
  package static var description: String? { OneDNN.loaded.library.map { "oneDNN \($0.version)" } }

  /// Multiplies small matrices whose product is known.
  private static func isCorrect() -> Bool {
    let (m, n, k) = (67, 83, 129)
    var a = (0..<m * k).map { BFloat16(Float(($0 * 7) % 13) - 6) }
    var b = (0..<k * n).map { BFloat16(Float(($0 * 5) % 11) - 5) }
    var c = [Float](repeating: .nan, count: m * n)
    a.withUnsafeMutableBufferPointer { a in
      b.withUnsafeMutableBufferPointer { b in
        c.withUnsafeMutableBufferPointer { c in
          guard let a = a.baseAddress, let b = b.baseAddress, let c = c.baseAddress else { return }
          multiply(
            RoundedMatrix(a, rows: m, columns: k), .plain, RoundedMatrix(b, rows: k, columns: n), .plain,
            into: Matrix(c, rows: m, columns: n))
        }
      }
    }
    // Whole numbers this small are exact, so the comparison is for equality.
    return (0..<m * n).allSatisfy { index in
      let (row, column) = (index / n, index % n)
      return c[index] == (0..<k).reduce(0) { $0 + a[row * k + $1].float * b[$1 * n + column].float }
    }
  }
}

/// oneDNN's shared library, found when the program runs: it need not be there when the program is built.
private struct OneDNN: @unchecked Sendable {
  /// `dnnl_gemm_bf16bf16f32`: row-major, sizes are `int64_t`. In the library since 1.2, though not in its header.
  typealias Multiply =
    @convention(c) (
      CChar, CChar, Int, Int, Int, Float, UnsafeRawPointer, Int, UnsafeRawPointer, Int, Float,
      UnsafeMutablePointer<Float>, Int
    ) -> CInt

  let multiply: Multiply
  /// OpenMP's, where the library was built with it.
  let setThreadCount: (@convention(c) (CInt) -> Void)?
  /// Whether the library will use the instructions for bfloat16 that this processor has.
  let hasInstructions: Bool
  let version: String

  /// The library, once it was looked for.
  static let loaded = Loaded()

  struct Loaded: Sendable {
    let library: OneDNN?

    init() {
      library = ["libdnnl.so.3", "libdnnl.so.2", "libdnnl.so"].lazy.compactMap(OneDNN.init).first
    }
  }

  init?(_ name: String) {
    guard let handle = dlopen(name, RTLD_NOW | RTLD_LOCAL) else { return nil }
    func symbol<Function>(_ name: String, as type: Function.Type) -> Function? {
      dlsym(handle, name).map { unsafeBitCast($0, to: type) }
    }
    guard let multiply = symbol("dnnl_gemm_bf16bf16f32", as: Multiply.self),
      let isa = symbol("dnnl_get_effective_cpu_isa", as: (@convention(c) () -> CUnsignedInt).self),
      let version = symbol("dnnl_version", as: (@convention(c) () -> UnsafePointer<CInt>).self)
    else { return nil }
    self.multiply = multiply
    setThreadCount = symbol("omp_set_num_threads", as: (@convention(c) (CInt) -> Void).self)
    // dnnl_cpu_isa_avx512_core_bf16; AMX has all of its bits.
    hasInstructions = isa() & 0xE7 == 0xE7
    // dnnl_version_t begins with major, minor, patch.
    let numbers = version()
    self.version = "\(numbers[0]).\(numbers[1]).\(numbers[2])"
  }
}
