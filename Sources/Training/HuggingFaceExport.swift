internal import BERT
package import Collectives
package import Console
internal import Failures
internal import FineTuning
internal import FoundationEssentials
internal import Interchange
internal import Randomness
internal import Tensors
internal import Tokenization

/// Writes a trained file as a plain Hugging Face model, and proves that it is the same model by reading it back.
package struct HuggingFaceExport {
  /// By how much merged logits may differ from those of the trained file.
  package static let tolerance: Float = 1e-4

  /// What was written.
  package struct Summary: Sendable {
    /// How many tensors the directory has.
    package let tensorCount: Int
    /// The largest difference of any logit between the trained file and the directory read back.
    package let largestDifference: Float
    /// How many made-up reviews were compared.
    package let probeCount: Int
  }

  private let communicator: Communicator
  private let screen: Screen

  /// An export by all ranks of a job; rank 0 writes.
  package init(_ communicator: Communicator, _ screen: Screen) {
    self.communicator = communicator
    self.screen = screen
  }

  /// Merges, writes, reads back and compares; collective.
  /// - Parameters:
  ///   - checkpoint: A checkpoint or `model.h5`.
  ///   - base: The base it belongs to; where it was trained from when nil.
  ///   - output: A new or empty directory.
  /// - Returns: What was written.
  /// - Throws: The same `Failure` on all ranks; the directory is not left behind when it is not the same model.
  package func write(checkpoint: String, base: String?, to output: String) throws -> Summary {
    let trained = try TrainedModel(checkpoint: checkpoint, base: base, merged: false, communicator)
    defer { try? trained.model.free() }
    guard trained.model.method.canMerge else {
      throw Failure(
        .usage, "what \(trained.configuration.method) adds cannot be folded into a plain BERT; choose another --format."
      )
    }
    let expected = try probe(trained.model, trained.shape)
    let merged = try TrainedModel(checkpoint: checkpoint, base: base, merged: true, communicator)
    defer { try? merged.model.free() }
    let count = try communicator.shared { try [Int64(write(merged, to: output))] }.first.map { Int($0) } ?? 0
    let difference = try compare(expected, merged, output)
    guard difference <= HuggingFaceExport.tolerance else {
      try communicator.collectively(where: communicator.isFirst) {
        try? FileManager.default.removeItem(atPath: output)
      }
      throw Failure(
        .other,
        "the merged model's logits differ by \(difference), more than \(HuggingFaceExport.tolerance) is not the same model; \(output) was removed."
      )
    }
    return Summary(tensorCount: count, largestDifference: difference, probeCount: Probe.count)
  }

  private func write(_ merged: TrainedModel, to output: String) throws -> Int {
    let store = merged.model.store
    let entries = store.table.entries.map { TensorEntry(name: $0.specification.name, shape: $0.specification.shape) }
    let settings = merged.shared.tokenizer.settings
    let tokenizer = TokenizerConfigurationFile(settings, maxLength: merged.shape.positionCount)
    try CheckpointDirectory.write(
      configuration: Array(merged.shared.configurationJSON),
      labels: (0..<merged.shape.labelCount).map { "LABEL_\($0)" }, tensors: entries,
      sideFiles: [
        .vocabulary: merged.shared.tokenizer.vocabulary.bytes,
        .tokenizerConfiguration: Array(try jsonText(tokenizer).utf8),
      ], to: output
    ) { entry, values in
      _ = values.update(fromContentsOf: store.elements(entry.name))
    }
    return entries.count
  }

  /// Reads the directory as any base and compares its logits with those of the trained file.
  private func compare(_ expected: [Float]?, _ merged: TrainedModel, _ output: String) throws -> Float {
    let base = try communicator.collectively(where: communicator.localRank == 0) { try Base(opening: output) }
    let names = Set(merged.model.store.table.entries.map(\.specification.name))
    let model = try ModelState(
      base: base, names: names, merged.shape, Merged(FullFineTuning()), seed: 1, communicator)
    defer { try? model.free() }
    let found = try probe(model, merged.shape)
    let difference = zip(expected ?? [], found ?? []).reduce(Float(0)) { max($0, abs($1.0 - $1.1)) }
    return Float(try communicator.maximum(of: Double(difference)))
  }

  private func probe(_ model: ModelState, _ shape: BERTConfiguration) throws -> [Float]? {
    let pool = WorkerPool(count: 1)
    defer { pool.close() }
    let replica = Replica(
      model.method, shape, model.store, pool, seed: 1, maxLength: shape.positionCount, trains: false)
    return try replica.logits(Probe.reviews(shape), communicator)
  }
}

/// Made-up reviews of many lengths, the same everywhere.
private enum Probe {
  static let count = 64

  static func reviews(_ shape: BERTConfiguration) -> EncodedReviews {
    let generator = Philox(seed: 1, purpose: .test)
    let reviews = (0..<count).map { review in
      let length = 1 + generator.index(below: min(shape.positionCount, 64), UInt32(review))
      return (0..<length).map {
        Int32(generator.index(below: shape.vocabularySize, UInt32(review), UInt32($0 + 1)))
      }
    }
    return EncodedReviews(reviews: reviews, labels: [])
  }
}

/// `tokenizer_config.json`, under its published keys.
private struct TokenizerConfigurationFile: Encodable {
  let doLowerCase: Bool
  let stripAccents: Bool?
  let tokenizeChineseChars: Bool
  let modelMaxLength: Int
  let tokenizerClass = "BertTokenizer"
  let unknown: String, classifier: String, separator: String, padding: String, mask: String

  init(_ settings: TokenizerSettings, maxLength: Int) {
    doLowerCase = settings.lowercase
    stripAccents = settings.stripAccents
    tokenizeChineseChars = settings.tokenizeChineseChars
    modelMaxLength = maxLength
    (unknown, classifier, separator) = (settings.unknownToken, settings.classifierToken, settings.separatorToken)
    (padding, mask) = (settings.paddingToken, settings.maskToken)
  }

  private enum CodingKeys: String, CodingKey {
    case doLowerCase = "do_lower_case", stripAccents = "strip_accents"
    case tokenizeChineseChars = "tokenize_chinese_chars", modelMaxLength = "model_max_length"
    case tokenizerClass = "tokenizer_class", unknown = "unk_token", classifier = "cls_token"
    case separator = "sep_token", padding = "pad_token", mask = "mask_token"
  }
}
