internal import Failures
internal import JSON

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
      forgetsScaling: AdapterHubFacts.forgetsScaling(version),
      source: source, notices: &notices)
    switch configuration {
    case .bottleneck(var bottleneck) where type == "text_task" && bottleneck.invertible != nil:
      // Old task adapters name a block that they never had.
      guard !tensors.entries.contains(where: { $0.name.contains("invertible_") }) else { return }
      bottleneck.invertible = nil
      configuration = .bottleneck(bottleneck)
      notices.append("\(source): the task adapter names an invertible block but has none; it is left out")
    case .lora(var lora) where AdapterHubFacts.forgetsScaling(version) && lora.alpha != Double(lora.rank):
      notices.append(
        "\(source): \(version ?? "") scaled LoRA by 1 whatever alpha said; alpha \(lora.alpha) is read as \(lora.rank)"
      )
      lora.alpha = Double(lora.rank)
      configuration = .lora(lora)
    default: break
    }
  }

  /// Whether the file is of a version before 1.1.0 of `adapters`.
  private static func forgetsScaling(_ version: String?) -> Bool {
    guard let version, version.hasPrefix("adapters.") else { return false }
    let parts = version.dropFirst("adapters.".count).split(separator: ".").prefix(2)
    let numbers = parts.map { part in Int(part.prefix { $0.isASCII && $0.isNumber }) ?? 0 }
    guard let major = numbers.first else { return false }
    return major < 1 || (major == 1 && (numbers.count > 1 ? numbers[1] : 0) < 1)
  }
}
