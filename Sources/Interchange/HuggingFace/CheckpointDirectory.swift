internal import Failures
internal import FoundationEssentials
internal import JSON

/// A directory that `save_pretrained` of Hugging Face Transformers wrote, or that came from the hub.
package struct CheckpointDirectory: Sendable {
  /// A small file beside the weights that may be there.
  package enum SideFile: String, CaseIterable, Sendable {
    case vocabulary = "vocab.txt"
    case tokenizer = "tokenizer.json"
    case tokenizerConfiguration = "tokenizer_config.json"
    case specialTokensMap = "special_tokens_map.json"
    case addedTokens = "added_tokens.json"
  }

  /// The directory.
  package let path: String
  /// The bytes of `config.json`; well-formed JSON, an object.
  package let configuration: [UInt8]
  /// The tensors under their canonical names: with the prefix `bert.`, with `LayerNorm.weight` and `.bias`,
  /// without buffers and without copies of the tied decoder.
  package let weights: TensorArchive
  /// The file that the weights come from: the index where there are several.
  package let weightsFile: String

  /// Opens a directory: its configuration and the headers of its weights.
  /// - Throws: `Failure(.noInput)` when the directory, its configuration or its weights are missing;
  ///   `Failure(.badContent)` when one of them is damaged.
  package init(opening path: String) throws {
    let path = path.count > 1 && path.hasSuffix("/") ? String(path.dropLast()) : path
    try CheckpointDirectory.requireConfiguration(in: path)
    let configuration = try InputFile.contents(of: path + "/config.json")
    let isTied = try CheckpointDirectory.isTied(configuration, source: "\(path)/config.json".quoted)
    let file = try CheckpointDirectory.chooseWeights(in: path)
    let published =
      file.hasSuffix(".index.json")
      ? try ShardedWeights.open(index: file, in: path) : try TensorArchive(opening: path + "/" + file)
    self.path = path
    self.configuration = configuration
    weights = try CanonicalNames.apply(to: published, isTied: isTied)
    weightsFile = file
  }

  /// The bytes of a file beside the weights, or nil when it is not there.
  /// - Throws: `Failure(.noInput)` when it is there but cannot be read.
  package func contents(of file: SideFile) throws -> [UInt8]? {
    let path = path + "/" + file.rawValue
    return InputFile.exists(path) ? try InputFile.contents(of: path) : nil
  }
}

// MARK: What is where

extension CheckpointDirectory {
  /// Weights in the order in which Transformers prefers them.
  private static let weightsFiles = [
    "model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json",
  ]
  private static let foreignFiles = [
    "tf_model.h5", "flax_model.msgpack", "bert_model.ckpt.index", "model.onnx",
  ]

  private static func requireConfiguration(in path: String) throws {
    var isDirectory = false
    guard FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) else {
      throw Failure(.noInput, "there is no directory \(path.quoted); \(advice)")
    }
    guard isDirectory else { throw Failure(.noInput, "\(path.quoted) is not a directory; \(advice)") }
    guard !InputFile.exists(path + "/config.json") else { return }
    if InputFile.exists(path + "/adapter_config.json") {
      throw Failure(
        .noInput, "\(path.quoted) holds an adapter, not a model: it has no config.json; \(advice)")
    }
    // The cache of huggingface_hub keeps a model's files one level down.
    let snapshots =
      (try? FileManager.default.contentsOfDirectory(atPath: path + "/snapshots"))?.sorted() ?? []
    if let snapshot = snapshots.first {
      throw Failure(
        .noInput, "\(path.quoted) is a cache entry; pass \("\(path)/snapshots/\(snapshot)".quoted)")
    }
    throw Failure(.noInput, "\(path.quoted) has no config.json; \(advice)")
  }

  private static let advice =
    "pass a Hugging Face directory with config.json, vocab.txt and model.safetensors or pytorch_model.bin"

  private static func chooseWeights(in path: String) throws -> String {
    if let file = weightsFiles.first(where: { InputFile.exists(path + "/" + $0) }) { return file }
    if let foreign = foreignFiles.first(where: { InputFile.exists(path + "/" + $0) }) {
      throw Failure(
        .noInput,
        """
        \(path.quoted) has weights only as \(foreign), which is not read here; load them with Transformers \
        and save them with save_pretrained
        """)
    }
    throw Failure(
      .noInput, "\(path.quoted) has no weights: none of \(weightsFiles.joined(separator: ", ")) is there")
  }

  /// Whether the masked-LM decoder shares the word embedding: `tie_word_embeddings`, true where it is absent.
  private static func isTied(_ configuration: [UInt8], source: String) throws -> Bool {
    var scanner = JSONScanner(configuration[...], source: source)
    var isTied = true
    try scanner.object { key, scanner in
      if key == "tie_word_embeddings" {
        isTied = scanner.acceptNull() ? false : try scanner.boolean()
      } else {
        try scanner.skipValue()
      }
    }
    try scanner.end()
    return isTied
  }
}
