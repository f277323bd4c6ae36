internal import Failures
internal import Glibc
internal import Interchange

/// The files written by the Python libraries, outside the project; suites that need them are enabled by
/// `.enabled(if: Fixtures.areAvailable)`.
package enum Fixtures {
  /// The directory that the environment variable `BERT_DDP_SHARED` names, or nil when it is not set.
  package static let shared: String? = getenv("BERT_DDP_SHARED").map { String(cString: $0) }

  /// Whether the shared directory was named; a file missing from it is then a failure.
  package static var areAvailable: Bool { shared != nil }

  /// The path of something in the shared directory, such as `fixtures/ckpt/seqcls`.
  /// - Throws: `Failure(.other)` when `BERT_DDP_SHARED` is not set.
  package static func path(_ relative: String) throws -> String {
    guard let shared else {
      throw Failure(.other, "set BERT_DDP_SHARED to the directory that holds \(relative)")
    }
    return shared + "/" + relative
  }

  /// All bytes of a file in the shared directory.
  /// - Throws: `Failure` when it cannot be read.
  package static func bytes(_ relative: String) throws -> [UInt8] {
    try InputFile.contents(of: path(relative))
  }

  /// The tensors of `fixtures/golden/<name>.safetensors`.
  /// - Throws: `Failure` when the file is missing or damaged.
  package static func golden(_ name: String) throws -> Golden {
    try Golden(opening: path("fixtures/golden/\(name).safetensors"))
  }
}
