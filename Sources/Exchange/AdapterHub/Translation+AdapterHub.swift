internal import BERT
internal import Failures
internal import FineTuning
internal import Interchange

extension Translation {
  /// A folder of AdapterHub's library: an adapter, a setup of several, or a fusion beside its adapters.
  /// - Throws: `Failure` when it is damaged, or asks for what is not computed here.
  init(adapterHub path: String, _ options: AdapterHubAdapter.Options) throws {
    switch try AdapterHubFolder(opening: path, options: options) {
    case .adapter(let adapter): self = try Translation(adapter)
    case .setup(let setup):
      try Translation.refuseName(options, path, "a setup of \(setup.setup.description)")
      self = try Translation(setup)
    case .fusion(let fusion):
      try Translation.refuseName(options, path, "a fusion of \(fusion.configuration.name)")
      self = try Translation(fusion, options)
    }
  }

  private static func refuseName(_ options: AdapterHubAdapter.Options, _ path: String, _ what: String) throws {
    guard options.name != nil else { return }
    throw Failure(.usage, "--name is for a single adapter, and \(path) is \(what); leave it out.")
  }

  private init(_ adapter: AdapterHubAdapter) throws {
    let path = adapter.path
    var options = FineTuningOptions()
    var notices = adapter.notices
    let head = try adapter.head.flatMap { try ForeignHead($0, in: path, &notices) }
    let method: String
    var tensors = adapter.tensors.entries.map { ForeignTensor($0, in: adapter.tensors) }
    switch adapter.configuration {
    case .bottleneck(let bottleneck):
      method = "adapter"
      options.adapters = try blaming(path) {
        try AdapterSetup([adapter.name: AdapterConfiguration(bottleneck)], .single(adapter.name))
      }
      options.trainedAdapters = [adapter.name]
    case .lora(let lora):
      method = "lora"
      options.loraVariant = lora.usesDoRA ? .adapterHubDora : .standard
      options.loraRank = lora.rank
      options.loraAlpha = lora.alpha
      options.loraDropout = Float(lora.dropout)
      options.loraTargets = adapter.updatedModules
      tensors = LowRankNames.lora(adapter)
    case .ia3(let ia3):
      method = "ia3"
      var sites = AdapterHubIA3().sites
      sites.leaveOut = ia3.sites.leaveOut
      guard ia3.sites == sites, sites.leaveOut.isEmpty else {
        throw Failure(
          .badContent,
          "\(path): (IA)³ is computed here at keys, values and the inner activations of every layer, and this one scales other places."
        )
      }
      tensors = LowRankNames.ia3(adapter)
    case .prefixTuning(let prefix):
      method = "prefix-tuning"
      guard !prefix.isFlat, prefix.nonLinearity == "tanh", prefix.leaveOut.isEmpty else {
        let found = prefix.isFlat ? "flat" : prefix.leaveOut.isEmpty ? prefix.nonLinearity : "with leave_out"
        throw Failure(
          .badContent,
          "\(path): the prefix is \(found); computed here are those of a network with tanh, in every layer.")
      }
      options.prefixLength = prefix.length
      options.prefixBottleneck = prefix.bottleneckSize
      tensors = PrefixNames.tensors(adapter)
    }
    self.init(
      method: method, options: options, tensors: tensors, head: head, notices: notices,
      baseName: adapter.model.name, check: adapter.check)
  }

  private init(_ setup: AdapterHubSetup) throws {
    try self.init(
      path: setup.path, setup.setup, setup.adapters, setup.fusions, head: setup.head)
  }

  /// A fusion alone says nothing of its adapters: they are looked for beside it, in folders of their names, where
  /// `save_all_adapters` puts them.
  private init(_ fusion: AdapterHubFusion, _ options: AdapterHubAdapter.Options) throws {
    let names = fusion.configuration.adapters
    let above =
      fusion.path.contains("/")
      ? fusion.path.split(separator: "/", omittingEmptySubsequences: false)
        .dropLast().joined(separator: "/") : "."
    let adapters = try names.map { name in
      do {
        return try AdapterHubAdapter(opening: "\(above)/\(name)", options: options)
      } catch let failure as Failure where failure.kind == .noInput {
        throw Failure(
          .noInput,
          "\(fusion.path) holds the fusion of \(names.joined(separator: ", ")) but not the adapters; pass a folder of save_adapter_setup, or put each adapter's folder beside it (\(failure.message))."
        )
      }
    }
    for (name, adapter) in zip(names, adapters) where adapter.name != name {
      throw Failure(.badContent, "\(adapter.path) holds the adapter \(adapter.name), expected \(name).")
    }
    try self.init(
      path: fusion.path, .fuse(names.map { .single($0) }), adapters, [fusion], head: nil)
  }

  /// Several bottleneck adapters and how they work together.
  private init(
    path: String, _ composition: AdapterHubComposition, _ adapters: [AdapterHubAdapter],
    _ fusions: [AdapterHubFusion], head: AdapterHubHead?
  ) throws {
    let parts = try SetupParts(path: path, composition, adapters, fusions)
    var notices = parts.notices
    var options = FineTuningOptions()
    options.adapters = parts.setup
    options.trainedAdapters =
      parts.setup.composition.stages.last.map { stage in
        if case .adapter(let name) = stage { [name] } else { [] }
      } ?? []
    let found = try head ?? parts.head(&notices)
    self.init(
      method: fusions.isEmpty ? "adapter" : "fusion", options: options, tensors: parts.tensors,
      head: try found.flatMap { try ForeignHead($0, in: path, &notices) }, notices: notices,
      baseName: adapters.compactMap(\.model.name).first
    ) { shape in
      for adapter in adapters { try adapter.check(against: shape) }
      for fusion in fusions {
        let fused = fusion.configuration.adapters.compactMap { name in adapters.first { $0.name == name } }
        try fusion.check(against: shape, adapters: fused.map(\.configuration))
      }
    }
  }
}
