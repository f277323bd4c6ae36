internal import Failures
package import JSON

extension PEFTConfiguration {
  /// Reads `adapter_config.json`.
  /// - Parameters:
  ///   - value: The document.
  ///   - source: The file, for messages, quoted.
  /// - Throws: `Failure(.badContent)` naming the key that is missing, malformed, or asks for what is not supported.
  package init(_ value: JSONValue, source: String) throws {
    var reader = try ConfigurationReader(value, source: source)
    let kind = try reader.required("peft_type", reader.string("peft_type"))
    guard kind == "LORA" else {
      throw Failure(
        .badContent, "\(source): peft_type is \(kind.quoted); only LORA is read from PEFT folders")
    }
    // Absent keys have PEFT's defaults, r = 8 and lora_alpha = 8.
    self.init(
      rank: try reader.count("r", atLeast: 1) ?? 8, alpha: try reader.number("lora_alpha") ?? 8)
    dropout = try reader.probability("lora_dropout") ?? 0
    usesRankStabilization = try reader.boolean("use_rslora") ?? false
    usesDoRA = try reader.boolean("use_dora") ?? false
    baseModel = try reader.string("base_model_name_or_path")
    if let name = try reader.string("bias") {
      guard let known = Biases(rawValue: name) else {
        throw reader.failure("bias", .string(name), "none, all or lora_only")
      }
      biases = known
    }
    try readTask(&reader)
    try readModules(&reader)
    try readOverrides(&reader)
    try PEFTConfiguration.refuseVariants(&reader)
    try reader.refuseUnread()
    try PEFTConfiguration.check(self, source: source)
  }

  private mutating func readTask(_ reader: inout ConfigurationReader) throws {
    taskType = try reader.string("task_type")
    if let taskType, taskType != "SEQ_CLS", taskType != "FEATURE_EXTRACTION" {
      throw reader.failure("task_type", .string(taskType), "SEQ_CLS or FEATURE_EXTRACTION")
    }
    var seen: Set<String> = []
    modulesToSave = (try reader.strings("modules_to_save") ?? []).filter { seen.insert($0).inserted }
  }

  private mutating func readModules(_ reader: inout ConfigurationReader) throws {
    if let modules = try PEFTConfiguration.modules("target_modules", &reader) { targets = modules }
    excluded = try PEFTConfiguration.modules("exclude_modules", &reader)
    if case .allLinear = excluded { excluded = .pattern("all-linear") }
    // A single layer may stand without a list.
    if let value = reader.value("layers_to_transform"), value != .array([]) {
      if let layer = value.count, layer >= 0 {
        layers = [layer]
      } else {
        layers = try reader.counts("layers_to_transform")
      }
    }
    if let value = reader.value("layers_pattern") {
      if case .string(let name) = value {
        layersPatterns = name.isEmpty ? [] : [name]
      } else {
        layersPatterns = try reader.strings("layers_pattern") ?? []
      }
    }
    if case .named = targets {
    } else if layers != nil || !layersPatterns.isEmpty {
      throw Failure(
        .badContent,
        "\(reader.source): layers_to_transform needs a list of target_modules, but they are a string")
    }
  }

  private static func modules(_ key: String, _ reader: inout ConfigurationReader) throws -> Modules? {
    guard let value = reader.value(key), value != .array([]) else { return nil }
    if case .string(let text) = value {
      return text.lowercased() == "all-linear" ? .allLinear : .pattern(text)
    }
    guard let names = value.strings, names.count <= ConfigurationReader.maximumListCount else {
      throw reader.failure(key, value, "a list of names, a regular expression or \"all-linear\"")
    }
    return .named(names)
  }

  private mutating func readOverrides(_ reader: inout ConfigurationReader) throws {
    for member in try PEFTConfiguration.members("rank_pattern", &reader) {
      guard let rank = member.value.count, rank >= 1, rank <= ConfigurationReader.maximumCount else {
        throw reader.failure("rank_pattern", member.value, "a rank of at least 1")
      }
      rankOverrides.append(Override(pattern: member.key, value: rank))
    }
    for member in try PEFTConfiguration.members("alpha_pattern", &reader) {
      guard let alpha = member.value.number else {
        throw reader.failure("alpha_pattern", member.value, "a number")
      }
      alphaOverrides.append(Override(pattern: member.key, value: alpha))
    }
  }

  private static func members(
    _ key: String, _ reader: inout ConfigurationReader
  ) throws -> [JSONValue.Member] {
    guard let value = reader.value(key) else { return [] }
    guard case .object(let members) = value, members.count <= ConfigurationReader.maximumListCount else {
      throw reader.failure(key, value, "an object from patterns to numbers")
    }
    return members
  }

  /// Refuses the variants of LoRA that compute something else, and marks what changes nothing.
  private static func refuseVariants(_ reader: inout ConfigurationReader) throws {
    let variants = [
      ("lora_bias", "a bias in the update"), ("target_parameters", "LoRA on single parameters"),
      ("layer_replication", "repeating layers"), ("trainable_token_indices", "training single tokens"),
      ("use_qalora", "QA-LoRA"), ("use_bdlora", "BD-LoRA"), ("velora_config", "VeLoRA"),
      ("kasa_config", "KaSA"), ("monteclora_config", "MonteCLoRA"), ("arrow_config", "Arrow"),
      ("alora_invocation_tokens", "activated LoRA"), ("megatron_config", "Megatron"),
    ]
    for (key, meaning) in variants { try reader.refuse(key, meaning) }
    // These initialise the update and change the base's weights too, so that the file alone is not the adapter.
    if let value = reader.value("init_lora_weights") {
      let harmless: [JSONValue] = ["gaussian", "eva", "orthogonal", "mica"].map { .string($0) }
      guard value == .boolean(true) || value == .boolean(false) || harmless.contains(value) else {
        throw Failure(
          .badContent,
          "\(reader.source): init_lora_weights is \(value.line.quoted), which also changes the base's weights; "
            + "convert the adapter to plain LoRA with PEFT's path_initial_model_for_weight_conversion")
      }
    }
    // fan_in_fan_out is for layers that store their weight transposed; BERT has none, and PEFT ignores it there.
    reader.ignore([
      "fan_in_fan_out", "inference_mode", "auto_mapping", "revision", "peft_version", "megatron_core",
      "loftq_config", "eva_config", "corda_config", "lora_ga_config", "qalora_group_size",
      "ensure_weight_tying", "runtime_config",
    ])
  }

  private static func check(_ configuration: PEFTConfiguration, source: String) throws {
    let alphas = [configuration.alpha] + configuration.alphaOverrides.map(\.value)
    guard alphas.allSatisfy(\.isFinite) else {
      throw Failure(.badContent, "\(source): lora_alpha must be finite")
    }
    _ = try PEFTModules(configuration, source: source)
  }
}
