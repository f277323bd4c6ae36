/// The form in `config.json` and in trained files.
extension FineTuningOptions: Codable {
  private enum CodingKeys: String, CodingKey {
    case loraRank = "lora_rank", loraAlpha = "lora_alpha", loraDropout = "lora_dropout"
    case loraTargets = "lora_targets", loraBias = "lora_bias"
    case loraVariant = "lora_variant", loraPlusRatio = "lora_plus_ratio", loraLayers = "lora_layers"
    case prefixLength = "prefix_length", prefixBottleneck = "prefix_bottleneck"
    case adapterConfiguration = "adapter_config", adapterReductionFactor = "adapter_reduction_factor"
    case adapterActivation = "adapter_activation", adapterLeaveOut = "adapter_leave_out"
    case loraRanks = "lora_ranks", loraAlphas = "lora_alphas"
    case fusionRegularization = "fusion_regularization"
    case adapters, trainedAdapters = "trained_adapters"
  }

  /// Reads the options; missing ones have their defaults.
  package init(from decoder: any Decoder) throws {
    self.init()
    let container = try decoder.container(keyedBy: CodingKeys.self)
    loraRank = try container.decodeIfPresent(Int.self, forKey: .loraRank) ?? loraRank
    loraAlpha = try container.decodeIfPresent(Double.self, forKey: .loraAlpha)
    loraDropout = try container.decodeIfPresent(Float.self, forKey: .loraDropout) ?? loraDropout
    loraTargets = try container.decodeIfPresent([String].self, forKey: .loraTargets) ?? loraTargets
    loraBias = try container.decodeIfPresent(LoRA.Bias.self, forKey: .loraBias) ?? loraBias
    loraVariant = try container.decodeIfPresent(LoRA.Variant.self, forKey: .loraVariant) ?? loraVariant
    loraPlusRatio = try container.decodeIfPresent(Float.self, forKey: .loraPlusRatio) ?? loraPlusRatio
    loraLayers = try container.decodeIfPresent([Int].self, forKey: .loraLayers)
    prefixLength = try container.decodeIfPresent(Int.self, forKey: .prefixLength) ?? prefixLength
    prefixBottleneck = try container.decodeIfPresent(Int.self, forKey: .prefixBottleneck) ?? prefixBottleneck
    adapterConfiguration =
      try container.decodeIfPresent(String.self, forKey: .adapterConfiguration) ?? adapterConfiguration
    adapterReductionFactor = try container.decodeIfPresent(
      AdapterConfiguration.Reduction.self, forKey: .adapterReductionFactor)
    adapterActivation = try container.decodeIfPresent(String.self, forKey: .adapterActivation)
    adapterLeaveOut = try container.decodeIfPresent([Int].self, forKey: .adapterLeaveOut) ?? adapterLeaveOut
    loraRanks = try container.decodeIfPresent([String: Int].self, forKey: .loraRanks) ?? loraRanks
    loraAlphas = try container.decodeIfPresent([String: Double].self, forKey: .loraAlphas) ?? loraAlphas
    fusionRegularization =
      try container.decodeIfPresent(Float.self, forKey: .fusionRegularization) ?? fusionRegularization
    adapters = try container.decodeIfPresent(AdapterSetup.self, forKey: .adapters)
    trainedAdapters = try container.decodeIfPresent([String].self, forKey: .trainedAdapters) ?? trainedAdapters
  }

  /// Writes the options.
  package func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(loraRank, forKey: .loraRank)
    try container.encode(loraAlpha, forKey: .loraAlpha)
    try container.encode(loraDropout, forKey: .loraDropout)
    try container.encode(loraTargets, forKey: .loraTargets)
    try container.encode(loraBias, forKey: .loraBias)
    try container.encode(loraVariant, forKey: .loraVariant)
    try container.encode(loraPlusRatio, forKey: .loraPlusRatio)
    try container.encodeIfPresent(loraLayers, forKey: .loraLayers)
    try container.encode(prefixLength, forKey: .prefixLength)
    try container.encode(prefixBottleneck, forKey: .prefixBottleneck)
    try container.encode(adapterConfiguration, forKey: .adapterConfiguration)
    try container.encode(adapterReductionFactor, forKey: .adapterReductionFactor)
    try container.encode(adapterActivation, forKey: .adapterActivation)
    try container.encode(adapterLeaveOut, forKey: .adapterLeaveOut)
    try container.encode(loraRanks, forKey: .loraRanks)
    try container.encode(loraAlphas, forKey: .loraAlphas)
    try container.encode(fusionRegularization, forKey: .fusionRegularization)
    try container.encodeIfPresent(adapters, forKey: .adapters)
    try container.encode(trainedAdapters, forKey: .trainedAdapters)
  }
}
