internal import Failures
internal import JSON

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
