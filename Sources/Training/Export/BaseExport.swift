internal import Checkpoints
internal import Failures
internal import FoundationEssentials
internal import Interchange
internal import Tensors

extension Base {
  /// Whether a path is that of a base: one of our files, or a Hugging Face directory.
  /// - Throws: `Failure` when it cannot be read.
  package static func isBase(_ path: String) throws -> Bool {
    if isDirectory(path) { return FileManager.default.fileExists(atPath: path + "/config.json") }
    return try TensorFile(opening: path).kind == .base
  }

  /// Writes a directory that Transformers loads: every tensor as it is.
  /// - Throws: `Failure` when it cannot be written, or holds something.
  func export(to output: String) throws {
    let entries = tensorNames.map { TensorEntry(name: $0, shape: shape($0) ?? []) }
    try CheckpointDirectory.write(
      configuration: Array(configurationJSON), as: .plain(architecture: architecture), tensors: entries,
      sideFiles: HuggingFaceFormat.sideFiles(vocabulary, tokenizerSettings, configuration), to: output
    ) { entry, values in
      try read(entry.name, shape: entry.shape, into: values)
    }
  }

  /// What Transformers calls a model with these heads.
  private var architecture: String {
    if shape("classifier.weight") != nil { return "BertForSequenceClassification" }
    if shape("cls.seq_relationship.weight") != nil { return Architecture.pairs.rawValue }
    return shape("cls.predictions.bias") != nil ? Architecture.tokens.rawValue : "BertModel"
  }
}
