internal import Failures
internal import Kernels

/// AdapterHub's own keys; a configuration may also be a bare name such as `"pfeiffer"`.
extension AdapterConfiguration: Codable {
  private enum CodingKeys: String, CodingKey, CaseIterable {
    case afterAttention = "mh_adapter", afterFeedForward = "output_adapter"
    case originalNormBefore = "original_ln_before", originalNormAfter = "original_ln_after"
    case residual = "residual_before_ln", addsResidualBeforeNorm = "adapter_residual_before_ln"
    case normBefore = "ln_before", normAfter = "ln_after", activation = "non_linearity"
    case reduction = "reduction_factor", isParallel = "is_parallel", scaling, dropout
    case leaveOut = "leave_out", invertible = "inv_adapter"
    case invertibleReduction = "inv_adapter_reduction_factor", initialization = "init_weights"
    // Not a key of the library.
    case invertibleActivation = "inv_adapter_non_linearity"
    case gating = "use_gating", hypercomplex = "phm_layer", cross = "cross_adapter"
    case stochasticDepth = "stochastic_depth", architecture
  }

  /// The keys that a person can give a value: lists have an option of their own, and what we do not compute has none.
  static var keys: [String] {
    let others: [CodingKeys] = [.leaveOut, .gating, .hypercomplex, .cross, .stochasticDepth, .architecture]
    return CodingKeys.allCases.filter { !others.contains($0) }.map(\.rawValue)
  }

  /// Reads a configuration; missing keys have the library's defaults.
  /// - Throws: `Failure` that names the key when it asks for what we do not have.
  package init(from decoder: any Decoder) throws {
    if let name = try? decoder.singleValueContainer().decode(String.self) {
      guard let preset = AdapterConfiguration(preset: name) else {
        throw Failure(
          .badContent,
          "the adapter configuration \"\(name)\" is not one of those we have: \(AdapterConfiguration.presetNames)."
        )
      }
      self = preset
      return
    }
    try self.init(from: decoder, changing: AdapterConfiguration())
  }

  /// Reads an object of keys; missing ones have another configuration's values.
  init(from decoder: any Decoder, changing preset: AdapterConfiguration) throws {
    self = preset
    do {
      try read(decoder.container(keyedBy: CodingKeys.self))
    } catch let error as DecodingError {
      throw AdapterConfiguration.failure(error)
    } catch let failure as Failure {
      throw failure
    } catch {
      // What the decoder has no type for in public: a number that none of ours can hold.
      throw Failure(.badContent, "an adapter's configuration has a number that is out of range.")
    }
    try validate()
  }

  private mutating func read(_ keys: KeyedDecodingContainer<CodingKeys>) throws {
    try AdapterConfiguration.refuseUnsupported(keys)
    func flag(_ key: CodingKeys, _ standard: Bool) throws -> Bool {
      try keys.decodeIfPresent(Bool.self, forKey: key) ?? standard
    }
    afterAttention = try flag(.afterAttention, afterAttention)
    afterFeedForward = try flag(.afterFeedForward, afterFeedForward)
    originalNormBefore = try flag(.originalNormBefore, originalNormBefore)
    originalNormAfter = try flag(.originalNormAfter, originalNormAfter)
    addsResidualBeforeNorm = try flag(.addsResidualBeforeNorm, addsResidualBeforeNorm)
    normBefore = try flag(.normBefore, normBefore)
    normAfter = try flag(.normAfter, normAfter)
    isParallel = try flag(.isParallel, isParallel)
    dropout = try keys.decodeIfPresent(Float.self, forKey: .dropout) ?? dropout
    leaveOut = try keys.decodeIfPresent([Int].self, forKey: .leaveOut) ?? leaveOut
    residual = try keys.decodeIfPresent(Residual.self, forKey: .residual) ?? residual
    scaling = try keys.decodeIfPresent(Scaling.self, forKey: .scaling) ?? scaling
    reduction = try keys.decodeIfPresent(Reduction.self, forKey: .reduction) ?? reduction
    try decodeNames(keys)
  }

  /// A sentence that names the key whose value is of the wrong kind.
  private static func failure(_ error: DecodingError) -> Failure {
    let (context, type): (DecodingError.Context, Any.Type?) =
      switch error {
      case .typeMismatch(let type, let context), .valueNotFound(let type, let context): (context, type)
      case .keyNotFound(_, let context), .dataCorrupted(let context): (context, nil)
      @unknown default: (DecodingError.Context(codingPath: [], debugDescription: ""), nil)
      }
    guard let key = context.codingPath.last(where: { $0 is CodingKeys }) else {
      return Failure(.badContent, "an adapter's configuration is neither an object nor a name such as \"pfeiffer\".")
    }
    let expected =
      switch type {
      case is Bool.Type: "true or false"
      case is String.Type: "a text"
      default: key.stringValue == CodingKeys.leaveOut.rawValue ? "layers counted from 0" : "a number in range"
      }
    return Failure(.badContent, "\(key.stringValue) of an adapter's configuration is wrong, expected \(expected).")
  }

  private mutating func decodeNames(_ keys: KeyedDecodingContainer<CodingKeys>) throws {
    func decodeActivation(_ key: CodingKeys) throws -> Activation? {
      guard let name = try keys.decodeIfPresent(String.self, forKey: key) else { return nil }
      guard let known = Activation(configurationName: name) else {
        throw Failure(
          .badContent, "\(key.rawValue) is \"\(name)\", expected \(Activation.namesText).")
      }
      return known
    }
    activation = try decodeActivation(.activation) ?? activation
    invertibleActivation = try decodeActivation(.invertibleActivation)
    if let name = try keys.decodeIfPresent(String.self, forKey: .initialization) {
      guard let known = Initialization(rawValue: name) else {
        throw Failure(.badContent, "init_weights is \"\(name)\", expected bert or mam_adapter.")
      }
      initialization = known
    }
    guard let block = try keys.decodeIfPresent(String.self, forKey: .invertible) else { return }
    guard block == "nice" else {
      throw Failure(
        .badContent, "inv_adapter is \"\(block)\", and of the invertible blocks we have only \"nice\".")
    }
    invertibleReduction = try keys.decodeIfPresent(Double.self, forKey: .invertibleReduction) ?? 2
  }

  private static func refuseUnsupported(_ keys: KeyedDecodingContainer<CodingKeys>) throws {
    for key in [CodingKeys.gating, .hypercomplex, .cross]
    where try keys.decodeIfPresent(Bool.self, forKey: key) == true {
      throw Failure(
        .badContent, "the adapter has \(key.rawValue), which we do not compute; train one without it.")
    }
    if let depth = try keys.decodeIfPresent(Double.self, forKey: .stochasticDepth), depth > 0 {
      throw Failure(
        .badContent,
        "the adapter has stochastic_depth \(depth), which we do not compute; train one without it.")
    }
    if let architecture = try keys.decodeIfPresent(String.self, forKey: .architecture) {
      throw Failure(
        .badContent, "the architecture is \"\(architecture)\", and this is not a bottleneck adapter.")
    }
  }

  /// Writes every key that this program reads, under the library's names.
  package func encode(to encoder: any Encoder) throws {
    var keys = encoder.container(keyedBy: CodingKeys.self)
    try keys.encode(afterAttention, forKey: .afterAttention)
    try keys.encode(afterFeedForward, forKey: .afterFeedForward)
    try keys.encode(originalNormBefore, forKey: .originalNormBefore)
    try keys.encode(originalNormAfter, forKey: .originalNormAfter)
    try keys.encode(residual, forKey: .residual)
    try keys.encode(addsResidualBeforeNorm, forKey: .addsResidualBeforeNorm)
    try keys.encode(normBefore, forKey: .normBefore)
    try keys.encode(normAfter, forKey: .normAfter)
    try keys.encode(activation.rawValue, forKey: .activation)
    try keys.encode(reduction, forKey: .reduction)
    try keys.encode(isParallel, forKey: .isParallel)
    try keys.encode(scaling, forKey: .scaling)
    try keys.encode(dropout, forKey: .dropout)
    try keys.encode(leaveOut, forKey: .leaveOut)
    try keys.encode(invertibleReduction == nil ? nil : "nice", forKey: .invertible)
    try keys.encode(invertibleReduction, forKey: .invertibleReduction)
    try keys.encodeIfPresent(invertibleActivation?.rawValue, forKey: .invertibleActivation)
    try keys.encode(initialization.rawValue, forKey: .initialization)
    for key in [CodingKeys.gating, .hypercomplex, .cross] { try keys.encode(false, forKey: key) }
    try keys.encode(0.0, forKey: .stochasticDepth)
  }

  /// The names of the presets, for messages.
  static var presetNames: String { presets.flatMap(\.names).joined(separator: ", ") }
}

extension AdapterConfiguration.Residual: Codable {
  /// Reads `true`, `false` or `"post_add"`.
  package init(from decoder: any Decoder) throws {
    let value = try decoder.singleValueContainer()
    if let flag = try? value.decode(Bool.self) {
      self = flag ? .blockOutput : .coreInput
    } else if (try? value.decode(String.self)) == "post_add" {
      self = .sum
    } else {
      throw Failure(.badContent, "residual_before_ln is neither true nor false nor \"post_add\".")
    }
  }

  /// Writes the library's value.
  package func encode(to encoder: any Encoder) throws {
    var value = encoder.singleValueContainer()
    switch self {
    case .blockOutput: try value.encode(true)
    case .coreInput: try value.encode(false)
    case .sum: try value.encode("post_add")
    }
  }
}

extension AdapterConfiguration.Scaling: Codable {
  /// Reads a number or `"learned"`.
  package init(from decoder: any Decoder) throws {
    let value = try decoder.singleValueContainer()
    if let number = try? value.decode(Float.self) {
      self = .constant(number)
    } else if (try? value.decode(String.self)) == "learned" {
      self = .learned
    } else {
      throw Failure(
        .badContent, "scaling is neither a number nor \"learned\"; other kinds we do not compute.")
    }
  }

  /// Writes the library's value.
  package func encode(to encoder: any Encoder) throws {
    var value = encoder.singleValueContainer()
    switch self {
    case .constant(let number): try value.encode(number)
    case .learned: try value.encode("learned")
    }
  }
}

extension AdapterConfiguration.Reduction: Codable {
  /// Reads a number, or an object of numbers by layer with `"default"` for the rest.
  package init(from decoder: any Decoder) throws {
    let value = try decoder.singleValueContainer()
    if let number = try? value.decode(Double.self) {
      self.init(number)
      return
    }
    guard let map = try? value.decode([String: Double].self) else {
      throw Failure(.badContent, "reduction_factor is neither a number nor numbers by layer.")
    }
    self.init(map["default"])
    for (key, factor) in map where key != "default" {
      guard let layer = Int(key), layer >= 0 else {
        throw Failure(
          .badContent, "reduction_factor has the key \"\(key)\", expected a layer's number or \"default\".")
      }
      byLayer[layer] = factor
    }
  }

  /// Writes the library's value.
  package func encode(to encoder: any Encoder) throws {
    var value = encoder.singleValueContainer()
    if let standard, byLayer.isEmpty { return try value.encode(standard) }
    var map: [String: Double] = [:]
    if let standard { map["default"] = standard }
    for (layer, factor) in byLayer { map["\(layer)"] = factor }
    try value.encode(map)
  }
}
