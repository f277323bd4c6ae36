internal import Failures

/// Whether tensors are those that a PEFT configuration asks for.
///
/// PEFT itself only warns about an update that is missing (it then stays zero) and skips tensors that it does not
/// know; here both are errors.
struct PEFTCheck {
  private let configuration: PEFTConfiguration
  private let modules: PEFTModules
  private let entries: [String: TensorEntry]
  private let order: [TensorEntry]
  private let shape: EncoderShape
  private let knowsSizes: Bool
  private let source: String
  private let publishedModule: (String) -> String

  /// A check of tensors under their names here; without a shape, sizes are only compared with each other.
  init(
    _ configuration: PEFTConfiguration, entries: [TensorEntry], shape: EncoderShape?, source: String,
    publishedModule: @escaping (String) -> String
  ) throws {
    self.configuration = configuration
    self.source = source
    self.publishedModule = publishedModule
    modules = try PEFTModules(configuration, source: source)
    order = entries
    self.entries = Dictionary(entries.map { ($0.name, $0) }) { first, _ in first }
    knowsSizes = shape != nil
    let layerCount = entries.compactMap { EncoderShape.layer(of: $0.name) }.max().map { $0 + 1 } ?? 0
    self.shape =
      shape
      ?? EncoderShape(
        hiddenSize: 0, intermediateSize: 0, layerCount: layerCount, vocabularySize: 0, positionCount: 0,
        segmentCount: 0)
  }

  /// - Throws: `Failure(.badContent)` naming the first tensor that is missing, of another shape, or not asked for.
  func run() throws {
    var expected: Set<String> = []
    for module in shape.modules
    where modules.isTarget(publishedModule(module.name), isEmbedding: module.isEmbedding) {
      try checkUpdate(of: module, &expected)
    }
    guard !expected.isEmpty else {
      throw Failure(.badContent, "\(source): no module of a BERT is selected by target_modules")
    }
    try checkWhole(&expected)
    try checkHead(&expected)
    if let extra = order.first(where: { !expected.contains($0.name) }) {
      throw Failure(
        .badContent,
        "\(source) has the tensor \(extra.name.quoted), which its configuration does not ask for "
          + "or this model does not have")
    }
  }

  private func checkUpdate(of module: EncoderShape.Module, _ expected: inout Set<String>) throws {
    let rank = modules.rank(of: publishedModule(module.name))
    let (a, b) =
      module.isEmbedding ? (".lora_embedding_A", ".lora_embedding_B") : (".lora_A.weight", ".lora_B.weight")
    var needed = [(a, [rank, module.inputSize]), (b, [module.outputSize, rank])]
    if configuration.usesDoRA { needed.append((".lora_magnitude_vector", [module.outputSize])) }
    var known: Set<String> = []
    for (suffix, sizes) in needed {
      try require(module.name + suffix, sizes, fixed: suffix == a ? 0 : suffix == b ? 1 : nil)
      known.insert(module.name + suffix)
    }
    if configuration.usesDoRA {
      let rows = entries[module.name + b]?.shape.first
      let magnitudes = entries[module.name + ".lora_magnitude_vector"]?.shape.first
      guard rows == magnitudes else {
        throw Failure(
          .badContent, "\(source): lora_B and lora_magnitude_vector of \(module.name) differ in size")
      }
    }
    expected.formUnion(known)
  }

  private static let wordEmbedding = "bert.embeddings.word_embeddings"

  /// Weights of the base that are there whole: biases, modules to save, and the word embedding, which PEFT writes when
  /// `save_pretrained` is told to (`save_embedding_layers`) or its rows are not those of the base's configuration.
  private func checkWhole(_ expected: inout Set<String>) throws {
    let updated = Set(expected.compactMap { PEFTNames.updatedModule($0) })
    let hasBiases = updated.contains { entries[$0 + ".bias"] != nil }
    for parameter in shape.parameters {
      let isBias = parameter.name.hasSuffix(".bias")
      let module = String(parameter.name.dropLast(isBias ? 5 : 7))
      let isUpdated = updated.contains(module)
      let isTrained =
        switch configuration.biases {
        case .none: false
        case .all: isBias
        case .loraOnly: isBias && isUpdated && hasBiases
        }
      let isKept = module == PEFTCheck.wordEmbedding && entries[parameter.name] != nil
      guard isTrained || isKept || modules.isSaved(publishedModule(module)) else { continue }
      // Which of them PEFT writes has changed between its versions only for modules without an update.
      if entries[parameter.name] == nil, isTrained, !isUpdated { continue }
      try require(parameter.name, parameter.shape, fixed: nil)
      expected.insert(parameter.name)
    }
  }

  private func checkHead(_ expected: inout Set<String>) throws {
    let (weight, bias) = (entries["classifier.weight"], entries["classifier.bias"])
    guard configuration.savesClassifier || weight != nil || bias != nil else { return }
    guard let weight, let bias else {
      throw Failure(
        .badContent,
        "\(source) lacks the tensor 'classifier.\(weight == nil ? "weight" : "bias")', "
          + "though its configuration saves the classifier; save the adapter again with its head")
    }
    guard weight.element.isWeight, weight.shape.count == 2, weight.shape[0] > 0,
      bias.shape == [weight.shape[0]], !knowsSizes || weight.shape[1] == shape.hiddenSize
    else {
      throw Failure(
        .badContent,
        "\(source): the classifier has the shapes \(weight.shape) and \(bias.shape), but [classes, "
          + "\(knowsSizes ? "\(shape.hiddenSize)" : "hidden size")] and [classes] were expected")
    }
    expected.formUnion(["classifier.weight", "classifier.bias"])
  }

  /// A tensor that has to be there; without known sizes only the dimension `fixed` is compared.
  private func require(_ name: String, _ sizes: [Int], fixed: Int?) throws {
    guard let entry = entries[name] else {
      throw Failure(
        .badContent, "\(source) lacks the tensor \(name.quoted), which its configuration asks for")
    }
    let fits =
      knowsSizes
      ? entry.shape == sizes
      : entry.shape.count == sizes.count && fixed.map { entry.shape[$0] == sizes[$0] } ?? true
    guard fits, entry.element.isWeight else {
      let expected = sizes.enumerated().map { index, size in
        knowsSizes || index == fixed ? String(size) : "any"
      }
      throw Failure(
        .badContent,
        "\(source): the tensor \(name.quoted) has the shape \(entry.shape) of \(entry.element.rawValue), but "
          + "[\(expected.joined(separator: ", "))] in floating point was expected"
          + (name.hasPrefix(PEFTCheck.wordEmbedding + ".") && knowsSizes && entry.element.isWeight
            ? "; where tokens were added before training, resize the base's embeddings as was done then "
              + "(resize_token_embeddings), save it, and pass that" : ""))
    }
  }
}
