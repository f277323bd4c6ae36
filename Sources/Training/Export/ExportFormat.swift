internal import Collectives
internal import Failures

/// A form in which a trained file leaves, with a place in the list below: ``HuggingFaceFormat``, or
/// ``AdapterFolderFormat`` for what `Exchange/PEFT` and `Exchange/AdapterHub` write.
protocol ExportFormat: Sendable {
  /// What `--format` calls it.
  var name: String { get }
  /// By how much logits may differ between the trained file and what is read back.
  var tolerance: Float { get }
  /// Whether a base leaves in this form, as it is.
  var holdsBases: Bool { get }
  /// Refuses what the format has no form for, before anything is written.
  /// - Throws: `Failure(.usage)` with the sentence's first half: what is in the way.
  func check(_ trained: TrainedModel) throws
  /// Writes a folder; collective, rank 0 writes.
  /// - Parameters:
  ///   - source: What is written.
  ///   - output: A new or empty directory.
  ///   - communicator: All ranks.
  /// - Returns: How many tensors it has.
  /// - Throws: The same `Failure` on all ranks.
  func write(_ source: ExportSource, to output: String, _ communicator: Communicator) throws -> Int
  /// The model that a written folder holds, read as that of anybody else; collective.
  /// - Throws: The same `Failure` on all ranks.
  func readBack(_ output: String, _ source: ExportSource, _ communicator: Communicator) throws -> ModelState
}

/// A trained file that is being exported.
struct ExportSource {
  /// The file, as it was trained.
  let trained: TrainedModel
  /// Its path.
  let checkpoint: String
  /// The base it belongs to, as given; where it was trained from when nil.
  let base: String?

  /// The base's name for other libraries: a directory's path means something to them, a file of ours does not.
  var baseName: String? {
    (base ?? trained.configuration.base).flatMap { isDirectory($0) ? $0 : nil }
  }
}

/// The forms that there are.
package enum ExportFormats {
  static let all: [any ExportFormat] = [
    HuggingFaceFormat(), AdapterFolderFormat(.peft), AdapterFolderFormat(.adapterHub),
  ]

  /// The names that `--format` takes.
  package static var names: [String] { all.map(\.name) }

  /// The format of a name.
  /// - Throws: `Failure(.usage)` when there is none.
  static func named(_ name: String) throws -> any ExportFormat {
    guard let format = all.first(where: { $0.name == name }) else {
      throw Failure(.usage, "--format is \"\(name)\", expected one of \(names.joined(separator: ", ")).")
    }
    return format
  }

  /// Makes sure that a format can hold a trained file.
  /// - Throws: `Failure(.usage)` that says why not, and which formats can.
  static func check(_ format: any ExportFormat, _ trained: TrainedModel) throws {
    do {
      try format.check(trained)
    } catch let failure as Failure where failure.kind == .usage {
      let others = all.filter { other in
        guard other.name != format.name else { return false }
        return (try? other.check(trained)) != nil
      }
      let advice =
        others.isEmpty
        ? "no format holds it" : "choose --format \(others.map(\.name).joined(separator: " or "))"
      throw Failure(.usage, "\(failure.message); \(advice).")
    }
  }
}
