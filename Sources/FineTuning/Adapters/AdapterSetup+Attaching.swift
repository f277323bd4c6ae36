package import BERT
package import Tensors

extension AdapterSetup {
  /// Puts the adapters at the sites of a model whose table has their parameters.
  package func attach(to model: any TaskModel, _ table: ParameterTable) {
    if let name = invertible {
      func map(_ half: String) -> HalfMap {
        let prefix = "\(AdapterNames.invertible(name)).\(half)"
        return HalfMap(
          inner: places("\(prefix).0", table), outer: places("\(prefix).2", table),
          self[name].invertibleActivation ?? self[name].activation)
      }
      model.encoder.embeddings.branch = InvertibleBlock(f: map("F"), g: map("G"))
    }
    for (layer, encoderLayer) in model.encoder.layers.enumerated() {
      for (block, end) in encoderLayer.blockOutputs.enumerated() {
        end.branch = branch(at: end.name, layer, block, model.configuration, table)
      }
    }
  }

  /// What sits at a block's end; nil where nothing does.
  private func branch(
    at site: String, _ layer: Int, _ block: Int, _ shape: BERTConfiguration, _ table: ParameterTable
  ) -> AdapterBranch? {
    let present = stages(layer: layer, block: block)
    guard let lastName = present.last?.lastName else { return nil }
    let last = self[lastName]
    var stages: [any AdapterStage] = []
    for (index, stage) in present.enumerated() {
      let dropoutSite = DropoutSite.adapter(layer: layer, block: block, index: index)
      // A parallel adapter at the end still needs the block's output.
      let mayOverwrite = index > 0 || !last.isParallel
      switch stage {
      case .adapter(let name):
        let configuration = self[name]
        stages.append(
          SingleAdapter(
            core(name, site, table),
            normAfter: configuration.normAfter
              ? norm("\(AdapterNames.adapter(name, at: site)).adapter_norm_after", table) : nil,
            configuration, dropoutSite: dropoutSite, mayOverwrite: mayOverwrite))
      case .fusion(let names):
        let prefix = AdapterNames.fusion(names, at: site)
        let probability = fusion.dropout.flatMap { $0 > 0 ? $0 : nil } ?? shape.attentionDropout
        stages.append(
          FusedAdapters(
            names.map { core($0, site, table) }, last: self[names[names.count - 1]],
            FusionPlaces(
              query: places("\(prefix).query", table), key: places("\(prefix).key", table),
              value: fusion.hasValue ? table["\(prefix).value.weight"] : nil),
            fusion, dropout: (probability, dropoutSite), mayOverwrite: mayOverwrite))
      }
    }
    return AdapterBranch(stages, last: last)
  }

  private func core(_ name: String, _ site: String, _ table: ParameterTable) -> Bottleneck {
    let (configuration, prefix) = (self[name], AdapterNames.adapter(name, at: site))
    return Bottleneck(
      Bottleneck.Places(
        normBefore: configuration.normBefore ? norm("\(prefix).adapter_norm_before", table) : nil,
        down: places("\(prefix).adapter_down.\(configuration.normBefore ? 1 : 0)", table),
        up: places("\(prefix).adapter_up", table),
        scaling: configuration.scaling == .learned ? table["\(prefix).scaling"] : nil),
      configuration)
  }

  private func places(_ prefix: String, _ table: ParameterTable) -> (weight: Parameter, bias: Parameter) {
    (table[prefix + ".weight"], table[prefix + ".bias"])
  }

  /// The library's own normalisations have PyTorch's default epsilon, not BERT's.
  private func norm(_ prefix: String, _ table: ParameterTable) -> LayerNorm {
    LayerNorm(prefix, table, epsilon: 1e-5)
  }
}

extension Composition.Stage {
  /// The adapter whose configuration decides.
  var lastName: String? {
    switch self {
    case .adapter(let name): name
    case .fusion(let names): names.last
    }
  }
}
