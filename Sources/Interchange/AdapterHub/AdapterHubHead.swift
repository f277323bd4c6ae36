internal import Failures

/// What the head beside an adapter is.
package struct AdapterHubHeadConfiguration: Equatable, Sendable {
  /// The kinds of heads.
  package enum Kind: Equatable, Sendable {
    /// The classifier of `BertForSequenceClassification`: `classifier.weight [classes, H]` and `.bias` on the pooled
    /// output.
    case classifier
    /// A head of `BertAdapterModel`: `heads.<name>.1.*`, `heads.<name>.4.*`, … on the first token as it leaves the
    /// encoder, or on the pooled output.
    case flexible(AdapterHubFlexibleHead)
    /// Something else, such as `BertForMaskedLM` or `masked_lm`; its tensors are not looked at.
    case other(String)
  }

  /// What it is.
  package var kind: Kind
  /// The name of a flexible head.
  package var name: String?
  /// `model_class`: the class that may load it.
  package var modelClass: String
  /// The names of the classes, by their number.
  package var labels: [String]

  /// A head.
  package init(kind: Kind, name: String? = nil, modelClass: String, labels: [String]) {
    self.kind = kind
    self.name = name
    self.modelClass = modelClass
    self.labels = labels
  }

  /// The classifier of `BertForSequenceClassification`.
  package static func classifier(labels: [String]) -> AdapterHubHeadConfiguration {
    AdapterHubHeadConfiguration(
      kind: .classifier, modelClass: "BertForSequenceClassification", labels: labels)
  }

  /// The head's tensors; empty for a kind that is not known.
  package func tensors(hiddenSize: Int) -> [TensorEntry] {
    func pair(_ base: String, _ rows: Int) -> [TensorEntry] {
      [
        TensorEntry(name: base + ".weight", shape: [rows, hiddenSize]),
        TensorEntry(name: base + ".bias", shape: [rows]),
      ]
    }
    switch kind {
    case .classifier: return pair("classifier", labels.count)
    case .flexible(let head):
      return (0..<head.layerCount).flatMap { layer in
        pair("heads.\(name ?? "").\(1 + 3 * layer)", layer == head.layerCount - 1 ? labels.count : hiddenSize)
      }
    case .other: return []
    }
  }
}

/// The options of a classification head of `BertAdapterModel`.
package struct AdapterHubFlexibleHead: Equatable, Sendable {
  /// `layers`: dropout and a projection each, with an activation between.
  package var layerCount: Int
  /// `activation_function`.
  package var activation: String
  /// `use_pooler`.
  package var usesPooler: Bool
  /// `dropout_prob`; nil for the model's.
  package var dropout: Double?

  /// A head; the library's default has two layers on the first token.
  package init(
    layerCount: Int = 2, activation: String = "tanh", usesPooler: Bool = false, dropout: Double? = nil
  ) {
    self.layerCount = layerCount
    self.activation = activation
    self.usesPooler = usesPooler
    self.dropout = dropout
  }
}

/// A head that was read.
package struct AdapterHubHead: Sendable {
  /// What it is.
  package let configuration: AdapterHubHeadConfiguration
  /// Exactly the tensors of ``AdapterHubHeadConfiguration/tensors(hiddenSize:)``; all of the file for another kind.
  package let tensors: TensorArchive

  /// The head in a folder; nil when there is none.
  /// - Throws: `Failure(.noInput)` when its weights are missing, `Failure(.badContent)` when it is damaged or tensors
  ///   are missing or too many.
  init?(in path: String) throws {
    let files = ["model_head.safetensors", "pytorch_model_head.bin"]
    let config = path + "/head_config.json"
    guard InputFile.exists(config) else {
      guard let stray = files.first(where: { InputFile.exists(path + "/" + $0) }) else { return nil }
      throw Failure(.noInput, "\(path.quoted) has \(stray) but no head_config.json; fetch it again")
    }
    configuration = try AdapterHubHeadConfiguration(JSONValue(contentsOf: config), source: config.quoted)
    tensors = try TensorArchive(opening: path + "/" + Folder.choose(files, in: path))
    if case .other = configuration.kind { return }
    let name = configuration.tensors(hiddenSize: 1).first?.name ?? ""
    guard let first = tensors.entry(named: name), first.shape.count == 2, 1..<(1 << 20) ~= first.shape[1]
    else {
      throw Failure(.badContent, "\(tensors.path.quoted) lacks the matrix \(name.quoted), the head's first")
    }
    try AdapterHubNames.check(
      tensors, configuration.tensors(hiddenSize: first.shape[1]), path: tensors.path)
  }
}

// MARK: Configuration files

extension AdapterHubHeadConfiguration {
  /// Reads `head_config.json`.
  init(_ document: JSONValue, source: String) throws {
    var reader = try ConfigurationReader(document, source: source)
    let modelClass = try reader.required("model_class", reader.string("model_class"))
    let outerCount = try reader.count("num_labels", atLeast: 1)
    guard let value = reader.value("config") else {
      guard modelClass == "BertForSequenceClassification" else {
        self.init(kind: .other(modelClass), modelClass: modelClass, labels: [])
        return
      }
      let labels = try AdapterHubHeadConfiguration.labels(&reader, count: outerCount)
      self.init(kind: .classifier, modelClass: modelClass, labels: labels)
      return
    }
    let name = try reader.required("name", reader.string("name"))
    var inner = try ConfigurationReader(value, source: "\(source), config")
    let type = try inner.required("head_type", inner.string("head_type"))
    guard type == "classification" else {
      self.init(kind: .other(type), name: name, modelClass: modelClass, labels: [])
      return
    }
    let count = try inner.count("num_labels", atLeast: 1)
    let labels = try AdapterHubHeadConfiguration.labels(&inner, count: count)
    let layerCount = try inner.count("layers", atLeast: 1) ?? 2
    guard layerCount <= 16 else { throw inner.failure("layers", .integer(layerCount), "at most 16") }
    guard try inner.boolean("bias") ?? true else {
      throw inner.failure("bias", .boolean(false), "true")
    }
    let head = AdapterHubFlexibleHead(
      layerCount: layerCount, activation: try inner.string("activation_function") ?? "tanh",
      usesPooler: try inner.boolean("use_pooler") ?? false, dropout: try inner.probability("dropout_prob"))
    inner.ignore(["id2label"])
    try inner.refuseUnread()
    self.init(kind: .flexible(head), name: name, modelClass: modelClass, labels: labels)
  }

  /// The labels in the order of their numbers; without a map, `LABEL_0` and so on as Transformers names them.
  private static func labels(_ reader: inout ConfigurationReader, count: Int?) throws -> [String] {
    guard let value = reader.value("label2id"), !value.isNeutral else {
      guard let count, count <= 65_536 else { return try reader.required("label2id", nil) }
      return (0..<count).map { "LABEL_\($0)" }
    }
    guard case .object(let members) = value, count == nil || count == members.count else {
      throw reader.failure("label2id", value, "an object of \(count.map(String.init) ?? "all") labels")
    }
    var labels = [String?](repeating: nil, count: members.count)
    for member in members {
      guard let id = member.value.count, labels.indices.contains(id), labels[id] == nil else {
        throw reader.failure("label2id", value, "the numbers 0 to \(members.count - 1), each once")
      }
      labels[id] = member.key
    }
    return labels.compactMap { $0 }
  }

  /// The file's content.
  func json(_ model: AdapterHubModel) -> JSONValue {
    let map = JSONValue.object(labels.enumerated().map { .init(key: $1, value: .integer($0)) })
    var members: [JSONValue.Member] = []
    if case .flexible(let head) = kind {
      let inner = JSONValue.members([
        "activation_function": .string(head.activation), "bias": .boolean(true),
        "dropout_prob": head.dropout.map { .decimal($0) } ?? .null, "head_type": .string("classification"),
        "label2id": map, "layers": .integer(head.layerCount), "num_labels": .integer(labels.count),
        "use_pooler": .boolean(head.usesPooler),
      ])
      members = [.init(key: "config", value: inner)]
    } else {
      members = [
        .init(key: "config", value: .null), .init(key: "label2id", value: map),
        .init(key: "num_labels", value: .integer(labels.count)),
      ]
    }
    var facts = model
    facts.className = modelClass
    return .object(members + facts.members(name: name))
  }
}

extension AdapterHubModel {
  /// The outer keys that every configuration file of the library has.
  func members(name: String?) -> [JSONValue.Member] {
    func optional(_ text: String?) -> JSONValue { text.map { .string($0) } ?? .null }
    let members: KeyValuePairs<String, JSONValue> = [
      "hidden_size": hiddenSize.map { .integer($0) } ?? .null, "model_class": optional(className),
      "model_name": optional(self.name), "model_type": optional(type), "name": optional(name),
      "version": .string(AdapterHubModel.writtenVersion),
    ]
    return members.map { JSONValue.Member(key: $0.key, value: $0.value) }
  }

  /// The version that written files claim; without one, the library would read `gelu` as `gelu_new`.
  static let writtenVersion = "adapters.1.3.0"
}
