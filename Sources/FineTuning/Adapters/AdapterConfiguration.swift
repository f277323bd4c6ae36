internal import Failures
package import Kernels

/// How a bottleneck adapter is built and where it sits: AdapterHub's `BnConfig`, with its keys and its defaults.
///
/// The core is `a(z) = s · (W_up f(W_down z + b_down) + b_up)`; the options say what `z` is and what is added.
/// - SeeAlso: Houlsby et al., 2019; Pfeiffer et al.: *MAD-X*, 2020; He et al., 2022 (parallel, scaled).
package struct AdapterConfiguration: Sendable, Equatable {
  /// Where the residual is taken that is added to the core's output (`residual_before_ln`).
  package enum Residual: Sendable, Equatable {
    /// The block's output, before the block's input is added (`true`).
    case blockOutput
    /// The sum of both, before it is normalised (`"post_add"`).
    case sum
    /// The core's own input (`false`).
    case coreInput
  }

  /// What the core's output is multiplied by (`scaling`).
  package enum Scaling: Sendable, Equatable {
    /// A constant.
    case constant(Float)
    /// One trained number a layer, which starts at 1.
    case learned
  }

  /// How weights start (`init_weights`).
  package enum Initialization: String, Sendable, CaseIterable {
    /// Normal with deviation 0.02.
    case bert
    /// Down uniform within 1/√in, up zero: training starts from the base.
    case mamAdapter = "mam_adapter"
  }

  /// The hidden size divided by the bottleneck's, for all layers or layer by layer (`reduction_factor`).
  package struct Reduction: Sendable, Equatable {
    /// For layers that are not named; nil when every layer is.
    package var standard: Double?
    /// Layer by layer.
    package var byLayer: [Int: Double] = [:]

    /// The same for all layers.
    package init(_ standard: Double?, byLayer: [Int: Double] = [:]) {
      self.standard = standard
      self.byLayer = byLayer
    }

    /// Every number in it.
    var factors: [Double] { [standard].compactMap { $0 } + byLayer.values }
  }

  /// Whether there is one after attention.
  package var afterAttention = false
  /// Whether there is one after the feed-forward block.
  package var afterFeedForward = true
  /// Whether the core reads the block's sum after the block's own normalisation.
  package var originalNormBefore = false
  /// Whether the block's own normalisation comes last, as in BERT.
  package var originalNormAfter = true
  /// Which residual is added to the core's output.
  package var residual = Residual.blockOutput
  /// Whether it is added before the adapter's own last normalisation.
  package var addsResidualBeforeNorm = false
  /// Whether the core starts with a normalisation of its own.
  package var normBefore = false
  /// Whether the core ends with a normalisation of its own.
  package var normAfter = false
  /// f.
  package var activation = Activation.relu
  /// The hidden size divided by the bottleneck's.
  package var reduction = Reduction(16)
  /// Whether the core reads the block's input, beside the block.
  package var isParallel = false
  /// s.
  package var scaling = Scaling.constant(1)
  /// Dropout on the core's output.
  package var dropout: Float = 0
  /// Layers without an adapter.
  package var leaveOut: [Int] = []
  /// The hidden half divided by the inner width of the invertible block over the embeddings; nil without one.
  package var invertibleReduction: Double?
  /// The invertible block's non-linearity, where it is not the adapter's: AdapterHub's library of 2020 had two.
  package var invertibleActivation: Activation?
  /// How weights start.
  package var initialization = Initialization.bert

  /// The library's defaults.
  package init() {}

  /// `seq_bn`: one adapter a layer, reading the block's normalised sum.
  /// - SeeAlso: Pfeiffer et al., 2021.
  package static let pfeiffer: AdapterConfiguration = {
    var configuration = AdapterConfiguration()
    configuration.originalNormBefore = true
    return configuration
  }()
  /// `double_seq_bn`: adapters after attention and after the feed-forward block.
  /// - SeeAlso: Houlsby et al., 2019.
  package static let houlsby: AdapterConfiguration = {
    var configuration = AdapterConfiguration()
    configuration.afterAttention = true
    configuration.activation = .swish
    return configuration
  }()
  /// `par_bn`: an adapter beside the feed-forward block, scaled by 4.
  /// - SeeAlso: He et al., 2022.
  package static let parallel: AdapterConfiguration = {
    var configuration = AdapterConfiguration()
    configuration.isParallel = true
    configuration.reduction = Reduction(2)
    configuration.scaling = .constant(4)
    configuration.initialization = .mamAdapter
    return configuration
  }()
  /// `scaled_par_bn`: as `parallel`, with a learned scale.
  package static let scaledParallel: AdapterConfiguration = {
    var configuration = AdapterConfiguration.parallel
    configuration.scaling = .learned
    return configuration
  }()
  /// `seq_bn_inv`: as `pfeiffer`, with an invertible block over the embeddings: a language adapter.
  /// - SeeAlso: Pfeiffer et al.: *MAD-X*, 2020, §3.
  package static let language: AdapterConfiguration = {
    var configuration = AdapterConfiguration.pfeiffer
    configuration.invertibleReduction = 2
    return configuration
  }()

  /// The configurations that have a name, under all their names; the first is `--adapter-config`'s.
  package static let presets: [(names: [String], configuration: AdapterConfiguration)] = [
    (["pfeiffer", "seq_bn"], .pfeiffer), (["houlsby", "double_seq_bn"], .houlsby),
    (["parallel", "par_bn"], .parallel), (["scaled_parallel", "scaled_par_bn"], .scaledParallel),
    (["pfeiffer+inv", "seq_bn_inv"], .language),
  ]

  /// The configuration of a name, the library's or the literature's; nil for others.
  package init?(preset name: String) {
    guard let preset = AdapterConfiguration.presets.first(where: { $0.names.contains(name) }) else {
      return nil
    }
    self = preset.configuration
  }

  /// The width of a layer's bottleneck: `⌊H / r⌋`, at least 1.
  /// - Throws: `Failure` when no reduction is given for the layer, or it makes no sense.
  package func bottleneck(layer: Int, hiddenSize: Int) throws -> Int {
    guard let factor = reduction.byLayer[layer] ?? reduction.standard else {
      throw Failure(
        .badContent, "reduction_factor has no entry for layer \(layer) and no \"default\"; add one of them.")
    }
    return try AdapterConfiguration.width(hiddenSize, factor, "reduction_factor")
  }

  /// The inner width of the invertible block: `⌊(H/2) / r⌋`, at least 1; nil without one.
  /// - Throws: `Failure` when its reduction makes no sense.
  package func invertibleWidth(hiddenSize: Int) throws -> Int? {
    try invertibleReduction.map {
      try AdapterConfiguration.width(hiddenSize / 2, $0, "inv_adapter_reduction_factor")
    }
  }

  /// Refuses values out of range and combinations that make no sense.
  /// - Throws: `Failure` that names the key.
  package func validate() throws {
    guard afterAttention || afterFeedForward else {
      throw Failure(.badContent, "mh_adapter and output_adapter are both false: the adapter sits nowhere.")
    }
    if residual == .sum, !originalNormBefore, !isParallel {
      throw Failure(
        .badContent, "residual_before_ln is \"post_add\", which needs original_ln_before to be true.")
    }
    guard (0..<1).contains(dropout) else {
      throw Failure(.badContent, "dropout is \(dropout), expected a probability from 0 to below 1.")
    }
    if case .constant(let value) = scaling, !value.isFinite {
      throw Failure(.badContent, "scaling is \(value), expected a number or \"learned\".")
    }
    if let layer = leaveOut.first(where: { $0 < 0 }) {
      throw Failure(.badContent, "leave_out names layer \(layer), expected layers counted from 0.")
    }
    for (key, factors) in [
      ("reduction_factor", reduction.factors),
      ("inv_adapter_reduction_factor", [invertibleReduction].compactMap { $0 }),
    ] {
      if let factor = factors.first(where: { !($0 > 0 && $0.isFinite) }) {
        throw Failure(.badContent, "\(key) is \(factor), expected a number above 0, such as 16.")
      }
    }
  }

  private static func width(_ size: Int, _ factor: Double, _ key: String) throws -> Int {
    // As Python's `//`, whose remainder is exact: 768 // 12.8 is 59.
    let size = Double(size)
    let width = factor > 0 ? ((size - size.truncatingRemainder(dividingBy: factor)) / factor).rounded() : .infinity
    guard width <= Double(1 << 24) else {
      throw Failure(.badContent, "\(key) is \(factor), expected a number from 0.001 on, such as 16.")
    }
    return max(1, Int(width))
  }

  /// Where it sits, in words.
  var placesText: String {
    let ends = [(afterAttention, "attention"), (afterFeedForward, "the feed-forward block")].filter { $0.0 }.map {
      $0.1
    }
    let layers = Set(leaveOut).sorted().map(String.init).joined(separator: ", ")
    return "after " + ends.joined(separator: " and ") + (layers.isEmpty ? "" : " but in layers \(layers)")
  }
}
