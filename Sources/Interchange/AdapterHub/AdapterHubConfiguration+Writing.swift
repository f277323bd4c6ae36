package import JSON

extension AdapterHubConfiguration {
  /// The value of `config` with every key that the library 1.3.0 writes.
  package var json: JSONValue {
    switch self {
    case .bottleneck(let configuration): configuration.json
    case .lora(let configuration):
      AdapterHubConfiguration.lowRank(
        configuration.sites, rank: configuration.rank, alpha: configuration.alpha,
        dropout: configuration.dropout,
        usesDoRA: configuration.usesDoRA, isScale: false)
    case .ia3(let configuration):
      AdapterHubConfiguration.lowRank(
        configuration.sites, rank: 1, alpha: 1, dropout: 0, usesDoRA: false, isScale: true)
    case .prefixTuning(let configuration):
      .members([
        "architecture": .string("prefix_tuning"), "bottleneck_size": .integer(configuration.bottleneckSize),
        "cross_prefix": .boolean(true), "dropout": .decimal(configuration.dropout),
        "encoder_prefix": .boolean(true), "flat": .boolean(configuration.isFlat), "init_weights_seed": .null,
        "leave_out": configuration.leaveOut.json, "non_linearity": .string(configuration.nonLinearity),
        "prefix_length": .integer(configuration.length), "shared_gating": .boolean(true),
        "use_gating": .boolean(false),
      ])
    }
  }

  private static func lowRank(
    _ sites: AdapterHubSites, rank: Int, alpha: Double, dropout: Double, usesDoRA: Bool, isScale: Bool
  ) -> JSONValue {
    let matrices = AdapterHubSites.AttentionMatrix.allCases.filter(sites.attention.contains)
    return .members([
      "alpha": JSONValue(number: alpha), "architecture": .string("lora"),
      "attn_matrices": .array(matrices.map { .string($0.rawValue) }),
      "composition_mode": .string(isScale ? "scale" : "add"), "dropout": .decimal(dropout), "dtype": .null,
      "init_weights": .string(isScale ? "ia3" : "lora"), "init_weights_seed": .null,
      "intermediate_lora": .boolean(sites.intermediate), "leave_out": sites.leaveOut.json,
      "output_lora": .boolean(sites.output), "r": .integer(rank),
      "selfattn_lora": .boolean(!sites.attention.isEmpty), "use_dora": .boolean(usesDoRA),
      "use_gating": .boolean(false), "vera_b": .null, "vera_d": .null,
    ])
  }
}

extension AdapterHubBottleneck {
  fileprivate var json: JSONValue {
    .members([
      "adapter_residual_before_ln": .boolean(addsResidualBeforeNorm), "cross_adapter": .boolean(false),
      "dropout": .decimal(dropout), "factorized_phm_W": .boolean(true),
      "factorized_phm_rule": .boolean(false),
      "hypercomplex_nonlinearity": .string("glorot-uniform"), "init_weights": .string(initialization),
      "init_weights_seed": .null, "inv_adapter": invertible == nil ? .null : .string("nice"),
      "inv_adapter_reduction_factor": invertible.map { JSONValue(number: $0.reductionFactor) } ?? .null,
      "is_parallel": .boolean(isParallel), "learn_phm": .boolean(true), "leave_out": leaveOut.json,
      "ln_after": .boolean(hasNormAfter), "ln_before": .boolean(hasNormBefore),
      "mh_adapter": .boolean(hasAttentionAdapter), "non_linearity": .string(nonLinearity),
      "original_ln_after": .boolean(appliesNormAfter), "original_ln_before": .boolean(appliesNormBefore),
      "output_adapter": .boolean(hasOutputAdapter), "phm_bias": .boolean(true),
      "phm_c_init": .string("normal"),
      "phm_dim": .integer(4), "phm_init_range": .decimal(0.0001), "phm_layer": .boolean(false),
      "phm_rank": .integer(1), "reduction_factor": reduction.json, "residual_before_ln": residual.json,
      "scaling": scaling.json, "shared_W_phm": .boolean(false), "shared_phm_rule": .boolean(true),
      "stochastic_depth": .decimal(0), "use_gating": .boolean(false),
    ])
  }
}

extension AdapterHubReduction {
  fileprivate var json: JSONValue {
    guard !layers.isEmpty || factor == nil else { return JSONValue(number: factor ?? 1) }
    var members = layers.sorted { $0.key < $1.key }.map {
      JSONValue.Member(key: String($0.key), value: JSONValue(number: $0.value))
    }
    if let factor { members.append(.init(key: "default", value: JSONValue(number: factor))) }
    return .object(members)
  }
}

extension AdapterHubBottleneck.Residual {
  fileprivate var json: JSONValue {
    switch self {
    case .beforeNorm: .boolean(true)
    case .afterNorm: .boolean(false)
    case .afterAddition: .string("post_add")
    }
  }
}

extension AdapterHubBottleneck.Scaling {
  fileprivate var json: JSONValue {
    switch self {
    case .fixed(let factor): .decimal(factor)
    case .learned: .string("learned")
    case .channel: .string("channel")
    }
  }
}

extension [Int] {
  fileprivate var json: JSONValue { .array(map { .integer($0) }) }
}
