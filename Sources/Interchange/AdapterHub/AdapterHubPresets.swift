internal import Failures
internal import JSON

/// The configurations that have a name of their own, which an adapter's file may give instead of the keys.
enum AdapterHubPresets {
  /// The keys of a preset that differ from the architecture's defaults.
  /// - Throws: `Failure(.badContent)` when the name is unknown or of a method that is not supported.
  static func configuration(named name: String, source: String) throws -> JSONValue {
    switch name {
    case "seq_bn", "pfeiffer": return sequential(isDouble: false, isInvertible: false)
    case "seq_bn_inv", "pfeiffer+inv": return sequential(isDouble: false, isInvertible: true)
    case "double_seq_bn", "houlsby": return sequential(isDouble: true, isInvertible: false)
    case "double_seq_bn_inv", "houlsby+inv": return sequential(isDouble: true, isInvertible: true)
    case "par_bn", "parallel": return parallel(scaling: .decimal(4))
    case "scaled_par_bn", "scaled_parallel": return parallel(scaling: .string("learned"))
    case "lora": return .members(["architecture": .string("lora")])
    case "dora": return .members(["architecture": .string("lora"), "use_dora": .boolean(true)])
    case "ia3":
      return .members([
        "architecture": .string("lora"), "composition_mode": .string("scale"), "r": .integer(1),
        "alpha": .integer(1), "attn_matrices": .array([.string("k"), .string("v")]),
        "intermediate_lora": .boolean(true), "init_weights": .string("ia3"),
      ])
    case "prefix_tuning": return .members(["architecture": .string("prefix_tuning")])
    case "prefix_tuning_flat":
      return .members(["architecture": .string("prefix_tuning"), "flat": .boolean(true)])
    default:
      throw Failure(
        .badContent,
        "\(source): config is \(name.quoted), which is not one of the supported configurations seq_bn, seq_bn_inv, "
          + "double_seq_bn, double_seq_bn_inv, par_bn, scaled_par_bn, lora, dora, ia3, prefix_tuning")
    }
  }

  private static func sequential(isDouble: Bool, isInvertible: Bool) -> JSONValue {
    .members([
      "mh_adapter": .boolean(isDouble), "output_adapter": .boolean(true),
      "original_ln_before": .boolean(!isDouble), "non_linearity": .string(isDouble ? "swish" : "relu"),
      "reduction_factor": .integer(16), "inv_adapter": isInvertible ? .string("nice") : .null,
      "inv_adapter_reduction_factor": isInvertible ? .integer(2) : .null,
    ])
  }

  private static func parallel(scaling: JSONValue) -> JSONValue {
    .members([
      "mh_adapter": .boolean(false), "output_adapter": .boolean(true), "original_ln_before": .boolean(false),
      "non_linearity": .string("relu"), "reduction_factor": .integer(2), "is_parallel": .boolean(true),
      "scaling": scaling, "init_weights": .string("mam_adapter"),
    ])
  }
}
