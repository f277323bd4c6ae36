internal import Failures
internal import Kernels
package import Tensors

extension Precision {
  /// Refuses a precision that this machine does not compute in.
  /// - Throws: `Failure` of kind `usage` that says what is missing and how to get it.
  package func check() throws {
    guard self == .bf16, let obstacle = RoundedProducts.obstacle else { return }
    let missing =
      switch obstacle {
      case .library:
        "the library oneDNN (libdnnl.so) with products in bfloat16, which was not found: install it (Debian: apt-get install libdnnl-dev)"
      case .instructions:
        "a processor with AVX512-BF16 or AMX, and this one has neither"
      case .threads:
        "an oneDNN whose threads are OpenMP's or none, and \(RoundedProducts.description ?? "this one") has others: install another build (Debian: libdnnl-dev)"
      case .wrongNumbers:
        "a library that multiplies correctly, and \(RoundedProducts.description ?? "oneDNN") does not on this processor: install another version"
      }
    throw Failure(.usage, "--precision bf16 needs \(missing); leave it out to compute in fp32.")
  }
}
