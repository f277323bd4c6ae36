internal import BERT
internal import Failures
internal import FineTuning
internal import Interchange
internal import Tensors

/// Folders of AdapterHub's library `adapters`, with the head, each file as `.bin` and as safetensors.
package struct AdapterHubFormat: AdapterFormat {
  /// The format.
  package init() {}
  /// What `--format` calls it.
  package let name = "adapterhub"

  /// Refuses what the library has no form for.
  /// - Throws: `Failure(.usage)`.
  package func check(_ adapter: OutgoingAdapter) throws {
    if let name = adapter.replaced.first {
      throw Failure(
        .usage, "AdapterHub's folders hold nothing of the base, and the trained file brings its own \(name)")
    }
    guard let setup = setup(of: adapter.method) else {
      _ = try low(adapter)
      return
    }
    if let name = setup.invertible, setup.configurations[name]?.invertibleActivation != nil {
      throw Failure(
        .usage,
        "AdapterHub's library has one non-linearity for an adapter and its invertible block, and \(name) was imported with two"
      )
    }
  }

  /// Writes the folder of an adapter; of several adapters, one folder for each and for their fusion.
  /// - Returns: How many tensors it has, each counted once.
  /// - Throws: `Failure`, also when the folder holds something.
  package func write(_ adapter: OutgoingAdapter, to path: String) throws -> Int {
    try check(adapter)
    let head = adapter.headEntries.count
    guard let setup = setup(of: adapter.method) else {
      let (configuration, names) = try low(adapter)
      return head + (try writeOne(configuration, FineTuningOptions.newAdapter, adapter, names, to: path))
    }
    guard setup.composition.names.count > 1 else {
      let name = setup.composition.names[0]
      return head + (try writeOne(bottleneck(name, setup), name, adapter, to: path))
    }
    return head + (try writeSetup(setup, adapter, to: path))
  }

  private func setup(of method: any FineTuningMethod) -> AdapterSetup? {
    (method as? BottleneckAdapters)?.setup ?? (method as? AdapterFusion)?.setup
  }

  private func model(_ adapter: OutgoingAdapter) -> AdapterHubModel {
    AdapterHubModel(
      name: adapter.baseName, hiddenSize: adapter.configuration.hiddenSize,
      className: className(adapter.configuration))
  }

  private func className(_ shape: BERTConfiguration) -> String {
    guard shape.task == .classification else { return "BertForMaskedLM" }
    return shape.head.name == nil ? "BertForSequenceClassification" : "BertAdapterModel"
  }

  private func writeOne(
    _ configuration: AdapterHubConfiguration, _ name: String, _ adapter: OutgoingAdapter,
    _ names: @escaping (String) -> String = { $0 }, withHead: Bool = true, to path: String
  ) throws -> Int {
    let shape = EncoderShape(adapter.configuration)
    try AdapterHubAdapter.write(
      configuration, named: name, model: model(adapter), shape: shape, head: withHead ? head(adapter) : nil,
      to: path, source: adapter.source(names))
    return try configuration.tensors(named: name, shape: shape).count
  }

  private func head(_ adapter: OutgoingAdapter) -> AdapterHubHeadDraft? {
    guard adapter.configuration.task == .classification else { return nil }
    guard let name = adapter.configuration.head.name else {
      return AdapterHubHeadDraft(.classifier(labels: adapter.labels), source: adapter.source())
    }
    return AdapterHubHeadDraft(
      AdapterHubHeadConfiguration(
        kind: .flexible(AdapterHubFlexibleHead()), name: name, modelClass: "BertAdapterModel", labels: adapter.labels),
      source: adapter.source())
  }

  // MARK: Bottleneck adapters

  /// An adapter of a setup; of its invertible blocks only the one in use has numbers.
  private func bottleneck(_ name: String, _ setup: AdapterSetup) -> AdapterHubConfiguration {
    var configuration = setup.configurations[name] ?? AdapterConfiguration()
    if name != setup.invertible { configuration.invertibleReduction = nil }
    return .bottleneck(AdapterHubBottleneck(configuration))
  }

  /// The head goes with the last adapter: the one that the library loads last.
  private func writeSetup(_ setup: AdapterSetup, _ adapter: OutgoingAdapter, to path: String) throws -> Int {
    var count = 0
    let names = setup.composition.names
    try AdapterHubSetup.write(AdapterHubComposition(setup.composition), to: path) { name, path in
      count += try writeOne(
        bottleneck(name, setup), name, adapter, withHead: name == names.last, to: path)
    } fusion: { names, path in
      let configuration = AdapterHubFusionConfiguration(adapters: names, setup.fusion)
      let sites = bottleneck(names[0], setup).sites(layerCount: adapter.configuration.layerCount)
      let hiddenSize = adapter.configuration.hiddenSize
      try AdapterHubFusion.write(
        configuration, sites: sites, model: model(adapter), hiddenSize: hiddenSize, to: path,
        source: adapter.source())
      count += sites.reduce(0) { $0 + configuration.tensors(at: $1, hiddenSize: hiddenSize).count }
    }
    return count
  }

  // MARK: Other methods

  /// A method without bottlenecks, with the names that its tensors have here.
  private func low(
    _ adapter: OutgoingAdapter
  ) throws -> (configuration: AdapterHubConfiguration, names: (String) -> String) {
    let name = FineTuningOptions.newAdapter
    switch adapter.method {
    case let lora as LoRA:
      return (
        .lora(try AdapterHubLoRA(lora, adapter.configuration)),
        { LowRankNames.here($0, of: name, LowRankNames.lora) }
      )
    case is IA3: return (.ia3(AdapterHubIA3()), { LowRankNames.here($0, of: name, LowRankNames.ia3) })
    case let prefix as PrefixTuning:
      return (
        .prefixTuning(AdapterHubPrefix(length: prefix.length, bottleneckSize: prefix.bottleneckSize)),
        { PrefixNames.name($0, of: name) }
      )
    default:
      throw Failure(
        .usage, "AdapterHub's folders hold what is added to a base, and \(adapter.method.name) adds nothing")
    }
  }
}
