internal import BERT
internal import Collectives
internal import Failures
internal import FineTuning
internal import FoundationEssentials
internal import Interchange
internal import Tensors
internal import Tokenization

/// A directory of a plain model for Transformers: what a method added is folded into the weights, in `Double`.
struct HuggingFaceFormat: ExportFormat {
  let name = "hf"
  /// Folding rounds every weight once more.
  let tolerance: Float = 1e-4
  let holdsBases = true

  func check(_ trained: TrainedModel) throws {
    guard trained.model.method.canMerge else {
      throw Failure(.usage, "what \(trained.configuration.method) adds cannot be folded into a plain BERT")
    }
  }

  func write(_ source: ExportSource, to output: String, _ communicator: Communicator) throws -> Int {
    let merged = try TrainedModel(checkpoint: source.checkpoint, base: source.base, merged: true, communicator)
    defer { try? merged.model.free() }
    return try communicator.shared { try [Int64(write(merged, to: output))] }.first.map { Int($0) } ?? 0
  }

  /// Reads the directory as any base.
  func readBack(
    _ output: String, _ source: ExportSource, _ communicator: Communicator
  ) throws -> ModelState {
    let shared = try SharedBase(output, communicator)
    var shape = shared.configuration
    (shape.labelCount, shape.task) = (source.trained.shape.labelCount, source.trained.shape.task)
    return try ModelState(
      base: shared.base, names: shared.tensorNames, shape, Merged(FullFineTuning()), seed: 1, needsAll: true,
      communicator)
  }

  private func write(_ merged: TrainedModel, to output: String) throws -> Int {
    let store = merged.model.store
    let names = Dictionary(
      uniqueKeysWithValues: store.table.entries.map {
        (HuggingFaceFormat.publishedName($0.specification.name, merged.shape.head), $0.specification.name)
      })
    let entries = store.table.entries.map {
      TensorEntry(
        name: HuggingFaceFormat.publishedName($0.specification.name, merged.shape.head),
        shape: $0.specification.shape)
    }
    try CheckpointDirectory.write(
      configuration: Array(merged.shared.configurationJSON), as: HuggingFaceFormat.content(merged), tensors: entries,
      sideFiles: HuggingFaceFormat.sideFiles(
        merged.shared.tokenizer.vocabulary.bytes, merged.shared.tokenizer.settings, merged.shape), to: output
    ) { entry, values in
      _ = values.update(fromContentsOf: store.elements(names[entry.name] ?? entry.name))
    }
    return entries.count
  }

  /// What Transformers loads the model as.
  private static func content(_ trained: TrainedModel) -> CheckpointDirectory.Content {
    switch trained.shape.task {
    case .classification: .classifier(labels: trained.labels)
    case .maskedLanguage(nextSentence: false): .plain(architecture: Architecture.tokens.rawValue)
    case .maskedLanguage(nextSentence: true): .plain(architecture: Architecture.pairs.rawValue)
    }
  }

  /// The tokenizer's files.
  /// - Throws: What encoding throws.
  static func sideFiles(
    _ vocabulary: [UInt8], _ settings: TokenizerSettings, _ shape: BERTConfiguration
  ) throws -> [CheckpointDirectory.SideFile: [UInt8]] {
    let tokenizer = TokenizerConfigurationFile(settings, maxLength: shape.positionCount)
    return [.vocabulary: vocabulary, .tokenizerConfiguration: Array(try jsonText(tokenizer).utf8)]
  }

  /// A flexible head computes what BERT's pooler and classifier do, with maps of its own.
  private static func publishedName(_ name: String, _ head: HeadDesign) -> String {
    for (own, plain) in [(head.dense, HeadDesign.pooled.dense), (head.classifier, HeadDesign.pooled.classifier)]
    where name.hasPrefix(own + ".") {
      return plain + name.dropFirst(own.count)
    }
    return name
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
  /// Nil where there are none.
  let additional: [String]?

  init(_ settings: TokenizerSettings, maxLength: Int) {
    doLowerCase = settings.lowercase
    stripAccents = settings.stripAccents
    tokenizeChineseChars = settings.tokenizeChineseChars
    modelMaxLength = maxLength
    (unknown, classifier, separator) = (settings.unknownToken, settings.classifierToken, settings.separatorToken)
    (padding, mask) = (settings.paddingToken, settings.maskToken)
    additional = settings.additionalTokens.isEmpty ? nil : settings.additionalTokens
  }

  private enum CodingKeys: String, CodingKey {
    case doLowerCase = "do_lower_case", stripAccents = "strip_accents"
    case tokenizeChineseChars = "tokenize_chinese_chars", modelMaxLength = "model_max_length"
    case tokenizerClass = "tokenizer_class", unknown = "unk_token", classifier = "cls_token"
    case separator = "sep_token", padding = "pad_token", mask = "mask_token"
    case additional = "additional_special_tokens"
  }
}
