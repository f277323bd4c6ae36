internal import BERT
internal import Failures
internal import FineTuning
internal import Interchange
internal import Tensors

/// PEFT's folders: LoRA with its head, as `adapter_config.json` and `adapter_model.safetensors`.
package struct PEFTFormat: AdapterFormat {
  /// The format.
  package init() {}
  /// What `--format` calls it.
  package let name = "peft"

  /// Refuses all but LoRA in the variants that PEFT has.
  /// - Throws: `Failure(.usage)`.
  package func check(_ adapter: OutgoingAdapter) throws { _ = try lora(adapter) }

  /// Writes the folder, its modules named as shortly as they were asked for.
  /// - Returns: How many tensors it has.
  /// - Throws: `Failure`, also when the folder holds something.
  package func write(_ adapter: OutgoingAdapter, to path: String) throws -> Int {
    let lora = try lora(adapter)
    let table = adapter.store.table
    let updates = try adapter.added.map { TensorEntry(name: $0.name, shape: $0.shape) }
    let biases = table.entries.map(\.specification).filter {
      $0.name.hasPrefix("bert.") && $0.name.hasSuffix(".bias") && lora.trains($0.name)
    }
    let whole = (biases.map(\.name) + adapter.replaced.filter { !biases.map(\.name).contains($0) }).compactMap {
      name in table.entry(name).map { TensorEntry(name: name, shape: $0.specification.shape) }
    }
    let tensors = updates + whole + adapter.headEntries
    for name in adapter.replaced where modules(updates).contains(where: { name.hasPrefix($0 + ".") }) {
      throw Failure(
        .usage,
        "the trained file brings \(name) itself, not the base's, and an update of it; PEFT's folders hold one or the other, so choose --format hf"
      )
    }
    try PEFTFolder.write(
      configuration(lora, modules: modules(updates), adapter), tensors: tensors, to: path, source: adapter.source())
    return tensors.count
  }

  private func lora(_ adapter: OutgoingAdapter) throws -> LoRA {
    guard let lora = adapter.method as? LoRA else {
      throw Failure(.usage, "PEFT's folders hold LoRA here, and this was trained with \(adapter.method.name)")
    }
    guard lora.variant != .adapterHubDora else {
      throw Failure(.usage, "PEFT computes DoRA in another way than --lora-variant adapterhub-dora")
    }
    guard adapter.configuration.head.name == nil else {
      throw Failure(.usage, "PEFT's folders have no place for a flexible head of AdapterHub's library")
    }
    return lora
  }

  private func modules(_ updates: [TensorEntry]) -> [String] {
    updates.compactMap { entry in
      for end in [".lora_A.weight", ".lora_embedding_A"] where entry.name.hasSuffix(end) {
        return String(entry.name.dropLast(end.count))
      }
      return nil
    }
  }

  private func configuration(_ lora: LoRA, modules: [String], _ adapter: OutgoingAdapter) -> PEFTConfiguration {
    var result = PEFTConfiguration(rank: lora.loraRank, alpha: lora.alpha)
    result.dropout = decimal(lora.dropout)
    result.taskType = "SEQ_CLS"
    result.baseModel = adapter.baseName
    result.usesDoRA = lora.variant == .dora
    result.usesRankStabilization = lora.variant == .rslora
    result.biases =
      switch lora.bias {
      case .none: .none
      case .loraOnly: .loraOnly
      case .all: .all
      }
    if lora.targets == ["all-linear"], lora.layers == nil {
      result.targets = .allLinear
    } else if lora.targets.contains("all-linear") {
      result.targets = .named(modules)
    } else {
      result.targets = .named(lora.targets)
      result.layers = lora.layers?.sorted()
    }
    var saved = ["classifier"]
    for name in adapter.replaced {
      let module = name.split(separator: ".").dropLast().joined(separator: ".")
      if !saved.contains(module) { saved.append(module) }
    }
    result.modulesToSave = saved
    for module in modules {
      let rank = lora.rank(of: module)
      if rank != lora.loraRank { result.rankOverrides.append(.init(pattern: module, value: rank)) }
      let divisor = lora.variant == .rslora ? Double(rank).squareRoot() : Double(rank)
      let alpha = lora.scale(of: module) * divisor
      if abs(alpha - lora.alpha) > 1e-12 * lora.alpha {
        result.alphaOverrides.append(.init(pattern: module, value: alpha))
      }
    }
    return result
  }
}
