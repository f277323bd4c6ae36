internal import Failures

/// The names of tensors in PEFT's files, and the ones they have here.
///
/// Here a tensor is called as its module is in the base: `bert.encoder.layer.0.attention.self.query.lora_A.weight`,
/// `….lora_B.weight`, `….lora_magnitude_vector`, `bert.embeddings.word_embeddings.lora_embedding_A`, and the whole
/// tensors `….query.bias`, `classifier.weight`.
enum PEFTNames {
  /// What PEFT puts in front of every name.
  static let prefix = "base_model.model."

  /// The ends of the tensors of an update.
  static let updates = [
    ".lora_A.weight", ".lora_B.weight", ".lora_magnitude_vector", ".lora_embedding_A", ".lora_embedding_B",
  ]

  /// The name here of a tensor in a file, without the part `bert.` where the base was trained bare; nil when it does
  /// not start as PEFT's names do.
  static func name(of published: String) -> String? {
    guard published.hasPrefix(prefix) else { return nil }
    var name = String(published.dropFirst(prefix.count))
    // Old versions left the adapter's name ("default") and the wrapper's inside.
    let leftovers = [
      (".modules_to_save.default.", "."), (".modules_to_save.", "."), (".base_layer.", "."),
      (".lora_A.default.", ".lora_A."), (".lora_B.default.", ".lora_B."),
    ]
    for (old, new) in leftovers { name = name.replacing(old, with: new) }
    for kind in [".lora_magnitude_vector", ".lora_embedding_A", ".lora_embedding_B"] {
      for rest in [".default.weight", ".default", ".weight"] where name.hasSuffix(kind + rest) {
        name.removeLast(rest.count)
      }
    }
    return name
  }

  /// The name that PEFT gives a tensor.
  /// - Parameters:
  ///   - name: Its name here.
  ///   - updated: The modules that have an update; their own weights lie one level deeper.
  /// - Returns: The name in PEFT's files.
  static func published(_ name: String, updated: Set<String>) -> String {
    for kind in [".bias", ".weight"] where name.hasSuffix(kind) {
      let module = String(name.dropLast(kind.count))
      if updated.contains(module) { return prefix + module + ".base_layer" + kind }
    }
    return prefix + name
  }

  /// The module whose update a tensor belongs to; nil for a whole tensor.
  static func updatedModule(_ name: String) -> String? {
    for kind in updates where name.hasSuffix(kind) { return String(name.dropLast(kind.count)) }
    return nil
  }
}
