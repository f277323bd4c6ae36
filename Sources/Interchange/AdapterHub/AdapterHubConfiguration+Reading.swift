internal import Failures
internal import JSON

extension AdapterHubConfiguration {
  /// Reads the value of `config` in an adapter's `adapter_config.json`.
  /// - Parameters:
  ///   - value: The object or the name of a preset.
  ///   - isVersioned: Whether the file has a `version`; without one, `gelu` means `gelu_new` and `gelu_orig` `gelu`.
  ///   - usesNestedNonLinearity: Whether the block of an old `invertible_adapter` takes its own non-linearity, as the
  ///     library of 2020 did, instead of the adapter's.
  ///   - forgetsScaling: Whether the file is of a version that scaled by 1 whatever `alpha` said.
  ///   - source: The file, for messages, quoted.
  ///   - notices: Sentences for the person, appended to.
  /// - Returns: The configuration with every default filled in.
  /// - Throws: `Failure(.badContent)` naming what is missing, malformed or not supported.
  static func read(
    _ value: JSONValue, isVersioned: Bool, usesNestedNonLinearity: Bool, forgetsScaling: Bool, source: String,
    notices: inout [String]
  ) throws -> AdapterHubConfiguration {
    if case .string(let name) = value {
      let preset = try AdapterHubPresets.configuration(named: name, source: source)
      return try read(
        preset, isVersioned: true, usesNestedNonLinearity: false, forgetsScaling: false, source: source,
        notices: &notices)
    }
    var reader = try ConfigurationReader(value, source: source)
    switch try reader.string("architecture") {
    case nil:
      return .bottleneck(
        try AdapterHubBottleneck(
          &reader, isVersioned: isVersioned, usesNestedNonLinearity: usesNestedNonLinearity, notices: &notices
        ))
    case "lora": return try lowRank(&reader, forgetsScaling: forgetsScaling)
    case "prefix_tuning": return .prefixTuning(try AdapterHubPrefix(&reader, isVersioned: isVersioned))
    case "union":
      let parts = value["configs"].map { AdapterHubConfiguration.architectures($0) } ?? "?"
      throw Failure(
        .badContent, "\(source): a union of methods (\(parts)) is not supported; export one of them")
    case .some(let other):
      throw Failure(
        .badContent,
        "\(source): the architecture \(other.quoted) is not supported; bottleneck adapters, lora and "
          + "prefix_tuning are")
    }
  }

  private static func architectures(_ configurations: JSONValue) -> String {
    guard case .array(let parts) = configurations else { return "?" }
    let names = parts.prefix(8).map { part in
      if case .string(let name) = part["architecture"] { return name.quoted }
      return "bottleneck"
    }
    return names.joined(separator: ", ")
  }

  private static func lowRank(
    _ reader: inout ConfigurationReader, forgetsScaling: Bool
  ) throws -> AdapterHubConfiguration {
    let rank = try reader.count("r", atLeast: 1) ?? 8
    let alpha = try reader.number("alpha") ?? 8
    let dropout = try reader.probability("dropout") ?? 0
    let usesDoRA = try reader.boolean("use_dora") ?? false
    let mode = try reader.string("composition_mode") ?? "add"
    let sites = try AdapterHubSites(&reader)
    try reader.refuse("vera_d", "VeRA")
    try reader.refuse("vera_b", "VeRA")
    try reader.refuse("use_gating", "gating")
    reader.ignore(["init_weights", "init_weights_seed", "dtype", "architecture"])
    try reader.refuseUnread()
    guard alpha.isFinite else { throw reader.failure("alpha", .decimal(alpha), "a finite number") }
    switch mode {
    case "add":
      return .lora(
        AdapterHubLoRA(rank: rank, alpha: alpha, dropout: dropout, usesDoRA: usesDoRA, sites: sites))
    case "scale":
      guard rank == 1 else { throw reader.failure("r", .integer(rank), "1 with composition_mode scale") }
      guard !usesDoRA else {
        throw reader.failure("use_dora", .boolean(true), "false with composition_mode scale")
      }
      // The library multiplies by it; versions 1.0 forgot to.
      guard alpha == 1 || forgetsScaling else {
        throw reader.failure("alpha", .decimal(alpha), "1 with composition_mode scale")
      }
      return .ia3(AdapterHubIA3(sites: sites))
    default: throw reader.failure("composition_mode", .string(mode), "add or scale")
    }
  }

  /// The current name of a non-linearity in a file from before the library had versions.
  static func nonLinearity(_ name: String, isVersioned: Bool) -> String {
    let name = name.lowercased()
    if isVersioned { return name }
    return switch name {
    case "gelu": "gelu_new"
    case "gelu_orig": "gelu"
    default: name
    }
  }
}

extension AdapterHubSites {
  fileprivate init(_ reader: inout ConfigurationReader) throws {
    let usesAttention = try reader.boolean("selfattn_lora") ?? true
    var attention: Set<AttentionMatrix> = []
    for name in try reader.strings("attn_matrices") ?? ["q", "v"] {
      guard let matrix = AttentionMatrix(rawValue: name) else {
        throw reader.failure("attn_matrices", .string(name), "q, k or v")
      }
      attention.insert(matrix)
    }
    self.init(
      attention: usesAttention ? attention : [],
      intermediate: try reader.boolean("intermediate_lora") ?? false,
      output: try reader.boolean("output_lora") ?? false, leaveOut: try reader.counts("leave_out") ?? [])
    guard !self.attention.isEmpty || intermediate || output else {
      throw Failure(.badContent, "\(reader.source): LoRA is switched off everywhere")
    }
  }
}

extension AdapterHubPrefix {
  fileprivate init(_ reader: inout ConfigurationReader, isVersioned: Bool) throws {
    let nonLinearity = try reader.string("non_linearity") ?? "tanh"
    self.init(
      length: try reader.count("prefix_length", atLeast: 1) ?? 30,
      bottleneckSize: try reader.count("bottleneck_size", atLeast: 1) ?? 512,
      nonLinearity: AdapterHubConfiguration.nonLinearity(nonLinearity, isVersioned: isVersioned),
      isFlat: try reader.boolean("flat") ?? false, dropout: try reader.probability("dropout") ?? 0,
      leaveOut: try reader.counts("leave_out") ?? [])
    guard try reader.boolean("encoder_prefix") ?? true else {
      throw Failure(.badContent, "\(reader.source): encoder_prefix is false; a BERT has only an encoder")
    }
    try reader.refuse("use_gating", "gating")
    reader.ignore(["cross_prefix", "shared_gating", "init_weights_seed", "architecture"])
    try reader.refuseUnread()
  }
}
