internal import CVectors
internal import Glibc

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
