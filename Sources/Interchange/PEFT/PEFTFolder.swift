internal import Failures
internal import FoundationEssentials
internal import JSON

/// A folder that PEFT's `save_pretrained` wrote: a LoRA adapter and, where there is one, the classifier.
package struct PEFTFolder: Sendable {
  /// The folder.
  package let path: String
  /// What its configuration says.
  package let configuration: PEFTConfiguration
  /// The updates `….lora_A.weight [r, in]`, `….lora_B.weight [out, r]`, `….lora_magnitude_vector [out]`,
  /// `….lora_embedding_A [r, rows]`, `….lora_embedding_B [hidden, r]`, whole weights of the base that were trained
  /// too (`….bias`, modules to save), and `classifier.*`; each named as its module is in the base.
  package let tensors: TensorArchive
  /// Whether the adapter was trained on a bare `BertModel`, whose modules lack the prefix `bert.`.
  package let isBare: Bool

  /// Opens a folder, and checks that configuration and tensors fit each other.
  ///
  /// What only the base can tell, such as its number of layers, ``check(against:)`` looks at.
  /// - Throws: `Failure(.noInput)` when a file is missing; `Failure(.badContent)` when one is damaged, asks for what is
  ///   not supported, lacks a tensor that PEFT would leave untrained without a word, or has one that PEFT would skip.
  package init(opening path: String) throws {
    let path = try Folder.existing(path, holding: "an adapter_config.json of PEFT")
    let source = "\(path)/adapter_config.json"
    let document = try JSONValue(contentsOf: source)
    if document["peft_type"] == nil, document["config"] != nil || document["name"] != nil {
      throw Failure(.badContent, "\(path.quoted) is an adapter of AdapterHub, not of PEFT")
    }
    configuration = try PEFTConfiguration(document, source: source.quoted)
    let file = try Folder.choose(["adapter_model.safetensors", "adapter_model.bin"], in: path)
    let published = try TensorArchive(opening: path + "/" + file)
    (tensors, isBare) = try PEFTFolder.canonical(published)
    self.path = path
    try check(tensors.entries, against: nil)
  }

  /// Checks the adapter against the base that it is to be used on: every tensor's shape, and that every module which
  /// the configuration selects has its update.
  /// - Throws: `Failure(.badContent)` naming the tensor, what was expected and what was found.
  package func check(against shape: EncoderShape) throws {
    try check(tensors.entries, against: shape)
  }

  /// The number of classes of the classifier; nil when there is none.
  package var labelCount: Int? { tensors.entry(named: "classifier.weight")?.shape.first }

  /// Whether biases were trained that are not there: from 0.7 to 0.19 at least, PEFT does not save those of `lora_only`
  /// (huggingface/peft#3306), and goes on with the base's.
  package var lacksBiases: Bool {
    configuration.biases == .loraOnly
      && !tensors.entries.contains { entry in
        PEFTNames.updatedModule(entry.name).map { tensors.entry(named: $0 + ".bias") != nil } ?? false
      }
  }

  /// The modules that have an update, with what it takes to apply it, in the order of the file.
  /// - Throws: `Failure(.badContent)` when a pattern of the configuration is not supported.
  package func updates() throws -> [(module: String, rank: Int, scaling: Double)] {
    let modules = try PEFTModules(configuration, source: path.quoted)
    var seen: Set<String> = []
    return tensors.entries.compactMap { entry in
      guard let module = PEFTNames.updatedModule(entry.name), seen.insert(module).inserted else { return nil }
      let name = publishedModule(module)
      return (module, modules.rank(of: name), modules.scaling(of: name))
    }
  }

  private static func canonical(_ archive: TensorArchive) throws -> (TensorArchive, isBare: Bool) {
    var isBare = false
    for entry in archive.entries {
      guard let name = PEFTNames.name(of: entry.name) else {
        throw Failure(
          .badContent,
          "\(archive.path.quoted) has the tensor \(entry.name.quoted), whose name lacks "
            + "\(PEFTNames.prefix.quoted); PEFT would skip it")
      }
      if ["encoder.", "embeddings.", "pooler."].contains(where: { name.hasPrefix($0) }) { isBare = true }
    }
    let copies = try repeated(archive)
    let renamed = try archive.renaming { published in
      guard !copies.contains(published), let name = PEFTNames.name(of: published) else { return nil }
      return isBare && !name.hasPrefix("classifier.") ? "bert." + name : name
    }
    return (renamed, isBare)
  }

  /// Tensors that say nothing of their own: with `bias` "all", PEFT writes the biases of modules to save once more, and
  /// those that the base had before, which it does not use.
  private static func repeated(_ archive: TensorArchive) throws -> Set<String> {
    var copies: Set<String> = []
    for name in archive.entries.map(\.name) {
      if name.contains(".original_module."), name.hasSuffix(".bias") { copies.insert(name) }
      let plain = name.replacing(".modules_to_save.", with: ".", maxReplacements: 1)
      guard plain != name, let other = archive.entry(named: plain), other.shape == archive.entry(named: name)?.shape,
        try archive.floats(name) == archive.floats(plain)
      else { continue }
      copies.insert(name)
    }
    return copies
  }

  private func publishedModule(_ name: String) -> String {
    isBare && name.hasPrefix("bert.") ? String(name.dropFirst(5)) : name
  }

  private func check(_ entries: [TensorEntry], against shape: EncoderShape?) throws {
    try PEFTCheck(
      configuration, entries: entries, shape: shape, source: path.quoted, publishedModule: publishedModule
    ).run()
  }
}

// MARK: Writing

extension PEFTFolder {
  /// Writes a folder that PEFT loads.
  /// - Parameters:
  ///   - configuration: What the adapter is.
  ///   - tensors: Updates, whole weights and head, named as in ``tensors``.
  ///   - path: A new or empty folder.
  ///   - source: Gives the numbers of one tensor at a time, asked for by its name here.
  /// - Throws: `Failure(.cannotWrite)` when writing fails or the folder holds something; `Failure(.badContent)` when
  ///   the tensors are not those that the configuration asks for.
  package static func write(
    _ configuration: PEFTConfiguration, tensors: [TensorEntry], to path: String, source: TensorSource
  ) throws {
    try PEFTCheck(configuration, entries: tensors, shape: nil, source: path.quoted) { $0 }.run()
    let updated = Set(tensors.compactMap { PEFTNames.updatedModule($0.name) })
    try Folder.create(path)
    try Folder.write(
      tensors.map { (PEFTNames.published($0.name, updated: updated), $0) }, as: .safetensors,
      to: path + "/adapter_model.safetensors", source: source)
    // Last, so that a folder with a configuration is complete.
    try Folder.write(configuration.json, to: path + "/adapter_config.json")
  }
}
