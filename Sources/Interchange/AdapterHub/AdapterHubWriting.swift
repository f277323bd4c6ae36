internal import Failures
internal import JSON

/// A head to be written beside an adapter.
package struct AdapterHubHeadDraft {
  /// What it is; not of the kind `other`.
  package let configuration: AdapterHubHeadConfiguration
  /// Gives the numbers of one of its tensors at a time.
  package let source: TensorSource

  /// A head with its numbers.
  package init(_ configuration: AdapterHubHeadConfiguration, source: @escaping TensorSource) {
    self.configuration = configuration
    self.source = source
  }
}

extension AdapterHubAdapter {
  /// Writes a folder that the library loads, with its weights both as `.bin`, which it takes by default, and as
  /// safetensors.
  /// - Parameters:
  ///   - configuration: What the adapter is.
  ///   - name: Its name.
  ///   - model: The base; `hiddenSize` and `name` say what it may be loaded on.
  ///   - shape: The base's sizes.
  ///   - head: The head, if it goes along.
  ///   - path: A new or empty folder.
  ///   - source: Gives the numbers of the tensors of ``AdapterHubConfiguration/tensors(named:shape:)``, one at a time;
  ///     each may be asked for several times.
  /// - Throws: `Failure(.cannotWrite)` when writing fails or the folder holds something.
  package static func write(
    _ configuration: AdapterHubConfiguration, named name: String, model: AdapterHubModel,
    shape: EncoderShape, head: AdapterHubHeadDraft? = nil, to path: String, source: TensorSource
  ) throws {
    guard Folder.isPlain(name) else {
      throw Failure(.usage, "\(name.quoted) cannot be an adapter's name: it is empty or has '/' or '.'")
    }
    if case .bottleneck(let bottleneck) = configuration, let block = bottleneck.invertible,
      block.nonLinearity != bottleneck.nonLinearity
    {
      throw Failure(
        .badContent,
        "the adapter \(name.quoted) cannot be written for AdapterHub: its invertible block has "
          + "\(block.nonLinearity) and its bottlenecks \(bottleneck.nonLinearity), but the library has one for both"
      )
    }
    let tensors = try configuration.tensors(named: name, shape: shape)
    let published = configuration.published(tensors, named: name, layerCount: shape.layerCount)
    var model = model
    model.hiddenSize = shape.hiddenSize
    try Folder.create(path)
    try Folder.write(published, as: .torch, to: path + "/pytorch_adapter.bin", source: source)
    try Folder.write(published, as: .safetensors, to: path + "/adapter.safetensors", source: source)
    if let head { try writeHead(head, model: model, shape: shape, to: path) }
    // Last, so that a folder with a configuration is complete.
    let members = [JSONValue.Member(key: "config", value: configuration.json)] + model.members(name: name)
    try Folder.write(.object(members), to: path + "/adapter_config.json")
  }

  private static func writeHead(
    _ head: AdapterHubHeadDraft, model: AdapterHubModel, shape: EncoderShape, to path: String
  ) throws {
    try Folder.checkLabels(head.configuration.labels)
    let entries = head.configuration.tensors(hiddenSize: shape.hiddenSize)
    precondition(!entries.isEmpty, "a head of an unknown kind cannot be written")
    let tensors = entries.map { ($0.name, $0) }
    try Folder.write(tensors, as: .torch, to: path + "/pytorch_model_head.bin", source: head.source)
    try Folder.write(tensors, as: .safetensors, to: path + "/model_head.safetensors", source: head.source)
    try Folder.write(head.configuration.json(model), to: path + "/head_config.json")
  }
}

extension AdapterHubFusion {
  /// Writes a folder of a fusion that the library loads.
  /// - Parameters:
  ///   - configuration: What it is.
  ///   - sites: Where it sits: every position that all fused adapters have.
  ///   - model: The base.
  ///   - hiddenSize: The base's.
  ///   - path: A new or empty folder.
  ///   - source: Gives the numbers of the tensors at those sites, one at a time, more than once.
  /// - Throws: `Failure(.cannotWrite)` when writing fails or the folder holds something.
  package static func write(
    _ configuration: AdapterHubFusionConfiguration, sites: [AdapterHubSite], model: AdapterHubModel,
    hiddenSize: Int, to path: String, source: TensorSource
  ) throws {
    let tensors = sites.flatMap { configuration.tensors(at: $0, hiddenSize: hiddenSize) }.map {
      ($0.name, $0)
    }
    var model = model
    model.hiddenSize = hiddenSize
    try Folder.create(path)
    try Folder.write(tensors, as: .torch, to: path + "/pytorch_model_adapter_fusion.bin", source: source)
    try Folder.write(
      tensors, as: .safetensors, to: path + "/model_adapter_fusion.safetensors", source: source)
    try Folder.write(configuration.json(model), to: path + "/adapter_fusion_config.json")
  }
}

extension AdapterHubSetup {
  /// Writes a folder of a composition.
  /// - Parameters:
  ///   - setup: The composition.
  ///   - path: A new or empty folder.
  ///   - adapter: Writes the adapter of a name into the folder of a path.
  ///   - fusion: Writes the fusion of some adapters into the folder of a path.
  /// - Throws: `Failure(.badContent)` when the library does not allow the composition; `Failure(.cannotWrite)` when
  ///   writing fails; what the closures throw.
  package static func write(
    _ setup: AdapterHubComposition, to path: String, adapter: (String, String) throws -> Void,
    fusion: ([String], String) throws -> Void
  ) throws {
    try setup.checkNesting(source: path.quoted)
    try Folder.create(path)
    for name in setup.adapters { try adapter(name, "\(path)/\(name)") }
    for names in setup.fusions { try fusion(names, "\(path)/\(names.joined(separator: ","))") }
    // The library loads a composition, not a single adapter, from such a folder.
    let outer: AdapterHubComposition = if case .single = setup { .stack([setup]) } else { setup }
    try Folder.write(
      .members([
        "adapter_setup": outer.json, "head_setup": .null,
        "version": .string(AdapterHubModel.writtenVersion),
      ]), to: path + "/adapter_setup.json")
  }
}
