internal import BERT
internal import Interchange

// Names of tensors: `<module>.loras.<adapter>.lora_A` and the like there, `<module>.lora_A.weight` here.

/// The names of LoRA's and (IA)³'s tensors in the two programs.
enum LowRankNames {
  /// The ends of the tensors of a module's update, there and here.
  static let lora = [("lora_A", "lora_A.weight"), ("lora_B", "lora_B.weight"), ("m.weight", "lora_magnitude_vector")]
  /// The same of (IA)³'s.
  static let ia3 = [("lora_B", "ia3_l")]

  /// The tensors of a LoRA adapter, under their names here; magnitudes are `[out]` here and `[out, 1]` there.
  static func lora(_ adapter: AdapterHubAdapter) -> [ForeignTensor] { tensors(adapter, lora) }
  /// The tensors of an (IA)³ adapter, under their names here.
  static func ia3(_ adapter: AdapterHubAdapter) -> [ForeignTensor] { tensors(adapter, ia3) }

  private static func tensors(_ adapter: AdapterHubAdapter, _ ends: [(String, String)]) -> [ForeignTensor] {
    adapter.tensors.entries.map { entry in
      let name = here(entry.name, of: adapter.name, ends)
      return ForeignTensor(
        entry, in: adapter.tensors, as: name, isVector: name.hasSuffix(".lora_magnitude_vector"))
    }
  }

  /// The name here of a tensor there; unchanged when it is none of these.
  static func here(_ name: String, of adapter: String, _ ends: [(String, String)]) -> String {
    for (there, here) in ends where name.hasSuffix(".loras.\(adapter).\(there)") {
      return name.dropLast("loras.\(adapter).\(there)".count) + here
    }
    return name
  }
}

/// The names of a prefix's tensors in the two programs.
enum PrefixNames {
  private static func there(_ adapter: String) -> String { "bert.prefix_tuning.prefix_tunings.\(adapter)." }
  private static let here = "prefix_tuning."

  /// The tensors of a prefix, under their names here.
  static func tensors(_ adapter: AdapterHubAdapter) -> [ForeignTensor] {
    adapter.tensors.entries.map {
      ForeignTensor($0, in: adapter.tensors, as: name($0.name, of: adapter.name))
    }
  }

  /// The name here of a tensor there.
  static func name(_ name: String, of adapter: String) -> String {
    name.hasPrefix(there(adapter)) ? here + name.dropFirst(there(adapter).count) : name
  }
}

extension AdapterHubAdapter {
  /// The modules that a LoRA adapter updates, in the order of the file.
  var updatedModules: [String] {
    let end = ".loras.\(name).lora_A"
    return tensors.entries.compactMap { $0.name.hasSuffix(end) ? String($0.name.dropLast(end.count)) : nil }
  }
}
