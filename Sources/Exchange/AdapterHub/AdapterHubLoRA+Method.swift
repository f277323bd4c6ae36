internal import BERT
internal import Failures
internal import FineTuning
internal import Interchange
internal import Tensors

extension AdapterHubLoRA {
  /// LoRA here as the library's: the same projections in every layer that has any, one rank and one scale.
  /// - Throws: `Failure(.usage)` when the library has no form for it.
  init(_ lora: LoRA, _ base: BERTConfiguration) throws {
    func refuse(_ what: String) -> Failure { Failure(.usage, "AdapterHub's LoRA has no \(what)") }
    if lora.variant == .dora { throw refuse("DoRA in PEFT's form; its own is --lora-variant adapterhub-dora") }
    if lora.bias != .none { throw refuse("trained biases of the base") }
    let end = ".lora_A.weight"
    let added = try lora.addedParameters(base).map(\.name)
    if added.contains(where: { $0.hasSuffix(".lora_embedding_A") }) { throw refuse("update of the embeddings") }
    let modules = added.filter { $0.hasSuffix(end) }.map { String($0.dropLast(end.count)) }
    let sites = try AdapterHubLoRA.sites(of: modules, base) ?? { throw refuse("choice of exactly these modules") }()
    let ranks = Set(modules.map(lora.rank))
    let scales = Set(modules.map(lora.scale))
    guard let rank = ranks.first, let scale = scales.first, ranks.count == 1, scales.count == 1 else {
      throw refuse("ranks and scales that differ between modules")
    }
    // Its scale is alpha / r, also where ours is α / √r.
    let alpha = lora.variant == .rslora ? scale * Double(rank) : lora.alpha
    self.init(
      rank: rank,
      alpha: modules.allSatisfy { lora.scale(of: $0) == alpha / Double(rank) } ? alpha : scale * Double(rank),
      dropout: decimal(lora.dropout), usesDoRA: lora.variant == .adapterHubDora, sites: sites)
  }

  /// The library's choice of exactly these modules; nil when there is none.
  private static func sites(of modules: [String], _ base: BERTConfiguration) throws -> AdapterHubSites? {
    let wanted = Set(modules)
    func has(_ end: String) -> Bool { modules.contains { $0.hasSuffix(end) } }
    var attention: Set<AdapterHubSites.AttentionMatrix> = []
    if has(".attention.self.query") { attention.insert(.query) }
    if has(".attention.self.key") { attention.insert(.key) }
    if has(".attention.self.value") { attention.insert(.value) }
    let left = (0..<base.layerCount).filter { layer in
      !modules.contains { $0.hasPrefix("bert.encoder.layer.\(layer).") }
    }
    let output = modules.contains { $0.hasSuffix(".output.dense") && !$0.hasSuffix(".attention.output.dense") }
    let sites = AdapterHubSites(
      attention: attention, intermediate: has(".intermediate.dense"), output: output, leaveOut: left)
    return Set(sites.modules(in: EncoderShape(base)).map(\.name)) == wanted ? sites : nil
  }
}
