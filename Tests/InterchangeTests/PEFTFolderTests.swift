import Failures
import Interchange
import JSON
import TestSupport
import Testing

/// PEFT folders made in code: what is read, written and refused.
@Suite struct PEFTFolderTests {
  static var configuration: PEFTConfiguration {
    var configuration = PEFTConfiguration(rank: 2, alpha: 6)
    configuration.taskType = "SEQ_CLS"
    configuration.modulesToSave = ["classifier"]
    configuration.baseModel = "base"
    return configuration
  }

  static let head = [
    TensorEntry(name: "classifier.weight", shape: [2, 8]), TensorEntry(name: "classifier.bias", shape: [2]),
  ]

  /// The updates of modules whose names end in some words.
  static func updates(_ ends: [String], rank: Int = 2, dora: Bool = false) -> [TensorEntry] {
    smallShape.modules.filter { module in ends.contains { module.name.hasSuffix("." + $0) } }.flatMap {
      module in
      let (a, b) =
        module.isEmbedding ? (".lora_embedding_A", ".lora_embedding_B") : (".lora_A.weight", ".lora_B.weight")
      let update = [
        TensorEntry(name: module.name + a, shape: [rank, module.inputSize]),
        TensorEntry(name: module.name + b, shape: [module.outputSize, rank]),
      ]
      let magnitude = TensorEntry(name: module.name + ".lora_magnitude_vector", shape: [module.outputSize])
      return dora ? update + [magnitude] : update
    }
  }

  static let plain = updates(["query", "value"]) + head

  /// Writes a folder as a stranger would: any configuration beside any tensors.
  func folder(
    _ directory: TemporaryDirectory, _ document: JSONValue = configuration.json,
    _ tensors: [TensorEntry] = plain,
    prefix: String = "base_model.model."
  ) throws -> PEFTFolder {
    try directory.write(document, to: "f/adapter_config.json")
    let published = tensors.map {
      TensorEntry(name: prefix + $0.name, element: $0.element, shape: $0.shape)
    }
    try directory.write(tensors: published, to: "f/adapter_model.safetensors")
    return try PEFTFolder(opening: directory.path("f"))
  }

  func expectRefusal(
    _ words: String, document: JSONValue = configuration.json, tensors: [TensorEntry] = plain,
    prefix: String = "base_model.model.", sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    try withTemporaryDirectory { directory in
      expectFailure(.badContent, words, sourceLocation: sourceLocation) {
        try folder(directory, document, tensors, prefix: prefix)
      }
    }
  }

  @Test func whatIsWrittenIsRead() throws {
    var everything = PEFTFolderTests.configuration
    everything.targets = .named(["query", "dense", "word_embeddings"])
    everything.usesRankStabilization = true
    everything.dropout = 0.1
    everything.biases = .loraOnly
    everything.rankOverrides = [.init(pattern: "layer.1.attention.self.query", value: 3)]
    everything.alphaOverrides = [.init(pattern: "pooler.dense", value: 2.5)]
    everything.excluded = .named(["intermediate.dense"])
    let updates = PEFTFolderTests.updates(["query", "attention.output.dense", "output.dense", "pooler.dense"])
      .map { entry -> TensorEntry in
        guard entry.name.contains("layer.1.attention.self.query") else { return entry }
        return TensorEntry(name: entry.name, shape: entry.shape.map { $0 == 2 ? 3 : $0 })
      }
    let biases = smallShape.modules.filter { module in
      updates.contains { $0.name == module.name + ".lora_A.weight" }
    }
    .map { TensorEntry(name: $0.name + ".bias", shape: [$0.outputSize]) }
    let tensors =
      updates + PEFTFolderTests.updates(["word_embeddings"]) + biases + PEFTFolderTests.head
    try withTemporaryDirectory { directory in
      let path = directory.path("out")
      try PEFTFolder.write(everything, tensors: tensors, to: path, source: sampleSource)
      let read = try PEFTFolder(opening: path + "/")
      #expect(read.configuration == everything)
      #expect(Set(read.tensors.entries.map(\.name)) == Set(tensors.map(\.name)))
      #expect(read.labelCount == 2)
      try read.check(against: smallShape)
      for entry in tensors {
        #expect(try read.tensors.floats(entry.name) == sampleNumbers(entry))
      }
      let updates = try read.updates()
      let query = try #require(updates.first { $0.module == "bert.encoder.layer.1.attention.self.query" })
      #expect(query.rank == 3)
      expectClose(query.scaling, 6 / 3.0.squareRoot(), relative: 1e-15)
      let pooler = try #require(updates.first { $0.module == "bert.pooler.dense" })
      expectClose(pooler.scaling, 2.5 / 2.0.squareRoot(), relative: 1e-15)
      #expect(updates.count == 3 * 3 + 2)
      let published = try TensorArchive(opening: path + "/adapter_model.safetensors").entries.map(\.name)
      #expect(published.contains("base_model.model.bert.pooler.dense.base_layer.bias"))
      #expect(published.contains("base_model.model.bert.embeddings.word_embeddings.lora_embedding_A"))
      expectFailure(.cannotWrite, "is not empty") {
        try PEFTFolder.write(everything, tensors: tensors, to: path, source: sampleSource)
      }
    }
  }

  /// `save_pretrained(…, save_embedding_layers=True)`: no configuration asks for it.
  @Test(arguments: [["query", "value"], ["query", "word_embeddings"]])
  func theWholeWordEmbedding(_ targets: [String]) throws {
    var configuration = PEFTFolderTests.configuration
    configuration.targets = .named(targets)
    let name = "bert.embeddings.word_embeddings.weight"
    func tensors(rows: Int) -> [TensorEntry] {
      PEFTFolderTests.updates(targets) + PEFTFolderTests.head
        + [TensorEntry(name: name, shape: [rows, smallShape.hiddenSize])]
    }
    try withTemporaryDirectory { directory in
      let path = directory.path("out")
      try PEFTFolder.write(
        configuration, tensors: tensors(rows: smallShape.vocabularySize), to: path, source: sampleSource)
      let read = try PEFTFolder(opening: path)
      try read.check(against: smallShape)
      #expect(read.tensors.entry(named: name) != nil)
    }
    // The vocabulary has grown, and this base's has not.
    try withTemporaryDirectory { directory in
      let read = try folder(directory, configuration.json, tensors(rows: smallShape.vocabularySize + 1))
      expectFailure(.badContent, "'\(name)' has the shape [") { try read.check(against: smallShape) }
      expectFailure(.badContent, "resize the base's embeddings") { try read.check(against: smallShape) }
    }
  }

  /// PEFT from 0.7 to 0.19 says that it trained them, and does not save them.
  @Test func biasesThatWereNotSaved() throws {
    var configuration = PEFTFolderTests.configuration
    (configuration.targets, configuration.biases) = (.named(["query", "value"]), .loraOnly)
    let updates = PEFTFolderTests.updates(["query", "value"])
    let bias = TensorEntry(name: "bert.encoder.layer.0.attention.self.query.bias", shape: [smallShape.hiddenSize])
    try withTemporaryDirectory { directory in
      let path = directory.path("out")
      try PEFTFolder.write(configuration, tensors: updates + PEFTFolderTests.head, to: path, source: sampleSource)
      let read = try PEFTFolder(opening: path)
      try read.check(against: smallShape)
      #expect(read.lacksBiases)
    }
    // Some of them are a damaged file.
    try expectRefusal(
      "lacks the tensor", document: configuration.json, tensors: updates + [bias] + PEFTFolderTests.head)
  }

  @Test func configurationHasTheFourteenKeys() {
    let keys = membersByKey(PEFTFolderTests.configuration.json).keys.sorted()
    #expect(
      keys == [
        "base_model_name_or_path", "bias", "fan_in_fan_out", "inference_mode", "init_lora_weights",
        "lora_alpha",
        "lora_dropout", "modules_to_save", "peft_type", "r", "target_modules", "task_type", "use_dora",
        "use_rslora",
      ])
  }

  /// What PEFT passes over with a warning or less.
  @Test func missingAndExtraTensorsAreRefused() throws {
    let plain = PEFTFolderTests.plain
    try expectRefusal(
      "lacks the tensor", tensors: plain.filter { !$0.name.hasSuffix("0.attention.self.query.lora_B.weight") }
    )
    try expectRefusal(
      "lacks the tensor", tensors: plain.filter { !$0.name.contains("layer.1.attention.self.value") })
    try expectRefusal(
      "lacks the tensor 'classifier.weight'", tensors: PEFTFolderTests.updates(["query", "value"]))
    try expectRefusal(
      "lacks the tensor 'classifier.bias'", tensors: plain.filter { $0.name != "classifier.bias" })
    let extras = [
      "score.weight", "bert.encoder.layer.0.attention.self.key.lora_A.weight", "bert.pooler.dense.bias",
      "bert.encoder.layer.0.attention.self.query.lora_magnitude_vector", "classifier.original_module.weight",
    ]
    for name in extras {
      try expectRefusal("'\(name)'", tensors: plain + [TensorEntry(name: name, shape: [2])])
    }
    try expectRefusal("lacks 'base_model.model.'", prefix: "")
  }

  @Test func wrongShapesAreRefused() throws {
    let name = "bert.encoder.layer.0.attention.self.query.lora_A.weight"
    for shape in [[3, 8], [2], [2, 8, 1], [8, 2]] {
      let tensors = PEFTFolderTests.plain.map {
        $0.name == name ? TensorEntry(name: name, shape: shape) : $0
      }
      try expectRefusal("'\(name)' has the shape", tensors: tensors)
    }
    try withTemporaryDirectory { directory in
      let read = try folder(directory)
      try read.check(against: smallShape)
      var other = smallShape
      other.layerCount = 4
      expectFailure(.badContent, "bert.encoder.layer.3.attention.self.query.lora_A") {
        try read.check(against: other)
      }
      other = smallShape
      other.hiddenSize = 16
      expectFailure(.badContent, "has the shape [2, 8]") { try read.check(against: other) }
      other = smallShape
      other.layerCount = 2
      expectFailure(.badContent, "does not have") { try read.check(against: other) }
    }
  }

  @Test(arguments: [
    ("peft_type", JSONValue.string("IA3"), "only LORA"), ("peft_type", nil, "lacks the key 'peft_type'"),
    ("r", .integer(0), "r is"), ("r", .string("8"), "a whole number"),
    ("r", .decimal(1e300), "a whole number"),
    ("lora_bias", .boolean(true), "lora_bias"), ("use_qalora", .boolean(true), "QA-LoRA"),
    ("target_parameters", .array([.string("x")]), "target_parameters"),
    ("layer_replication", .array([.array([.integer(0), .integer(1)])]), "layer_replication"),
    ("init_lora_weights", .string("pissa"), "init_lora_weights"), ("bias", .string("some"), "bias"),
    ("task_type", .string("CAUSAL_LM"), "task_type"), ("new_key", .integer(3), "unknown key 'new_key'"),
    ("target_modules", .string("(("), "pattern"), ("target_modules", .string("(?=a)b"), "look-around"),
    ("target_modules", .array([.string("nothing")]), "no module"), ("use_dora", .boolean(true), "magnitude"),
    ("rank_pattern", .members(["query": .integer(4)]), "has the shape"),
    ("lora_dropout", .decimal(1.5), "probability"),
    ("layers_pattern", .array([.string("a.*")]), "plain names"),
    ("exclude_modules", .integer(1), "exclude_modules"),
  ])
  func configurationsAreRefused(key: String, value: JSONValue?, words: String) throws {
    try expectRefusal(words, document: replacing(key, value, in: PEFTFolderTests.configuration.json))
  }

  @Test(arguments: [
    ("new_key", JSONValue.null), ("new_key", .boolean(false)), ("fan_in_fan_out", .boolean(true)),
    ("init_lora_weights", .string("gaussian")), ("qalora_group_size", .integer(16)), ("r", .decimal(2)),
    ("target_modules", .string(#".*\.attention\.self\.(query|value)"#)),
    ("target_modules", .null), ("rank_pattern", .members([:])), ("layers_to_transform", .array([])),
    ("layers_to_transform", .array([.integer(0), .integer(1), .integer(2)])),
  ])
  func harmlessConfigurationsAreRead(key: String, value: JSONValue) throws {
    try withTemporaryDirectory { directory in
      let read = try folder(directory, replacing(key, value, in: PEFTFolderTests.configuration.json))
      try read.check(against: smallShape)
    }
  }

  @Test func selectedLayersAreRead() throws {
    let tensors = PEFTFolderTests.plain.filter {
      !$0.name.contains("layer.0.") && !$0.name.contains("layer.2.")
    }
    let document = replacing("layers_to_transform", .integer(1), in: PEFTFolderTests.configuration.json)
    try withTemporaryDirectory { directory in
      try folder(directory, document, tensors).check(against: smallShape)
    }
    try expectRefusal("'bert.encoder.layer.0.attention", document: document)
  }

  @Test func namesOfOldVersionsAreRead() throws {
    let tensors = PEFTFolderTests.plain.map { entry -> TensorEntry in
      let name = entry.name.replacing("lora_A.weight", with: "lora_A.default.weight")
        .replacing("classifier.", with: "classifier.modules_to_save.default.").replacing("bert.", with: "")
      return TensorEntry(name: name, shape: entry.shape)
    }
    try withTemporaryDirectory { directory in
      let read = try folder(directory, PEFTFolderTests.configuration.json, tensors)
      #expect(read.isBare)
      #expect(Set(read.tensors.entries.map(\.name)) == Set(PEFTFolderTests.plain.map(\.name)))
      try read.check(against: smallShape)
    }
  }

  @Test func missingFilesAreNamed() throws {
    try withTemporaryDirectory { directory in
      expectFailure(.noInput, "there is no directory") { try PEFTFolder(opening: directory.path("f")) }
      try directory.write(PEFTFolderTests.configuration.json, to: "f/adapter_config.json")
      expectFailure(.noInput, "adapter_model.safetensors") { try PEFTFolder(opening: directory.path("f")) }
      try directory.write("{\"a\": 1, \"a\": 2}", to: "f/adapter_config.json")
      expectFailure(.badContent, "twice") { try PEFTFolder(opening: directory.path("f")) }
      try directory.write(String(repeating: "[", count: 100_000), to: "f/adapter_config.json")
      expectFailure(.badContent, "nested deeper") { try PEFTFolder(opening: directory.path("f")) }
      try directory.write([UInt8](repeating: 0x20, count: 2 << 20), to: "f/adapter_config.json")
      expectFailure(.badContent, "1 MiB") { try PEFTFolder(opening: directory.path("f")) }
    }
  }

  @Test func truncatedFilesAreRefused() throws {
    try withTemporaryDirectory { directory in
      _ = try folder(directory)
      for name in ["adapter_config.json", "adapter_model.safetensors"] {
        let bytes = try InputFile.contents(of: directory.path("f/" + name))
        for count in stride(from: 0, to: bytes.count - 2, by: 1 + bytes.count / 300) {
          try directory.write(Array(bytes[..<count]), to: "f/" + name)
          do {
            _ = try PEFTFolder(opening: directory.path("f"))
            Issue.record("\(name) cut after \(count) bytes was read")
          } catch let failure as Failure { #expect(failure.kind == .badContent) }
        }
        try directory.write(bytes, to: "f/" + name)
      }
    }
  }
}
