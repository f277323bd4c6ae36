internal import Failures
internal import JSON

extension AdapterHubBottleneck {
  /// Reads the keys of a bottleneck adapter; see ``AdapterHubConfiguration``.
  init(
    _ reader: inout ConfigurationReader, isVersioned: Bool, usesNestedNonLinearity: Bool,
    notices: inout [String]
  ) throws {
    let name = try reader.required("non_linearity", reader.string("non_linearity"))
    let attention = try reader.boolean("mh_adapter")
    let output = try reader.boolean("output_adapter")
    self.init(
      hasAttentionAdapter: try reader.required("mh_adapter", attention),
      hasOutputAdapter: try reader.required("output_adapter", output),
      reduction: try AdapterHubReduction(&reader),
      nonLinearity: AdapterHubConfiguration.nonLinearity(name, isVersioned: isVersioned))
    guard hasAttentionAdapter || hasOutputAdapter else {
      throw Failure(.badContent, "\(reader.source): mh_adapter and output_adapter are both false")
    }
    try readNorms(&reader)
    isParallel = try reader.boolean("is_parallel") ?? false
    dropout = try reader.probability("dropout") ?? 0
    leaveOut = try reader.counts("leave_out") ?? []
    initialization = try reader.string("init_weights") ?? "bert"
    try readScaling(&reader)
    try readInvertible(
      &reader, isVersioned: isVersioned, usesNestedNonLinearity: usesNestedNonLinearity, notices: &notices)
    try AdapterHubBottleneck.refuseVariants(&reader)
    try reader.refuseUnread()
  }

  private mutating func readNorms(_ reader: inout ConfigurationReader) throws {
    appliesNormBefore = try reader.boolean("original_ln_before") ?? false
    appliesNormAfter = try reader.boolean("original_ln_after") ?? true
    hasNormBefore = try reader.boolean("ln_before") ?? false
    hasNormAfter = try reader.boolean("ln_after") ?? false
    addsResidualBeforeNorm = try reader.boolean("adapter_residual_before_ln") ?? false
    switch reader.value("residual_before_ln") {
    case nil, .boolean(true): residual = .beforeNorm
    case .boolean(false): residual = .afterNorm
    case .string("post_add"): residual = .afterAddition
    case .some(let other): throw reader.failure("residual_before_ln", other, "true, false or \"post_add\"")
    }
  }

  private mutating func readScaling(_ reader: inout ConfigurationReader) throws {
    switch reader.value("scaling") {
    case nil: scaling = .fixed(1)
    case .string("learned"): scaling = .learned
    case .string("channel"): scaling = .channel
    case .some(let value):
      guard let factor = value.number else {
        throw reader.failure("scaling", value, "a number, \"learned\" or \"channel\"")
      }
      scaling = .fixed(factor)
    }
  }

  private mutating func readInvertible(
    _ reader: inout ConfigurationReader, isVersioned: Bool, usesNestedNonLinearity: Bool,
    notices: inout [String]
  ) throws {
    var kind = try reader.string("inv_adapter")
    var factor = try reader.number("inv_adapter_reduction_factor")
    var blockNonLinearity = nonLinearity
    if let nested = reader.value("invertible_adapter"), !nested.isNeutral {
      var block = try ConfigurationReader(nested, source: "\(reader.source), invertible_adapter")
      kind = try block.required("block_type", block.string("block_type"))
      factor = try block.required("reduction_factor", block.number("reduction_factor"))
      if let name = try block.string("non_linearity") {
        let own = AdapterHubConfiguration.nonLinearity(name, isVersioned: isVersioned)
        if own != nonLinearity {
          if usesNestedNonLinearity { blockNonLinearity = own }
          notices.append(
            "\(reader.source): the invertible block names \(own) and the adapter \(nonLinearity); the block uses "
              + (usesNestedNonLinearity
                ? "\(own), as you asked and as the library of 2020 did"
                : "\(nonLinearity), as the current library does"))
        }
      }
      try block.refuseUnread()
    }
    guard let kind else { return }
    guard kind == "nice" else {
      throw Failure(
        .badContent, "\(reader.source): the invertible block \(kind.quoted) is not supported; nice is")
    }
    let known = try reader.required("inv_adapter_reduction_factor", factor)
    guard known > 0, known.isFinite else {
      throw reader.failure("inv_adapter_reduction_factor", .decimal(known), "a positive number")
    }
    invertible = AdapterHubInvertible(reductionFactor: known, nonLinearity: blockNonLinearity)
  }

  /// Refuses what computes something else, and marks what changes nothing here.
  private static func refuseVariants(_ reader: inout ConfigurationReader) throws {
    try reader.refuse("phm_layer", "Compacter (parametrised hypercomplex layers)")
    try reader.refuse("use_gating", "gating")
    if let depth = try reader.number("stochastic_depth"), depth != 0 {
      throw reader.failure("stochastic_depth", .decimal(depth), "0")
    }
    // The PHM keys say nothing without phm_layer; cross_adapter is about decoders; the last are of the library's first
    // months (May 2020), and the current one ignores them too.
    reader.ignore([
      "phm_dim", "phm_rank", "phm_bias", "phm_c_init", "phm_init_range", "factorized_phm_W",
      "factorized_phm_rule", "shared_W_phm", "shared_phm_rule", "learn_phm", "hypercomplex_nonlinearity",
      "cross_adapter", "init_weights_seed", "architecture", "attention_type", "new_attention_norm",
      "LN_after", "LN_before", "MH_Adapter", "Output_Adapter",
    ])
  }
}

extension AdapterHubReduction {
  fileprivate init(_ reader: inout ConfigurationReader) throws {
    let value = try reader.required("reduction_factor", reader.value("reduction_factor"))
    func factor(_ value: JSONValue) throws -> Double {
      guard let number = value.number, number > 0, number.isFinite else {
        throw reader.failure("reduction_factor", value, "a positive number")
      }
      return number
    }
    guard case .object(let members) = value else {
      self.init(try factor(value))
      return
    }
    self.init(nil)
    for member in members {
      if member.key == "default" {
        self.factor = try factor(member.value)
      } else if let layer = Int(member.key), layer >= 0 {
        layers[layer] = try factor(member.value)
      } else {
        throw reader.failure("reduction_factor", .string(member.key), "layer numbers and \"default\"")
      }
    }
  }
}
