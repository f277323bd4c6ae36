internal import Failures
internal import JSON

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
