internal import COpenBLAS
internal import CVectors

/// Who multiplies, and the kernels that OpenBLAS chose for this processor: `OpenBLAS 0.3.21, Haswell kernels`, or
/// `oneDNN 2.6.3, small products by OpenBLAS 0.3.21, Haswell kernels`.
package func blasDescription() -> String {
  let words = String(cString: openblas_get_config()).split(separator: " ").prefix(2)
  let openBLAS = words.joined(separator: " ") + ", \(blasKernels()) kernels"
  guard ProductLibrary.forLarge == .oneDNN, let version = OneDNN.library?.version else { return openBLAS }
  return "oneDNN \(version), small products by \(openBLAS)"
}

/// OpenBLAS's name for the kernels that it chose.
func blasKernels() -> String { String(cString: openblas_get_corename()) }

/// What this program's own kernels were built for: `own kernels for AVX-512`.
package let ownKernelsDescription =
  "own kernels for " + ["any processor", "AVX2", "AVX-512", "NEON"][Int(CVECTORS_LEVEL)]
