internal import Failures
internal import JSON

/// What a folder says about the model that its adapter was trained on.
package struct AdapterHubModel: Equatable, Sendable {
  /// `model_name`, such as `bert-base-multilingual-cased`.
  package var name: String?
  /// `model_type`; only `bert` is read.
  package var type: String?
  /// `model_class`, such as `BertForSequenceClassification`.
  package var className: String?
  /// `hidden_size`.
  package var hiddenSize: Int?

  /// Facts about a BERT.
  package init(
    name: String?, hiddenSize: Int?, className: String? = "BertForSequenceClassification",
    type: String? = "bert"
  ) {
    self.name = name
    self.hiddenSize = hiddenSize
    self.className = className
    self.type = type
  }
}

/// One adapter in a folder of AdapterHub's library, read by its rules.
package struct AdapterHubAdapter: Sendable {
  /// How a folder is read.
  package struct Options: Sendable {
    /// The adapter's name here; nil for the one in the file.
    package var name: String?
    /// Whether an old invertible block takes the non-linearity that is nested in its configuration, as the library
    /// of 2020 did; the current one takes the adapter's.
    package var usesNestedNonLinearity: Bool

    /// How a folder is read.
    package init(name: String? = nil, usesNestedNonLinearity: Bool = false) {
      self.name = name
      self.usesNestedNonLinearity = usesNestedNonLinearity
    }
  }

  /// The folder.
  package let path: String
  /// The adapter's name.
  package let name: String
  /// What it is.
  package let configuration: AdapterHubConfiguration
  /// The model that it was trained on.
  package let model: AdapterHubModel
  /// `version`, such as `adapters.1.3.0`; nil in old files.
  package let version: String?
  /// Exactly the tensors of ``AdapterHubConfiguration/tensors(named:shape:)``.
  package let tensors: TensorArchive
  /// The head beside the adapter, if there is one.
  package let head: AdapterHubHead?
  /// Sentences for the person: where an old file was read in another sense than its words.
  package let notices: [String]

  /// Opens a folder with `adapter_config.json` and `adapter.safetensors` or `pytorch_adapter.bin`.
  /// - Throws: `Failure(.noInput)` when a file is missing; `Failure(.badContent)` when one is damaged, is of a method
  ///   that is not supported, or lacks a tensor or has one too many.
  package init(opening path: String, options: Options = Options()) throws {
    let path = try Folder.existing(path, holding: "an adapter_config.json of AdapterHub")
    let source = "\(path)/adapter_config.json"
    let document = try JSONValue(contentsOf: source)
    if document["peft_type"] != nil {
      throw Failure(.badContent, "\(path.quoted) is an adapter of PEFT, not of AdapterHub")
    }
    var notices: [String] = []
    var facts = try AdapterHubFacts(document, source: source.quoted)
    let file = try Folder.choose(["adapter.safetensors", "pytorch_adapter.bin"], in: path)
    let published = try TensorArchive(opening: path + "/" + file)
    try facts.resolve(published, options, &notices)
    name = try facts.name(as: options.name)
    tensors = try AdapterHubNames.canonical(
      published, configuration: facts.configuration, from: facts.name, to: name)
    self.path = path
    configuration = facts.configuration
    model = facts.model
    version = facts.version
    self.notices = notices
    head = try AdapterHubHead(in: path)
    try check(against: inferredShape())
  }

  /// Checks the adapter against the base that it is to be used on.
  /// - Throws: `Failure(.badContent)` naming the tensor that is missing, of another shape, or one too many.
  package func check(against shape: EncoderShape) throws {
    if let hiddenSize = model.hiddenSize, hiddenSize != shape.hiddenSize {
      throw Failure(
        .badContent,
        "\(path.quoted) was trained on a model with hidden size \(hiddenSize)"
          + "\(model.name.map { " (\($0.quoted))" } ?? ""), but this one has \(shape.hiddenSize)")
    }
    let expected = try configuration.tensors(named: name, shape: shape)
    try AdapterHubNames.check(tensors, expected, path: path)
  }

  /// The smallest shape that could hold the tensors, for the check at opening.
  private func inferredShape() throws -> EncoderShape {
    let entries = tensors.entries
    func size(_ suffix: String, _ axis: Int) -> Int? {
      entries.first { $0.name.hasSuffix(suffix) && $0.shape.count > axis }?.shape[axis]
    }
    let hiddenSize =
      model.hiddenSize ?? size(".adapter_up.weight", 0) ?? size(
        ".attention.self.query.loras.\(name).lora_B", 0)
      ?? size(".loras.\(name).lora_B", 0) ?? size(".wte.weight", 1) ?? 0
    guard hiddenSize > 0, hiddenSize < 1 << 20 else {
      throw Failure(
        .badContent, "\(path.quoted): the hidden size is neither given nor clear from the tensors")
    }
    var layerCount =
      (entries.compactMap { EncoderShape.layer(of: $0.name) } + configuration.leaveOut).max() ?? -1
    layerCount = min(layerCount + 1, EncoderShape.maximumLayerCount)
    if case .prefixTuning(let prefix) = configuration {
      let rows =
        size(".control_trans.2.weight", 0) ?? size(".control_trans", 0).map { $0 / prefix.length } ?? 0
      layerCount = min(rows / (2 * hiddenSize) + Set(prefix.leaveOut).count, EncoderShape.maximumLayerCount)
    }
    let intermediateSize =
      size(".intermediate.dense.loras.\(name).lora_B", 0) ?? size(".output.dense.loras.\(name).lora_A", 1)
      ?? 4 * hiddenSize
    guard intermediateSize < 1 << 24 else {
      throw Failure(
        .badContent, "\(path.quoted): the feed-forward width \(intermediateSize) is not plausible")
    }
    return EncoderShape(
      hiddenSize: hiddenSize, intermediateSize: intermediateSize, layerCount: layerCount, vocabularySize: 0)
  }
}
