internal import Failures
package import JSON

/// What a PEFT LoRA folder's `adapter_config.json` says, as far as it changes what the adapter computes.
///
/// - SeeAlso: PEFT's `LoraConfig`.
package struct PEFTConfiguration: Equatable, Sendable {
  /// Which modules are meant.
  package enum Modules: Equatable, Sendable {
    /// Modules with one of these names, or whose full name ends with a dot and one of them.
    case named([String])
    /// Modules whose full name matches a regular expression.
    case pattern(String)
    /// Every projection but the head.
    case allLinear
  }

  /// Which of the base's biases are trained too.
  package enum Biases: String, Sendable {
    case none
    case all
    case loraOnly = "lora_only"
  }

  /// A value for the modules whose name ends in a match of an expression.
  package struct Override<Value: Equatable & Sendable>: Equatable, Sendable {
    /// The regular expression; the first that matches wins.
    package let pattern: String
    /// The value.
    package let value: Value

    /// A value for some modules.
    package init(pattern: String, value: Value) {
      self.pattern = pattern
      self.value = value
    }
  }

  /// `r`.
  package var rank: Int
  /// `lora_alpha`; the update is scaled by alpha / r.
  package var alpha: Double
  /// `lora_dropout`, on the input of the update.
  package var dropout = 0.0
  /// `target_modules`.
  package var targets: Modules = .named(["query", "value"])
  /// `exclude_modules`.
  package var excluded: Modules?
  /// `layers_to_transform`: only these layers; nil for all.
  package var layers: [Int]?
  /// `layers_pattern`: the names of the lists that `layers` counts in; usually none.
  package var layersPatterns: [String] = []
  /// `bias`.
  package var biases = Biases.none
  /// `use_rslora`: scale by alpha / √r.
  package var usesRankStabilization = false
  /// `use_dora`.
  package var usesDoRA = false
  /// `modules_to_save`: modules that are trained whole, such as `classifier`.
  package var modulesToSave: [String] = []
  /// `task_type`: `SEQ_CLS`, `FEATURE_EXTRACTION` or nil.
  package var taskType: String?
  /// `rank_pattern`.
  package var rankOverrides: [Override<Int>] = []
  /// `alpha_pattern`.
  package var alphaOverrides: [Override<Double>] = []
  /// `base_model_name_or_path`.
  package var baseModel: String?

  /// A configuration with PEFT's defaults for what is not given.
  package init(rank: Int, alpha: Double) {
    self.rank = rank
    self.alpha = alpha
  }

  /// Whether a classifier has to come with the adapter.
  package var savesClassifier: Bool {
    taskType == "SEQ_CLS" || modulesToSave.contains("classifier")
  }
}

// MARK: Writing

extension PEFTConfiguration {
  /// The configuration as PEFT reads it: the fourteen keys that matter, and those that differ from their defaults.
  package var json: JSONValue {
    var members: KeyValuePairs<String, JSONValue> {
      [
        "peft_type": .string("LORA"), "task_type": taskType.map { .string($0) } ?? .null,
        "base_model_name_or_path": baseModel.map { .string($0) } ?? .null, "r": .integer(rank),
        "lora_alpha": JSONValue(number: alpha), "lora_dropout": .decimal(dropout),
        "bias": .string(biases.rawValue), "target_modules": targets.json,
        "modules_to_save": modulesToSave.isEmpty ? .null : .array(modulesToSave.map { .string($0) }),
        "use_rslora": .boolean(usesRankStabilization), "use_dora": .boolean(usesDoRA),
        "init_lora_weights": .boolean(true), "fan_in_fan_out": .boolean(false),
        "inference_mode": .boolean(true),
      ]
    }
    var all = members.map { JSONValue.Member(key: $0.key, value: $0.value) }
    func add(_ key: String, _ value: JSONValue?) {
      if let value, !value.isNeutral { all.append(JSONValue.Member(key: key, value: value)) }
    }
    add("exclude_modules", excluded?.json)
    add("layers_to_transform", layers.map { .array($0.map { .integer($0) }) })
    add("layers_pattern", .array(layersPatterns.map { .string($0) }))
    add("rank_pattern", .object(rankOverrides.map { .init(key: $0.pattern, value: .integer($0.value)) }))
    add(
      "alpha_pattern",
      .object(alphaOverrides.map { .init(key: $0.pattern, value: JSONValue(number: $0.value)) }))
    return .object(all)
  }
}

extension PEFTConfiguration.Modules {
  fileprivate var json: JSONValue {
    switch self {
    case .named(let names): .array(names.map { .string($0) })
    case .pattern(let expression): .string(expression)
    case .allLinear: .string("all-linear")
    }
  }
}
