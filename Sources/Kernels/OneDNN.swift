internal import COpenBLAS
internal import Glibc
internal import Tensors

/// oneDNN's shared library, found when the program runs: it need not be there when the program is built.
struct OneDNN: @unchecked Sendable {
  /// A product of row-major matrices, sizes as `int64_t`; the status is 0 when all went well.
  private typealias Product =
    @convention(c) (
      CChar, CChar, Int, Int, Int, Float, UnsafeRawPointer, Int, UnsafeRawPointer, Int, Float,
      UnsafeMutablePointer<Float>, Int
    ) -> CInt

  /// The library: of several the first that suits, else the first; nil where there is none.
  static let library: OneDNN? = {
    var first: OneDNN?
    for name in ["libdnnl.so.3", "libdnnl.so.2", "libdnnl.so"] {
      guard let library = keepingAffinity({ OneDNN(name) }) else { continue }
      if library.hasWideVectors && library.staysOnThread { return library }
      first = first ?? library
    }
    return first
  }()

  /// Its version: `2.6.3`.
  let version: String
  /// Whether it will use AVX-512 on this processor.
  let hasWideVectors: Bool
  /// Whether it has products in bfloat16.
  var hasRounded: Bool { rounded != nil }
  /// Whether it will use the instructions for bfloat16 that this processor has.
  let hasRoundedInstructions: Bool
  /// Which instructions it will use, in its own notation: those with AMX round in another order.
  let instructions: CUnsignedInt
  /// Whether a call stays on the thread that makes it.
  let staysOnThread: Bool

  /// `dnnl_sgemm`.
  private let floats: Product
  /// `dnnl_gemm_bf16bf16f32`, in the library since 1.2, though not in its header.
  private let rounded: Product?
  /// OpenMP's, where the library was built with it; each thread has a number of its own.
  private let setThreadCount: (@convention(c) (CInt) -> Void)?

  private init?(_ name: String) {
    guard let handle = dlopen(name, RTLD_NOW | RTLD_LOCAL) else { return nil }
    func symbol<Function>(_ name: String, as type: Function.Type) -> Function? {
      dlsym(handle, name).map { unsafeBitCast($0, to: type) }
    }
    guard let floats = symbol("dnnl_sgemm", as: Product.self),
      let isa = symbol("dnnl_get_effective_cpu_isa", as: (@convention(c) () -> CUnsignedInt).self),
      let version = symbol("dnnl_version", as: (@convention(c) () -> UnsafeRawPointer).self)
    else { return nil }
    self.floats = floats
    rounded = symbol("dnnl_gemm_bf16bf16f32", as: Product.self)
    setThreadCount = symbol("omp_set_num_threads", as: (@convention(c) (CInt) -> Void).self)
    instructions = isa()
    #if arch(x86_64)
      // dnnl_cpu_isa_avx512_core, and with bfloat16; AMX has all of their bits.
      hasWideVectors = instructions & 0x27 == 0x27
      hasRoundedInstructions = instructions & 0xE7 == 0xE7
    #else
      // The same bits mean other things elsewhere, where its products are not of its own making.
      (hasWideVectors, hasRoundedInstructions) = (false, false)
    #endif
    // dnnl_version_t: major, minor, patch, a pointer, then what its threads are: none (1), OpenMP's (2), others.
    let facts = version()
    let numbers = (0..<3).map { facts.load(fromByteOffset: 4 * $0, as: CInt.self) }
    self.version = numbers.map(String.init).joined(separator: ".")
    let threading = facts.load(fromByteOffset: 24, as: CUnsignedInt.self)
    staysOnThread = threading == 1 || (threading == 2 && setThreadCount != nil)
  }

  /// Where `OMP_PROC_BIND` or the like is set, OpenMP binds the thread that loads it to one core, as if it would start
  /// others for the rest.
  private static func keepingAffinity<Result>(_ body: () -> Result) -> Result {
    var processors = cpu_set_t()
    let size = UInt(MemoryLayout<cpu_set_t>.size)
    let isKnown = blas_getAffinity(0, size, &processors) >= 0
    defer { if isKnown { _ = blas_setAffinity(0, size, &processors) } }
    return body()
  }

  /// `c = alpha · op(a) op(b) + beta · c`, of sizes that were checked.
  /// - Returns: Whether it did; memory for packed factors may be lacking.
  @inline(__always)
  func multiply<Element: BitwiseCopyable>(
    _ a: MatrixView<Element>, _ aOrientation: Orientation, _ b: MatrixView<Element>, _ bOrientation: Orientation,
    into c: Matrix, depth: Int, alpha: Float, beta: Float
  ) -> Bool {
    guard let product = Element.self == Float.self ? floats : rounded else { return false }
    setThreadCount?(1)
    return product(
      aOrientation.letter, bOrientation.letter, c.rows, c.columns, depth, alpha, a.base, max(a.stride, 1), b.base,
      max(b.stride, 1), beta, c.base, max(c.stride, 1)) == 0
  }
}

extension Orientation {
  /// What BLAS calls it.
  fileprivate var letter: CChar { CChar(self == .plain ? UInt8(ascii: "N") : UInt8(ascii: "T")) }
}
