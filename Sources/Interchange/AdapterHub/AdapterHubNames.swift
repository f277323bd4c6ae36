internal import Failures

/// The names of an adapter's tensors in files of all versions.
enum AdapterHubNames {
  private static let old = [
    ("attention_text_task_adapters", "adapters"), ("attention_text_lang_adapters", "adapters"),
    ("layer_text_task_adapters", "adapters"), ("layer_text_lang_adapters", "adapters"),
    ("invertible_lang_adapters", "invertible_adapters"),
  ]

  /// The current name, with `bert.` in front.
  static func name(of published: String) -> String {
    var name = published
    for (old, new) in old { name = name.replacing("." + old + ".", with: "." + new + ".") }
    if name.hasPrefix("invertible_lang_adapters.") {
      name = "invertible_adapters." + name.dropFirst("invertible_lang_adapters.".count)
    }
    let isBare = ["encoder.", "invertible_adapters.", "prefix_tuning."].contains { name.hasPrefix($0) }
    return isBare ? "bert." + name : name
  }

  /// The tensors under their names here, each once.
  /// - Throws: `Failure(.badContent)` when two copies of one tensor differ.
  static func canonical(
    _ archive: TensorArchive, configuration: AdapterHubConfiguration, from oldName: String, to newName: String
  ) throws -> TensorArchive {
    let current = try archive.renaming(name)
    let hasNorm =
      if case .bottleneck(let bottleneck) = configuration { bottleneck.hasNormBefore } else { false }
    var copies: Set<String> = []
    for entry in current.entries {
      guard let original = original(of: entry.name, named: oldName, hasNorm: hasNorm) else { continue }
      copies.insert(entry.name)
      guard let other = current.entry(named: original), other.shape == entry.shape,
        try current.floats(original) == current.floats(entry.name)
      else {
        throw Failure(
          .badContent,
          "\(archive.path.quoted): \(entry.name.quoted) must be a copy of \(original.quoted), but is not")
      }
    }
    return try current.renaming { name in
      if copies.contains(name) { return nil }
      guard oldName != newName else { return name }
      var name = name
      for group in [".adapters.", ".loras.", ".prefix_tunings.", ".invertible_adapters."] {
        name = name.replacing(group + oldName + ".", with: group + newName + ".", maxReplacements: 1)
      }
      return name
    }
  }

  /// The tensor that another one repeats; nil for one that stands for itself.
  private static func original(of name: String, named adapter: String, hasNorm: Bool) -> String? {
    if hasNorm {
      for kind in ["weight", "bias"] where name.hasSuffix(".adapters.\(adapter).adapter_down.0.\(kind)") {
        return String(name.dropLast("adapter_down.0.\(kind)".count)) + "adapter_norm_before.\(kind)"
      }
    }
    let pool = ".attention.self.prefix_tuning.pool.prefix_tunings."
    guard EncoderShape.layer(of: name) != nil, let range = name.firstRange(of: pool) else { return nil }
    return "bert.prefix_tuning.prefix_tunings." + name[range.upperBound...]
  }

  /// Checks that an archive has exactly some tensors.
  /// - Throws: `Failure(.badContent)` naming the first that is missing, of another shape, or one too many.
  static func check(_ archive: TensorArchive, _ expected: [TensorEntry], path: String) throws {
    for entry in expected {
      guard archive.entry(named: entry.name) != nil else {
        throw Failure(
          .badContent,
          "\(path.quoted) lacks the tensor \(entry.name.quoted), which its configuration asks for")
      }
      try archive.weight(named: entry.name, shape: entry.shape)
    }
    let names = Set(expected.map(\.name))
    if let extra = archive.entries.first(where: { !names.contains($0.name) }) {
      throw Failure(
        .badContent,
        "\(path.quoted) has the tensor \(extra.name.quoted), which its configuration does not ask for "
          + "or this model does not have")
    }
  }
}
