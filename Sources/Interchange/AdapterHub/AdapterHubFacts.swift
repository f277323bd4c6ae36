internal import Failures

/// The outer keys of an `adapter_config.json`, and what old ones mean.
struct AdapterHubFacts {
  let source: String
  /// The name in the file, which is in the names of the tensors.
  let name: String
  let version: String?
  let type: String?
  let model: AdapterHubModel
  private let document: JSONValue
  /// Set by ``resolve(_:_:_:)``.
  private(set) var configuration: AdapterHubConfiguration

  init(_ document: JSONValue, source: String) throws {
    var reader = try ConfigurationReader(document, source: source)
    name = try reader.required("name", reader.string("name"))
    guard Folder.isPlain(name) else {
      throw reader.failure("name", .string(name), "a name without '/', '.' and control characters")
    }
    version = try reader.string("version")
    type = try reader.string("type")
    let oldClass = try reader.string("model")
    model = AdapterHubModel(
      name: try reader.string("model_name"), hiddenSize: try reader.count("hidden_size", atLeast: 1),
      className: try reader.string("model_class") ?? oldClass, type: try reader.string("model_type"))
    if let type = model.type, type != "bert" {
      throw Failure(.badContent, "\(source): the adapter is for a model of type \(type.quoted), not bert")
    }
    self.source = source
    self.document = try reader.required("config", reader.value("config"))
    configuration = .ia3(AdapterHubIA3())
  }

  /// The name that the adapter gets here.
  /// - Throws: `Failure(.usage)` when the wish cannot be a part of tensors' names.
  func name(as wish: String?) throws -> String {
    guard let wish else { return name }
    guard Folder.isPlain(wish) else {
      throw Failure(.usage, "\(wish.quoted) cannot be an adapter's name: it is empty or has '/' or '.'")
    }
    return wish
  }

  /// Reads the configuration, with the library's corrections for old files.
  mutating func resolve(
    _ tensors: TensorArchive, _ options: AdapterHubAdapter.Options, _ notices: inout [String]
  ) throws {
    configuration = try AdapterHubConfiguration.read(
      document, isVersioned: version != nil, usesNestedNonLinearity: options.usesNestedNonLinearity,
      source: source, notices: &notices)
    switch configuration {
    case .bottleneck(var bottleneck) where type == "text_task" && bottleneck.invertible != nil:
      // Old task adapters name a block that they never had.
      guard !tensors.entries.contains(where: { $0.name.contains("invertible_") }) else { return }
      bottleneck.invertible = nil
      configuration = .bottleneck(bottleneck)
      notices.append("\(source): the task adapter names an invertible block but has none; it is left out")
    case .lora(var lora) where hasFaultyScaling && lora.alpha != Double(lora.rank):
      notices.append(
        "\(source): \(version ?? "") scaled LoRA by 1 whatever alpha said; alpha \(lora.alpha) is read as \(lora.rank)")
      lora.alpha = Double(lora.rank)
      configuration = .lora(lora)
    default: break
    }
  }

  /// Whether the file is of a version before 1.1.0 of `adapters`.
  private var hasFaultyScaling: Bool {
    guard let version, version.hasPrefix("adapters.") else { return false }
    let parts = version.dropFirst("adapters.".count).split(separator: ".").prefix(2)
    let numbers = parts.map { part in Int(part.prefix { $0.isASCII && $0.isNumber }) ?? 0 }
    guard let major = numbers.first else { return false }
    return major < 1 || (major == 1 && (numbers.count > 1 ? numbers[1] : 0) < 1)
  }
}

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
    let hasNorm = if case .bottleneck(let bottleneck) = configuration { bottleneck.hasNormBefore } else { false }
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
          .badContent, "\(path.quoted) lacks the tensor \(entry.name.quoted), which its configuration asks for")
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
