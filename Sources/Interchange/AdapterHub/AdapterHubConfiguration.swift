/// What an adapter of AdapterHub's library `adapters` is: its configuration with every default filled in.
///
/// - SeeAlso: [The library's configurations](https://docs.adapterhub.ml/classes/adapter_config.html).
package enum AdapterHubConfiguration: Equatable, Sendable {
  /// A bottleneck adapter: Pfeiffer, Houlsby, parallel and what lies between, with or without an invertible block.
  case bottleneck(AdapterHubBottleneck)
  /// LoRA, added to the projections.
  case lora(AdapterHubLoRA)
  /// (IA)³: the projections' outputs scaled by learned vectors.
  case ia3(AdapterHubIA3)
  /// Prefix tuning.
  case prefixTuning(AdapterHubPrefix)

  /// Layers without the adapter, counted from 0.
  package var leaveOut: [Int] {
    switch self {
    case .bottleneck(let configuration): configuration.leaveOut
    case .lora(let configuration): configuration.sites.leaveOut
    case .ia3(let configuration): configuration.sites.leaveOut
    case .prefixTuning(let configuration): configuration.leaveOut
    }
  }
}

/// A bottleneck adapter: z → W_up f(W_down z), with residuals and layer norms where the flags say.
package struct AdapterHubBottleneck: Equatable, Sendable {
  /// What the residual around the bottleneck starts from.
  package enum Residual: Equatable, Sendable {
    /// `false`: the normalised input.
    case afterNorm
    /// `true`: the output of the sub-block, before BERT's own residual and layer norm.
    case beforeNorm
    /// `"post_add"`: after BERT's residual, before its layer norm.
    case afterAddition
  }

  /// How the bottleneck's output is scaled.
  package enum Scaling: Equatable, Sendable {
    case fixed(Double)
    /// One learned number, `scaling [1]`.
    case learned
    /// A learned number a channel, `scaling [H]`.
    case channel
  }

  /// `mh_adapter`: an adapter after attention.
  package var hasAttentionAdapter: Bool
  /// `output_adapter`: an adapter after the feed-forward block.
  package var hasOutputAdapter: Bool
  /// `reduction_factor`.
  package var reduction: AdapterHubReduction
  /// `non_linearity` after the rule for old files: `gelu` is by the error function, `gelu_new` by tanh; `relu`,
  /// `swish`, `silu`, `tanh` and what else the file names.
  package var nonLinearity: String
  /// `original_ln_before`.
  package var appliesNormBefore = false
  /// `original_ln_after`.
  package var appliesNormAfter = true
  /// `ln_before`: a layer norm of its own (epsilon 1e-5) before the bottleneck.
  package var hasNormBefore = false
  /// `ln_after`: a layer norm of its own (epsilon 1e-5) after it.
  package var hasNormAfter = false
  /// `residual_before_ln`.
  package var residual = Residual.beforeNorm
  /// `adapter_residual_before_ln`.
  package var addsResidualBeforeNorm = false
  /// `is_parallel`.
  package var isParallel = false
  /// `scaling`.
  package var scaling = Scaling.fixed(1)
  /// `dropout`.
  package var dropout = 0.0
  /// `leave_out`.
  package var leaveOut: [Int] = []
  /// `inv_adapter`, when it is `nice`.
  package var invertible: AdapterHubInvertible?
  /// `init_weights`: `bert`, `mam_adapter` or `houlsby`.
  package var initialization = "bert"

  /// A configuration with the library's defaults for what is not given.
  package init(
    hasAttentionAdapter: Bool, hasOutputAdapter: Bool, reduction: AdapterHubReduction, nonLinearity: String
  ) {
    self.hasAttentionAdapter = hasAttentionAdapter
    self.hasOutputAdapter = hasOutputAdapter
    self.reduction = reduction
    self.nonLinearity = nonLinearity
  }
}

/// How much narrower than the hidden state a bottleneck is.
package struct AdapterHubReduction: Equatable, Sendable {
  /// The factor of layers that are not in `layers`; nil when the file gives none.
  package var factor: Double?
  /// Factors of single layers.
  package var layers: [Int: Double]

  /// A factor, and others for some layers.
  package init(_ factor: Double?, layers: [Int: Double] = [:]) {
    self.factor = factor
    self.layers = layers
  }

  /// The width of a layer's bottleneck, ⌊H / factor⌋ and at least 1; nil when the file gives no factor for it.
  package func width(ofLayer layer: Int, hiddenSize: Int) -> Int? {
    (layers[layer] ?? factor).flatMap { AdapterHubReduction.width(hiddenSize, $0) }
  }

  /// ⌊size / factor⌋, at least 1; nil when that is no size.
  static func width(_ size: Int, _ factor: Double) -> Int? {
    // As Python's `//`, whose remainder is exact: 768 // 12.8 is 59.
    let size = Double(size)
    let width = ((size - size.truncatingRemainder(dividingBy: factor)) / factor).rounded()
    return width.isFinite && width < 0x1p24 ? max(1, Int(width)) : nil
  }
}

/// The NICE block of a language adapter, at the embeddings.
package struct AdapterHubInvertible: Equatable, Sendable {
  /// `inv_adapter_reduction_factor`.
  package var reductionFactor: Double
  /// The non-linearity inside the block, as in ``AdapterHubBottleneck/nonLinearity``.
  package var nonLinearity: String

  /// A block.
  package init(reductionFactor: Double, nonLinearity: String) {
    self.reductionFactor = reductionFactor
    self.nonLinearity = nonLinearity
  }
}

/// Where the library puts LoRA and (IA)³.
package struct AdapterHubSites: Equatable, Sendable {
  /// A projection of self-attention.
  package enum AttentionMatrix: String, CaseIterable, Sendable {
    case query = "q"
    case key = "k"
    case value = "v"
  }

  /// `attn_matrices`, where `selfattn_lora` is true; else none.
  package var attention: Set<AttentionMatrix>
  /// `intermediate_lora`.
  package var intermediate: Bool
  /// `output_lora`.
  package var output: Bool
  /// `leave_out`.
  package var leaveOut: [Int]

  /// A choice of projections.
  package init(
    attention: Set<AttentionMatrix>, intermediate: Bool = false, output: Bool = false, leaveOut: [Int] = []
  ) {
    self.attention = attention
    self.intermediate = intermediate
    self.output = output
    self.leaveOut = leaveOut
  }
}

/// LoRA as the library computes it: y = W x + b + (alpha / r) B A x; its DoRA is not PEFT's.
package struct AdapterHubLoRA: Equatable, Sendable {
  /// `r`.
  package var rank: Int
  /// `alpha`.
  package var alpha: Double
  /// `dropout`.
  package var dropout: Double
  /// `use_dora`: scaled by m / ‖W + B A‖, the bias too.
  package var usesDoRA: Bool
  /// Where.
  package var sites: AdapterHubSites

  /// An adapter.
  package init(
    rank: Int, alpha: Double, dropout: Double = 0, usesDoRA: Bool = false, sites: AdapterHubSites
  ) {
    self.rank = rank
    self.alpha = alpha
    self.dropout = dropout
    self.usesDoRA = usesDoRA
    self.sites = sites
  }
}

/// (IA)³: y = (W x + b) · l.
package struct AdapterHubIA3: Equatable, Sendable {
  /// Where.
  package var sites: AdapterHubSites

  /// An adapter; the library's default is keys, values and the feed-forward block's inner activations.
  package init(sites: AdapterHubSites = AdapterHubSites(attention: [.key, .value], intermediate: true)) {
    self.sites = sites
  }
}

/// Prefix tuning: keys and values W₂ f(W₁ e) in front of each layer's.
package struct AdapterHubPrefix: Equatable, Sendable {
  /// `prefix_length`.
  package var length: Int
  /// `bottleneck_size`.
  package var bottleneckSize: Int
  /// `non_linearity`.
  package var nonLinearity: String
  /// `flat`: the keys and values themselves, `control_trans`, instead of what makes them.
  package var isFlat: Bool
  /// `dropout`.
  package var dropout: Double
  /// `leave_out`.
  package var leaveOut: [Int]

  /// An adapter with the library's defaults.
  package init(
    length: Int = 30, bottleneckSize: Int = 512, nonLinearity: String = "tanh", isFlat: Bool = false,
    dropout: Double = 0, leaveOut: [Int] = []
  ) {
    self.length = length
    self.bottleneckSize = bottleneckSize
    self.nonLinearity = nonLinearity
    self.isFlat = isFlat
    self.dropout = dropout
    self.leaveOut = leaveOut
  }
}
