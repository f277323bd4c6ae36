package import BERT
internal import Failures
package import Tensors

/// Adapters by name and how they work together: what the methods with adapters add to a base.
package struct AdapterSetup: Sendable, Equatable {
  /// Each adapter's configuration.
  package let configurations: [String: AdapterConfiguration]
  /// How they work together.
  package let composition: Composition
  /// How fused ones are mixed.
  package let fusion: FusionConfiguration

  /// A setup.
  /// - Throws: `Failure` when a name has no configuration, comes twice or cannot be part of a tensor's name, or when
  ///   fused adapters do not sit at the same places.
  package init(
    _ configurations: [String: AdapterConfiguration], _ composition: Composition,
    fusion: FusionConfiguration = FusionConfiguration()
  ) throws {
    self.configurations = configurations
    self.composition = composition
    self.fusion = fusion
    var seen: Set<String> = []
    for name in composition.names {
      guard !name.isEmpty, name.utf8.count <= 200, !name.contains(where: AdapterSetup.isUnfit) else {
        throw Failure(.usage, "\"\(name)\" cannot name an adapter; use letters, digits, - and _.")
      }
      guard seen.insert(name).inserted else {
        throw Failure(.usage, "the adapter \(name) comes twice in \(composition); name each once.")
      }
      guard let configuration = configurations[name] else {
        throw Failure(.usage, "\(composition) names \(name), for which there is no adapter.")
      }
      try configuration.validate()
    }
    guard !seen.isEmpty else { throw Failure(.usage, "a setup of adapters needs at least one.") }
    for names in composition.fusions { try requireSamePlaces(names) }
  }

  /// Whether a character would end a tensor's name, a list of names or a line.
  private static func isUnfit(_ character: Character) -> Bool {
    ".,/=\"".contains(character) || character.isWhitespace
      || character.unicodeScalars.contains { $0.properties.generalCategory == .control }
  }

  private func requireSamePlaces(_ names: [String]) throws {
    guard let last = names.last, names.count >= 2 else {
      throw Failure(
        .usage, "a fusion needs two adapters or more, and \(composition) has one with \(names.count).")
    }
    for name in names {
      let (a, b) = (self[name], self[last])
      if a.afterAttention != b.afterAttention || a.afterFeedForward != b.afterFeedForward
        || Set(a.leaveOut) != Set(b.leaveOut)
      {
        throw Failure(
          .badContent,
          "the adapters \(name) and \(last) cannot be fused: \(name) sits \(a.placesText), \(last) \(b.placesText); fuse adapters of one kind."
        )
      }
    }
  }

  /// The configuration of an adapter of the composition.
  subscript(name: String) -> AdapterConfiguration {
    guard let configuration = configurations[name] else { preconditionFailure("no adapter is named \(name)") }
    return configuration
  }

  /// The adapter whose invertible block is in use: the first of the composition, if it has one.
  package var invertible: String? {
    composition.names.first.flatMap { self[$0].invertibleReduction == nil ? nil : $0 }
  }

  /// Whether an adapter sits at a block's end: block 0 is attention, block 1 the feed-forward block.
  func has(_ name: String, layer: Int, block: Int) -> Bool {
    let configuration = self[name]
    return (block == 0 ? configuration.afterAttention : configuration.afterFeedForward)
      && !configuration.leaveOut.contains(layer)
  }

  /// What is there of the composition at a block's end.
  func stages(layer: Int, block: Int) -> [Composition.Stage] {
    composition.stages.filter {
      switch $0 {
      case .adapter(let name): has(name, layer: layer, block: block)
      case .fusion(let names): names.allSatisfy { has($0, layer: layer, block: block) }
      }
    }
  }

  // MARK: Parameters

  /// What the setup adds to a base, layer by layer, under the published names.
  /// - Parameters:
  ///   - shape: The base's shape.
  ///   - trained: The adapters that are trained, with their invertible blocks.
  ///   - trainsFusion: Whether the fusion is.
  /// - Returns: Adapters, their fusion and the invertible block in use.
  /// - Throws: `Failure` when a configuration does not fit the base.
  package func parameters(
    _ shape: BERTConfiguration, trained: Set<String>, trainsFusion: Bool
  ) throws -> [ParameterSpecification] {
    var list: [ParameterSpecification] = []
    if let name = invertible {
      list += try invertibleParameters(name, shape, isTrained: trained.contains(name))
    }
    for layer in 0..<shape.layerCount {
      for (block, end) in ["attention.output", "output"].enumerated() {
        let site = "bert.encoder.layer.\(layer).\(end)"
        for stage in stages(layer: layer, block: block) {
          switch stage {
          case .adapter(let name):
            list += try adapterParameters(name, layer, site, shape, isTrained: trained.contains(name))
          case .fusion(let names):
            for name in names {
              list += try adapterParameters(name, layer, site, shape, isTrained: trained.contains(name))
            }
            list += fusionParameters(names, site, shape, isTrained: trainsFusion)
          }
        }
      }
    }
    for name in composition.names {
      if let layer = self[name].leaveOut.first(where: { !(0..<shape.layerCount).contains($0) }) {
        throw Failure(
          .usage,
          "the adapter \(name) leaves out layer \(layer) (--adapter-leave-out, leave_out), and the base has layers 0 to \(shape.layerCount - 1)."
        )
      }
    }
    return list
  }

  private func adapterParameters(
    _ name: String, _ layer: Int, _ site: String, _ shape: BERTConfiguration, isTrained: Bool
  ) throws -> [ParameterSpecification] {
    let configuration = self[name]
    let (prefix, h) = (AdapterNames.adapter(name, at: site), shape.hiddenSize)
    let width = try configuration.bottleneck(layer: layer, hiddenSize: h)
    var list: [ParameterSpecification] = []
    func add(_ end: String, _ shape: [Int], _ initializer: Initializer) {
      list.append(ParameterSpecification("\(prefix).\(end)", shape, initializer, isTrainable: isTrained))
    }
    func addNorm(_ end: String) {
      add(end + ".weight", [h], .constant(1))
      add(end + ".bias", [h], .constant(0))
    }
    let isBERT = configuration.initialization == .bert
    let normal = Initializer.normal(deviation: 0.02)
    let down = "adapter_down.\(configuration.normBefore ? 1 : 0)"
    if configuration.scaling == .learned { add("scaling", [1], .constant(1)) }
    if configuration.normBefore { addNorm("adapter_norm_before") }
    add(down + ".weight", [width, h], isBERT ? normal : .uniform(bound: 1 / Float(h).squareRoot()))
    add(down + ".bias", [width], .constant(0))
    add("adapter_up.weight", [h, width], isBERT ? normal : .constant(0))
    add("adapter_up.bias", [h], .constant(0))
    if configuration.normAfter { addNorm("adapter_norm_after") }
    return list
  }

  private func invertibleParameters(
    _ name: String, _ shape: BERTConfiguration, isTrained: Bool
  ) throws -> [ParameterSpecification] {
    guard let width = try self[name].invertibleWidth(hiddenSize: shape.hiddenSize) else { return [] }
    guard shape.hiddenSize % 2 == 0 else {
      throw Failure(
        .badContent, "an invertible block needs an even hidden size, and the base's is \(shape.hiddenSize).")
    }
    let half = shape.hiddenSize / 2
    return ["F", "G"].flatMap { map -> [ParameterSpecification] in
      [(0, width, half), (2, half, width)].flatMap { index, out, input -> [ParameterSpecification] in
        let prefix = "\(AdapterNames.invertible(name)).\(map).\(index)"
        return [
          ParameterSpecification(
            prefix + ".weight", [out, input], .normal(deviation: 0.02), isTrainable: isTrained),
          ParameterSpecification(prefix + ".bias", [out], .constant(0), isTrainable: isTrained),
        ]
      }
    }
  }

  private func fusionParameters(
    _ names: [String], _ site: String, _ shape: BERTConfiguration, isTrained: Bool
  ) -> [ParameterSpecification] {
    let (prefix, h) = (AdapterNames.fusion(names, at: site), shape.hiddenSize)
    let normal = Initializer.normal(deviation: 0.02)
    var list = ["query", "key"].flatMap {
      [
        ParameterSpecification("\(prefix).\($0).weight", [h, h], normal, isTrainable: isTrained),
        ParameterSpecification("\(prefix).\($0).bias", [h], .constant(0), isTrainable: isTrained),
      ]
    }
    if fusion.hasValue {
      var value = ParameterSpecification(
        prefix + ".value.weight", [h, h],
        fusion.startsAtIdentity ? .diagonal(1, elsewhere: 1e-6) : normal, isTrainable: isTrained)
      value.isHeldAtIdentity = true
      list.append(value)
    }
    return list
  }
}
