internal import Failures

/// A place in a layer where bottleneck adapters and fusions sit.
package enum AdapterHubPosition: String, CaseIterable, Sendable {
  /// After attention (`mh_adapter`).
  case attention = "attention.output"
  /// After the feed-forward block (`output_adapter`).
  case output
}

/// A position in a certain layer.
package struct AdapterHubSite: Hashable, Sendable {
  /// The layer, from 0.
  package let layer: Int
  /// Where in it.
  package let position: AdapterHubPosition

  /// A site.
  package init(layer: Int, position: AdapterHubPosition) {
    self.layer = layer
    self.position = position
  }

  /// What the names of its tensors start with, such as `bert.encoder.layer.0.output`.
  package var name: String { "bert.encoder.layer.\(layer).\(position.rawValue)" }
}

extension AdapterHubConfiguration {
  /// Where a bottleneck adapter sits; nothing for other methods.
  package func sites(layerCount: Int) -> [AdapterHubSite] {
    guard case .bottleneck(let configuration) = self else { return [] }
    return (0..<layerCount).filter { !configuration.leaveOut.contains($0) }.flatMap { layer in
      AdapterHubPosition.allCases.filter {
        $0 == .attention ? configuration.hasAttentionAdapter : configuration.hasOutputAdapter
      }
      .map { AdapterHubSite(layer: layer, position: $0) }
    }
  }

  /// Every tensor that an adapter of this configuration has, under its name here.
  ///
  /// The names are the library's with `bert.` in front, each tensor once: the layer norm before a bottleneck is
  /// `adapter_norm_before` (the file repeats it as `adapter_down.0`), and prefixes are at
  /// `bert.prefix_tuning.prefix_tunings.<name>` (the file repeats them in every layer).
  /// - Throws: `Failure(.badContent)` when a layer has no reduction factor or an impossible one.
  package func tensors(named name: String, shape: EncoderShape) throws -> [TensorEntry] {
    switch self {
    case .bottleneck(let configuration):
      let bottlenecks = try sites(layerCount: shape.layerCount).flatMap {
        try configuration.tensors(at: $0, named: name, hiddenSize: shape.hiddenSize)
      }
      return try bottlenecks + configuration.invertibleTensors(named: name, hiddenSize: shape.hiddenSize)
    case .lora(let configuration):
      return configuration.sites.modules(in: shape).flatMap { module in
        let base = "\(module.name).loras.\(name)"
        let update = [
          TensorEntry(name: base + ".lora_A", shape: [configuration.rank, module.inputSize]),
          TensorEntry(name: base + ".lora_B", shape: [module.outputSize, configuration.rank]),
        ]
        let magnitude = TensorEntry(name: base + ".m.weight", shape: [module.outputSize, 1])
        return configuration.usesDoRA ? update + [magnitude] : update
      }
    case .ia3(let configuration):
      return configuration.sites.modules(in: shape).map {
        TensorEntry(name: "\($0.name).loras.\(name).lora_B", shape: [$0.outputSize, 1])
      }
    case .prefixTuning(let configuration): return configuration.tensors(named: name, shape: shape)
    }
  }

  /// The tensors of a file, each with the tensor here that it holds: some are written more than once.
  func published(_ tensors: [TensorEntry], named name: String, layerCount: Int) -> [(String, TensorEntry)] {
    tensors.flatMap { tensor -> [(String, TensorEntry)] in
      var names = [tensor.name]
      for kind in ["weight", "bias"]
      where tensor.name.hasSuffix(".adapters.\(name).adapter_norm_before.\(kind)") {
        names.append(
          String(tensor.name.dropLast("adapter_norm_before.\(kind)".count)) + "adapter_down.0.\(kind)")
      }
      let root = "bert.prefix_tuning.prefix_tunings.\(name)."
      if tensor.name.hasPrefix(root) {
        let rest = tensor.name.dropFirst(root.count)
        names += (0..<layerCount).filter { !leaveOut.contains($0) }.map {
          "bert.encoder.layer.\($0).attention.self.prefix_tuning.pool.prefix_tunings.\(name).\(rest)"
        }
      }
      return names.map { ($0, tensor) }
    }
  }
}

extension AdapterHubBottleneck {
  fileprivate func tensors(
    at site: AdapterHubSite, named name: String, hiddenSize: Int
  ) throws -> [TensorEntry] {
    guard let width = reduction.width(ofLayer: site.layer, hiddenSize: hiddenSize) else {
      throw Failure(
        .badContent,
        "the adapter \(name.quoted) has no usable reduction_factor for layer \(site.layer); give it a default"
      )
    }
    let base = "\(site.name).adapters.\(name)."
    func pair(_ part: String, _ weight: [Int], _ bias: Int) -> [TensorEntry] {
      [
        TensorEntry(name: "\(base)\(part).weight", shape: weight),
        TensorEntry(name: "\(base)\(part).bias", shape: [bias]),
      ]
    }
    var entries: [TensorEntry] = []
    switch scaling {
    case .fixed: break
    case .learned: entries.append(TensorEntry(name: base + "scaling", shape: [1]))
    case .channel: entries.append(TensorEntry(name: base + "scaling", shape: [hiddenSize]))
    }
    if hasNormBefore { entries += pair("adapter_norm_before", [hiddenSize], hiddenSize) }
    entries += pair(hasNormBefore ? "adapter_down.1" : "adapter_down.0", [width, hiddenSize], width)
    entries += pair("adapter_up", [hiddenSize, width], hiddenSize)
    if hasNormAfter { entries += pair("adapter_norm_after", [hiddenSize], hiddenSize) }
    return entries
  }

  fileprivate func invertibleTensors(named name: String, hiddenSize: Int) throws -> [TensorEntry] {
    guard let invertible else { return [] }
    let (first, second) = (hiddenSize / 2, hiddenSize - hiddenSize / 2)
    func width(_ size: Int) throws -> Int {
      guard let width = AdapterHubReduction.width(size, invertible.reductionFactor) else {
        throw Failure(.badContent, "the invertible block of \(name.quoted) has an unusable reduction factor")
      }
      return width
    }
    // F maps the second half onto the first, G the first onto the second.
    return try [("F", second, first), ("G", first, second)].flatMap { block, input, output in
      let (base, inner) = ("bert.invertible_adapters.\(name).\(block)", try width(input))
      return [
        TensorEntry(name: base + ".0.weight", shape: [inner, input]),
        TensorEntry(name: base + ".0.bias", shape: [inner]),
        TensorEntry(name: base + ".2.weight", shape: [output, inner]),
        TensorEntry(name: base + ".2.bias", shape: [output]),
      ]
    }
  }
}

extension AdapterHubSites {
  /// The projections that are meant, in the order of the model.
  package func modules(in shape: EncoderShape) -> [EncoderShape.Module] {
    var names: Set<String> = []
    if attention.contains(.query) { names.insert("attention.self.query") }
    if attention.contains(.key) { names.insert("attention.self.key") }
    if attention.contains(.value) { names.insert("attention.self.value") }
    if intermediate { names.insert("intermediate.dense") }
    if output { names.insert("output.dense") }
    return (0..<shape.layerCount).filter { !leaveOut.contains($0) }.flatMap { layer in
      let prefix = "bert.encoder.layer.\(layer)."
      return shape.projections(ofLayer: layer).filter {
        names.contains(String($0.name.dropFirst(prefix.count)))
      }
    }
  }
}

extension AdapterHubPrefix {
  fileprivate func tensors(named name: String, shape: EncoderShape) -> [TensorEntry] {
    let base = "bert.prefix_tuning.prefix_tunings.\(name).self_prefix."
    let layerCount = (0..<shape.layerCount).count { !leaveOut.contains($0) }
    let width = layerCount * 2 * shape.hiddenSize
    if isFlat { return [TensorEntry(name: base + "control_trans", shape: [length * width])] }
    return [
      TensorEntry(name: base + "wte.weight", shape: [length, shape.hiddenSize]),
      TensorEntry(name: base + "control_trans.0.weight", shape: [bottleneckSize, shape.hiddenSize]),
      TensorEntry(name: base + "control_trans.0.bias", shape: [bottleneckSize]),
      TensorEntry(name: base + "control_trans.2.weight", shape: [width, bottleneckSize]),
      TensorEntry(name: base + "control_trans.2.bias", shape: [width]),
    ]
  }
}
