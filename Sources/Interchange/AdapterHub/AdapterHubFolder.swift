internal import Failures
internal import JSON

/// A composition of adapters with the folders of its parts.
package struct AdapterHubSetup: Sendable {
  /// The folder.
  package let path: String
  /// How the adapters are composed.
  package let setup: AdapterHubComposition
  /// The adapters in the order of ``AdapterHubComposition/adapters``.
  package let adapters: [AdapterHubAdapter]
  /// The fusions in the order of ``AdapterHubComposition/fusions``.
  package let fusions: [AdapterHubFusion]
  /// The head that `head_setup` names; nil when it names none, and the adapters' own heads are meant.
  package let head: AdapterHubHead?

  /// Opens a folder with `adapter_setup.json` and one folder per adapter and fusion.
  /// - Throws: `Failure(.noInput)` when a part is missing; `Failure(.badContent)` when one is damaged, or the
  ///   composition is not supported.
  package init(
    opening path: String, options: AdapterHubAdapter.Options = AdapterHubAdapter.Options()
  ) throws {
    let path = try Folder.existing(path, holding: "an adapter_setup.json of AdapterHub")
    let source = "\(path)/adapter_setup.json"
    var reader = try ConfigurationReader(JSONValue(contentsOf: source), source: source.quoted)
    let value = try reader.required("adapter_setup", reader.value("adapter_setup"))
    let setup = try AdapterHubComposition(value, source: source.quoted)
    try setup.checkNesting(source: source.quoted)
    var options = options
    options.name = nil
    // Names are plain, so they cannot lead out of the folder.
    adapters = try setup.adapters.map { name in
      let adapter = try AdapterHubAdapter(opening: "\(path)/\(name)", options: options)
      guard adapter.name == name else {
        throw Failure(.badContent, "\(adapter.path.quoted) holds the adapter \(adapter.name.quoted)")
      }
      return adapter
    }
    fusions = try setup.fusions.map { names in
      let fusion = try AdapterHubFusion(opening: "\(path)/\(names.joined(separator: ","))")
      guard fusion.configuration.adapters == names else {
        throw Failure(.badContent, "\(fusion.path.quoted) fuses \(fusion.configuration.name.quoted)")
      }
      return fusion
    }
    head = try AdapterHubSetup.head(reader.value("head_setup"), in: path, &reader)
    self.path = path
    self.setup = setup
  }

  /// The head beside the setup (`true`), or in a folder of its name.
  private static func head(
    _ value: JSONValue?, in path: String, _ reader: inout ConfigurationReader
  ) throws -> AdapterHubHead? {
    let folder: String
    switch value {
    case nil, .boolean(false): return nil
    case .boolean(true): folder = path
    case .string(let name) where Folder.isPlain(name): folder = "\(path)/\(name)"
    case .some(let other): throw reader.failure("head_setup", other, "true or the name of one head")
    }
    guard let head = try AdapterHubHead(in: folder) else {
      throw Failure(.noInput, "\(folder.quoted) has no head_config.json, though adapter_setup.json names that head")
    }
    return head
  }
}

/// A folder of AdapterHub's library, of whatever kind.
package enum AdapterHubFolder: Sendable {
  case adapter(AdapterHubAdapter)
  case fusion(AdapterHubFusion)
  case setup(AdapterHubSetup)

  /// Opens a folder; the configuration file that it has says what it is.
  /// - Throws: `Failure(.noInput)` when it has none; otherwise as the three kinds do.
  package init(
    opening path: String, options: AdapterHubAdapter.Options = AdapterHubAdapter.Options()
  ) throws {
    let path = try Folder.existing(path, holding: "an adapter of AdapterHub")
    if InputFile.exists(path + "/adapter_setup.json") {
      self = .setup(try AdapterHubSetup(opening: path, options: options))
    } else if InputFile.exists(path + "/adapter_fusion_config.json") {
      self = .fusion(try AdapterHubFusion(opening: path))
    } else if InputFile.exists(path + "/adapter_config.json") {
      self = .adapter(try AdapterHubAdapter(opening: path, options: options))
    } else {
      throw Failure(
        .noInput,
        "\(path.quoted) has neither adapter_config.json nor adapter_fusion_config.json nor adapter_setup.json; "
          + "pass the folder of an adapter, a fusion or a setup")
    }
  }
}

/// The kinds of adapter folders that other libraries write.
package enum AdapterFolderKind: Sendable {
  case peft
  case adapterHub

  /// Which library wrote a folder, by its configuration files.
  /// - Throws: `Failure(.noInput)` when it has none; `Failure(.badContent)` when it is damaged.
  package init(at path: String) throws {
    let path = try Folder.existing(path, holding: "an adapter of PEFT or AdapterHub")
    let config = path + "/adapter_config.json"
    guard InputFile.exists(config), !InputFile.exists(path + "/adapter_setup.json") else {
      for name in ["adapter_setup.json", "adapter_fusion_config.json"]
      where InputFile.exists(path + "/" + name) {
        self = .adapterHub
        return
      }
      throw Failure(.noInput, "\(path.quoted) has no adapter_config.json; pass the folder of an adapter")
    }
    self = try JSONValue(contentsOf: config)["peft_type"] == nil ? .adapterHub : .peft
  }
}
