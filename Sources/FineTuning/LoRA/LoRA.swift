package import BERT
internal import Failures
package import Tensors

/// Low-rank adaptation: `y = W x + b + s · B(A(dropout(x)))` at the modules named, and the classifier.
///
/// The base and the pooler stay frozen, as in PEFT. B starts at zero, so training starts from the base.
/// - SeeAlso: Hu et al.: *LoRA*, 2021, §4.1.
package struct LoRA: FineTuningMethod {
  /// The inner dimension r, where `ranks` says nothing else.
  package let loraRank: Int
  /// α, where `alphas` says nothing else: the update is multiplied by α / r, or α / √r in rsLoRA.
  package let alpha: Double
  /// Dropout on the branch's input.
  package let dropout: Float
  /// Published module names, matched as PEFT does: the whole name, or its end after a dot; `all-linear` is every
  /// linear map but the head's, `word_embeddings` the table of token embeddings.
  package let targets: [String]
  /// Which biases are trained.
  package let bias: Bias
  /// How the update enters.
  package let variant: Variant
  /// LoRA+: what B's learning rate is multiplied by.
  package let plusRatio: Float
  /// The layers whose modules get an update; everything that is named when nil.
  package let layers: Set<Int>?
  /// Inner dimensions of modules by the end of their name, as PEFT's `rank_pattern` without regular expressions.
  package let ranks: [String: Int]
  /// α of modules by the end of their name, as PEFT's `alpha_pattern` without regular expressions.
  package let alphas: [String: Double]

  /// Which biases LoRA trains beside its matrices, as PEFT names the choices.
  package enum Bias: String, Codable, Sendable, CaseIterable {
    /// None of them.
    case none
    /// Those of the targets.
    case loraOnly = "lora_only"
    /// All of them.
    case all
  }

  /// How the low-rank update enters the projection.
  package enum Variant: String, Codable, Sendable, CaseIterable {
    /// `W + (α / r) B A`.
    case standard
    /// `W + (α / √r) B A`.
    /// - SeeAlso: Kalajdzievski: *A rank stabilization scaling factor*, 2023.
    case rslora
    /// Directions and magnitudes apart, as PEFT computes them.
    /// - SeeAlso: Liu et al.: *DoRA*, ICML 2024.
    case dora
    /// Directions and magnitudes apart, as AdapterHub's library computes them; not the same numbers as PEFT's.
    case adapterHubDora = "adapterhub-dora"

    /// Whether there is a magnitude for each output.
    package var hasMagnitude: Bool { self == .dora || self == .adapterHubDora }
  }

  /// A configuration.
  /// - Throws: `Failure` when a number makes no sense.
  package init(
    loraRank: Int, alpha: Double? = nil, dropout: Float = 0.1, targets: [String] = ["query", "value"],
    bias: Bias = .none, variant: Variant = .standard, plusRatio: Float = 1, layers: Set<Int>? = nil,
    ranks: [String: Int] = [:], alphas: [String: Double] = [:]
  ) throws {
    for rank in [loraRank] + ranks.values where !(1...65_536).contains(rank) {
      throw Failure(.usage, "--lora-rank is \(rank), expected a whole number from 1 to 65,536.")
    }
    let alpha = alpha ?? Double(2 * loraRank)
    for alpha in [alpha] + alphas.values where !(alpha >= 1e-30 && alpha <= 1e30) {
      throw Failure(.usage, "--lora-alpha is \(alpha), expected a number above 0 and of no more than 30 digits.")
    }
    guard (0..<1).contains(dropout) else {
      throw Failure(.usage, "--lora-dropout is \(dropout), expected a probability from 0 to below 1.")
    }
    guard !targets.isEmpty else {
      throw Failure(.usage, "--lora-targets is empty, expected module names such as query,value.")
    }
    guard plusRatio.isFinite, plusRatio > 0 else {
      throw Failure(.usage, "--lora-plus-ratio is \(plusRatio), expected a number above 0; 1 for plain LoRA.")
    }
    if let layers, layers.isEmpty || layers.contains(where: { $0 < 0 }) {
      throw Failure(.usage, "--lora-layers is empty or below 0, expected layers counted from 0 such as 0-3,7.")
    }
    self.loraRank = loraRank
    self.alpha = alpha
    self.dropout = dropout
    self.targets = targets
    self.bias = bias
    self.variant = variant
    self.plusRatio = plusRatio
    self.layers = layers
    self.ranks = ranks
    self.alphas = alphas
  }

  /// What `--method` calls it.
  package var name: String { "lora" }
  /// At full fine-tuning's 2e-5 a low-rank update hardly moves.
  package var defaultLearningRate: Double { 1e-3 }
  /// Its options.
  package var settings: [String: String] {
    var settings = [
      "lora_rank": "\(loraRank)", "lora_alpha": "\(alpha)", "lora_dropout": "\(dropout)",
      "lora_targets": targets.joined(separator: ","), "lora_bias": bias.rawValue,
      "lora_variant": variant.rawValue, "lora_plus_ratio": "\(plusRatio)",
    ]
    if let layers { settings["lora_layers"] = layers.sorted().map(String.init).joined(separator: ",") }
    func byModule<V>(_ values: [String: V]) -> String? {
      values.isEmpty ? nil : values.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(separator: ",")
    }
    settings["lora_ranks"] = byModule(ranks)
    settings["lora_alphas"] = byModule(alphas)
    return settings
  }

  /// The inner dimension at a module.
  package func rank(of module: String) -> Int { LoRA.value(for: module, in: ranks) ?? loraRank }

  /// s at a module.
  package func scale(of module: String) -> Double {
    let rank = Double(rank(of: module))
    let alpha = LoRA.value(for: module, in: alphas) ?? alpha
    return variant == .rslora ? alpha / rank.squareRoot() : alpha / rank
  }

  /// The value of the longest key that the module's name ends with.
  private static func value<V>(for module: String, in values: [String: V]) -> V? {
    values.filter { isNamed(module, $0.key) }.max { $0.key.utf8.count < $1.key.utf8.count }?.value
  }

  static func isNamed(_ module: String, _ target: String) -> Bool {
    module == target || module.hasSuffix("." + target)
  }

  /// Whether a module is of the head, which is trained itself.
  static func isHead(_ module: String) -> Bool { HeadDesign.owns(module + ".weight") }

  /// Whether a module gets an update.
  package func isTarget(_ module: String) -> Bool {
    guard !LoRA.isHead(module), !module.hasSuffix(".LayerNorm"), isInLayers(module) else { return false }
    return targets.contains { target in
      target == "all-linear"
        ? module.hasPrefix("bert.") && !module.hasPrefix("bert.embeddings.") : LoRA.isNamed(module, target)
    }
  }

  /// As PEFT's `layers_to_transform`: when layers are chosen, what lies in no layer is left alone.
  private func isInLayers(_ module: String) -> Bool {
    guard let layers else { return true }
    return PublishedName.layer(in: module).map { layers.contains($0.number) } ?? false
  }

  /// The head, and biases where they are asked for.
  package func trains(_ name: String) -> Bool {
    if HeadDesign.owns(name) { return true }
    guard name.hasSuffix(".bias") else { return false }
    return bias == .all || bias == .loraOnly && isTarget(String(name.dropLast(".bias".count)))
  }

  /// A low-rank update at every target.
  package func attach(to model: any TaskModel, _ table: ParameterTable) {
    for projection in model.projections where isTarget(projection.name) {
      projection.branch = branch(of: projection, table)
    }
    if isTarget(LoRA.wordEmbeddings) {
      model.encoder.embeddings.tableBranch = LowRankEmbedding(
        a: table[LoRA.wordEmbeddings + ".lora_embedding_A"], b: table[LoRA.wordEmbeddings + ".lora_embedding_B"],
        scale: Float(scale(of: LoRA.wordEmbeddings)), paddingID: model.configuration.padTokenID)
    }
  }

  private func branch(of projection: Projection, _ table: ParameterTable) -> any ProjectionBranch {
    let name = projection.name
    let update = { (dropout: Float) in
      LowRankUpdate(
        a: table[name + ".lora_A.weight"], b: table[name + ".lora_B.weight"], scale: Float(scale(of: name)),
        dropout: dropout, site: projection.branchSite)
    }
    switch variant {
    case .standard, .rslora: return update(dropout)
    case .dora:
      return DecomposedUpdate(
        projection, magnitude: table[name + ".lora_magnitude_vector"], update(0), dropout: dropout)
    case .adapterHubDora:
      return JointlyDecomposedUpdate(
        projection, magnitude: table[name + ".lora_magnitude_vector"], update(dropout))
    }
  }
}
