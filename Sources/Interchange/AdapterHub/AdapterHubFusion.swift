internal import Failures
internal import JSON

/// How an AdapterFusion weighs its adapters.
package struct AdapterHubFusionConfiguration: Equatable, Sendable {
  /// `adapter_names`, in the order that matters: the last one's configuration decides how the layer is entered.
  package var adapters: [String]
  /// `query`: whether the query is projected.
  package var hasQuery = true
  /// `key`.
  package var hasKey = true
  /// `value`; false in a static fusion.
  package var hasValue = true
  /// `query_before_ln`.
  package var queriesBeforeNorm = false
  /// `regularization` of the value matrix towards the identity.
  package var isRegularized = true
  /// `residual_before`: the residual is added to the values instead of the result.
  package var addsResidualBefore = false
  /// `temperature`, which falls from 50 to 1.
  package var usesTemperature = false
  /// `value_before_softmax`.
  package var valuesBeforeSoftmax = true
  /// `value_initialized` near the identity.
  package var startsAtIdentity = true
  /// `dropout_prob`; nil and 0 both mean the model's attention dropout.
  package var dropout: Double?

  /// The library's default, a dynamic fusion.
  package init(adapters: [String]) { self.adapters = adapters }

  /// The fusion's name: those of the adapters with commas between.
  package var name: String { adapters.joined(separator: ",") }

  /// The fusion's tensors at one site.
  package func tensors(at site: AdapterHubSite, hiddenSize: Int) -> [TensorEntry] {
    let base = "\(site.name).adapter_fusion_layer.\(name)."
    func pair(_ part: String) -> [TensorEntry] {
      [
        TensorEntry(name: base + part + ".weight", shape: [hiddenSize, hiddenSize]),
        TensorEntry(name: base + part + ".bias", shape: [hiddenSize]),
      ]
    }
    let value = TensorEntry(name: base + "value.weight", shape: [hiddenSize, hiddenSize])
    return (hasQuery ? pair("query") : []) + (hasKey ? pair("key") : []) + (hasValue ? [value] : [])
  }
}

/// A fusion of adapters in a folder of its own.
package struct AdapterHubFusion: Sendable {
  /// The folder.
  package let path: String
  /// What it is.
  package let configuration: AdapterHubFusionConfiguration
  /// The model that it was trained on.
  package let model: AdapterHubModel
  /// Where it sits, in the order of the model: every position that all fused adapters have.
  package let sites: [AdapterHubSite]
  /// The tensors of ``AdapterHubFusionConfiguration/tensors(at:hiddenSize:)`` for all sites.
  package let tensors: TensorArchive

  /// Opens a folder with `adapter_fusion_config.json` and the weights.
  /// - Throws: `Failure(.noInput)` when a file is missing; `Failure(.badContent)` when one is damaged or lacks a tensor
  ///   or has one too many.
  package init(opening path: String) throws {
    let path = try Folder.existing(path, holding: "an adapter_fusion_config.json of AdapterHub")
    let config = path + "/adapter_fusion_config.json"
    (configuration, model) = try AdapterHubFusionConfiguration.read(
      JSONValue(contentsOf: config), source: config.quoted)
    let files = ["model_adapter_fusion.safetensors", "pytorch_model_adapter_fusion.bin"]
    let archive = try TensorArchive(opening: path + "/" + Folder.choose(files, in: path))
    tensors = try archive.renaming { AdapterHubNames.name(of: $0) }
    let all = (0..<EncoderShape.maximumLayerCount).flatMap { layer in
      AdapterHubPosition.allCases.map { AdapterHubSite(layer: layer, position: $0) }
    }
    let names = tensors.entries.map(\.name)
    let part = ".adapter_fusion_layer.\(configuration.name)."
    let prefixes = Set(names.compactMap { name in name.firstRange(of: part).map { name[..<$0.lowerBound] } })
    sites = all.filter { prefixes.contains($0.name[...]) }
    self.path = path
    guard let size = tensors.entries.first?.shape.first, 1..<(1 << 20) ~= size, !sites.isEmpty else {
      throw Failure(
        .badContent, "\(tensors.path.quoted) has no tensors of the fusion \(configuration.name.quoted)")
    }
    try check(hiddenSize: model.hiddenSize ?? size)
  }

  /// Checks the fusion against the base and the adapters that it is to be used with.
  /// - Parameters:
  ///   - shape: The base's.
  ///   - adapters: The fused adapters' configurations.
  /// - Throws: `Failure(.badContent)` when sizes differ or it does not sit exactly where all adapters do.
  package func check(against shape: EncoderShape, adapters: [AdapterHubConfiguration]) throws {
    try check(hiddenSize: shape.hiddenSize)
    let wanted = adapters.map { Set($0.sites(layerCount: shape.layerCount)) }
    guard let first = wanted.first else { return }
    let common = wanted.dropFirst().reduce(first) { $0.intersection($1) }
    let present = Set(sites)
    if let extra = sites.first(where: { !common.contains($0) }) {
      throw Failure(
        .badContent,
        "\(path.quoted) has a fusion at \(extra.name.quoted), where not all of \(configuration.name) have an adapter"
      )
    }
    if let missing = first.filter({ common.contains($0) && !present.contains($0) }).map(\.name).min() {
      throw Failure(
        .badContent,
        "\(path.quoted) has no fusion at \(missing.quoted), where all of \(configuration.name) meet")
    }
  }

  private func check(hiddenSize: Int) throws {
    guard hiddenSize < 1 << 20 else {
      throw Failure(.badContent, "\(path.quoted): the hidden size \(hiddenSize) is not plausible")
    }
    let expected = sites.flatMap { configuration.tensors(at: $0, hiddenSize: hiddenSize) }
    try AdapterHubNames.check(tensors, expected, path: path)
  }
}

// MARK: Configuration files

extension AdapterHubFusionConfiguration {
  /// Reads `adapter_fusion_config.json`.
  fileprivate static func read(
    _ document: JSONValue, source: String
  ) throws -> (AdapterHubFusionConfiguration, AdapterHubModel) {
    var reader = try ConfigurationReader(document, source: source)
    let name = try reader.required("name", reader.string("name"))
    // Old files lack the list, but the name is made of it.
    let adapters: [String]
    switch reader.value("adapter_names") {
    case nil: adapters = name.split(separator: ",").map(String.init)
    case .string(let text): adapters = text.split(separator: ",").map(String.init)
    default: adapters = try reader.strings("adapter_names") ?? []
    }
    guard !adapters.isEmpty, adapters.allSatisfy(Folder.isPlain), Set(adapters).count == adapters.count,
      adapters.joined(separator: ",") == name
    else {
      throw reader.failure("name", .string(name), "the adapters' names with commas between")
    }
    let model = AdapterHubModel(
      name: try reader.string("model_name"), hiddenSize: try reader.count("hidden_size", atLeast: 1),
      className: try reader.string("model_class"), type: try reader.string("model_type"))
    if let type = model.type, type != "bert" { throw reader.failure("model_type", .string(type), "bert") }
    var configuration = AdapterHubFusionConfiguration(adapters: adapters)
    switch try reader.required("config", reader.value("config")) {
    case .string("dynamic"): break
    case .string("static"):
      (configuration.hasValue, configuration.isRegularized, configuration.startsAtIdentity) =
        (false, false, false)
    case let value: try configuration.readKeys(value, source: source)
    }
    return (configuration, model)
  }

  private mutating func readKeys(_ value: JSONValue, source: String) throws {
    var reader = try ConfigurationReader(value, source: "\(source), config")
    hasQuery = try reader.boolean("query") ?? true
    hasKey = try reader.boolean("key") ?? true
    hasValue = try reader.boolean("value") ?? true
    queriesBeforeNorm = try reader.boolean("query_before_ln") ?? false
    isRegularized = try reader.boolean("regularization") ?? true
    addsResidualBefore = try reader.boolean("residual_before") ?? false
    usesTemperature = try reader.boolean("temperature") ?? false
    valuesBeforeSoftmax = try reader.boolean("value_before_softmax") ?? true
    // Only says how training started; the oldest files have a string here.
    startsAtIdentity = reader.value("value_initialized") != .boolean(false)
    dropout = try reader.probability("dropout_prob")
    try reader.refuseUnread()
    guard hasQuery || hasKey || hasValue else {
      throw Failure(.badContent, "\(source): a fusion without query, key and value is not supported")
    }
  }

  /// The file's content.
  func json(_ model: AdapterHubModel) -> JSONValue {
    let inner = JSONValue.members([
      "dropout_prob": dropout.map { .decimal($0) } ?? .null, "key": .boolean(hasKey),
      "query": .boolean(hasQuery), "query_before_ln": .boolean(queriesBeforeNorm),
      "regularization": .boolean(isRegularized), "residual_before": .boolean(addsResidualBefore),
      "temperature": .boolean(usesTemperature), "value": .boolean(hasValue),
      "value_before_softmax": .boolean(valuesBeforeSoftmax),
      "value_initialized": .boolean(startsAtIdentity),
    ])
    let members: [JSONValue.Member] = [
      .init(key: "adapter_names", value: .array(adapters.map { .string($0) })),
      .init(key: "config", value: inner),
    ]
    return .object(members + model.members(name: name))
  }
}
