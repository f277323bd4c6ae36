import Failures
import Interchange
import JSON
import TestSupport
import Testing

/// Heads, fusions and setups of AdapterHub.
@Suite struct AdapterHubCompositionTests {
  static let pfeiffer = AdapterHubConfiguration.bottleneck(AdapterHubFolderTests.pfeiffer)
  static let setup = AdapterHubComposition.stack([.single("ko"), .fuse([.single("a"), .single("b")])])

  func write(_ setup: AdapterHubComposition = setup, directory: TemporaryDirectory) throws {
    try AdapterHubSetup.write(setup, to: directory.path("s")) { name, path in
      try AdapterHubAdapter.write(
        AdapterHubCompositionTests.pfeiffer, named: name, model: AdapterHubFolderTests.model,
        shape: smallShape,
        to: path, source: sampleSource)
    } fusion: { names, path in
      try AdapterHubFusion.write(
        AdapterHubFusionConfiguration(adapters: names),
        sites: AdapterHubCompositionTests.pfeiffer.sites(layerCount: 3), model: AdapterHubFolderTests.model,
        hiddenSize: 8, to: path, source: sampleSource)
    }
  }

  @Test func setupsAreReadAsWritten() throws {
    try withTemporaryDirectory { directory in
      try write(directory: directory)
      guard case .setup(let read) = try AdapterHubFolder(opening: directory.path("s")) else {
        Issue.record("not a setup")
        return
      }
      #expect(read.setup == AdapterHubCompositionTests.setup)
      #expect(read.setup.description == "Stack(ko, Fuse(a, b))")
      #expect(read.adapters.map(\.name) == ["ko", "a", "b"])
      let fusion = try #require(read.fusions.first)
      #expect(read.fusions.count == 1 && fusion.configuration.name == "a,b")
      #expect(fusion.configuration == AdapterHubFusionConfiguration(adapters: ["a", "b"]))
      #expect(fusion.sites.map(\.layer) == [0, 1, 2])
      for entry in fusion.tensors.entries {
        #expect(try fusion.tensors.floats(entry.name) == sampleNumbers(entry))
      }
      try fusion.check(against: smallShape, adapters: read.adapters.map(\.configuration))
      #expect(try AdapterFolderKind(at: directory.path("s")) == .adapterHub)
      var houlsby = AdapterHubFolderTests.pfeiffer
      houlsby.hasAttentionAdapter = true
      expectFailure(.badContent, "no fusion at 'bert.encoder.layer.0.attention.output'") {
        try fusion.check(against: smallShape, adapters: [.bottleneck(houlsby), .bottleneck(houlsby)])
      }
      var dropped = AdapterHubFolderTests.pfeiffer
      dropped.leaveOut = [1]
      expectFailure(.badContent, "bert.encoder.layer.1.output") {
        try fusion.check(
          against: smallShape, adapters: [.bottleneck(dropped), AdapterHubCompositionTests.pfeiffer])
      }
      try directory.remove("s/b")
      expectFailure(.noInput, "s/b'") { try AdapterHubFolder(opening: directory.path("s")) }
    }
  }

  @Test(arguments: [
    (#"{"type":"Parallel","children":[{"type":"single","children":["a"]}]}"#, "'Parallel'"),
    (#"{"type":"single","children":["../../etc"]}"#, "one name"),
    (#"{"type":"single","children":[3]}"#, "one name"),
    (#"{"type":"single","children":["/etc"]}"#, "one name"), (#"{"type":"Stack","children":[]}"#, "1 to 64"),
    (#"{"type":"Stack","children":["a"]}"#, "a JSON object"), (#"{"children":[]}"#, "lacks the key 'type'"),
    (
      #"{"type":"Fuse","children":[{"type":"Fuse","children":[{"type":"single","children":["a"]}]}]}"#,
      "not allowed"
    ),
    (
      #"{"type":"Stack","children":[{"type":"Stack","children":[{"type":"single","children":["a"]}]}]}"#,
      "not allowed"
    ),
    (
      #"{"type":"Average","children":[{"type":"single","children":["a"]}],"kwargs":{"weights":[1]}}"#,
      "options"
    ),
  ])
  func compositionsAreRefused(text: String, words: String) throws {
    try withTemporaryDirectory { directory in
      try directory.write("{\"adapter_setup\": \(text), \"head_setup\": null}", to: "s/adapter_setup.json")
      expectFailure(.badContent, words) { try AdapterHubFolder(opening: directory.path("s")) }
    }
  }

  @Test(arguments: [
    ("name", JSONValue.string("b,a"), "with commas between"),
    ("adapter_names", .array([]), "with commas between"),
    ("adapter_names", .array([.string("a"), .string("a")]), "with commas between"),
    ("config", nil, "'config'"),
    ("config", .string("fancy"), "a JSON object"),
    ("config", .members(["value": .boolean(false)]), "value.weight"),
    ("config", .members(["novelty": .integer(1)]), "'novelty'"),
    ("hidden_size", .integer(9), "has the shape"),
    (
      "config", .members(["query": .boolean(false), "key": .boolean(false), "value": .boolean(false)]),
      "without query"
    ),
  ])
  func fusionConfigurationsAreRefused(key: String, value: JSONValue?, words: String) throws {
    try withTemporaryDirectory { directory in
      try write(directory: directory)
      let path = directory.path("s/a,b/adapter_fusion_config.json")
      let document = try JSONValue(contentsOf: path)
      try directory.write(replacing(key, value, in: document), to: "s/a,b/adapter_fusion_config.json")
      expectFailure(.badContent, words) { try AdapterHubFusion(opening: directory.path("s/a,b")) }
    }
  }

  @Test func fusionsOfOldFilesAreRead() throws {
    try withTemporaryDirectory { directory in
      try write(directory: directory)
      let name = "s/a,b/adapter_fusion_config.json"
      var document = try JSONValue(contentsOf: directory.path(name))
      document = replacing("adapter_names", nil, in: replacing("config", .string("dynamic"), in: document))
      try directory.write(document, to: name)
      let fusion = try AdapterHubFusion(opening: directory.path("s/a,b"))
      #expect(fusion.configuration == AdapterHubFusionConfiguration(adapters: ["a", "b"]))
    }
  }

  @Test func fusionTensorsAreChecked() throws {
    let sites = AdapterHubCompositionTests.pfeiffer.sites(layerCount: 3)
    let configuration = AdapterHubFusionConfiguration(adapters: ["a", "b"])
    let all = sites.flatMap { configuration.tensors(at: $0, hiddenSize: 8) }
    try withTemporaryDirectory { directory in
      try write(directory: directory)
      let name = "s/a,b/model_adapter_fusion.safetensors"
      for missing in all {
        try directory.write(tensors: all.filter { $0 != missing }, to: name)
        expectFailure(.badContent, "'\(missing.name)'") {
          try AdapterHubFusion(opening: directory.path("s/a,b"))
        }
      }
      try directory.write(tensors: [], to: name)
      expectFailure(.badContent, "no tensors of the fusion") {
        try AdapterHubFusion(opening: directory.path("s/a,b"))
      }
      try directory.write(tensors: all + [TensorEntry(name: "x", shape: [1])], to: name)
      expectFailure(.badContent, "'x'") { try AdapterHubFusion(opening: directory.path("s/a,b")) }
    }
  }

  @Test(arguments: [
    AdapterHubHeadConfiguration.classifier(labels: ["부정", "긍정", "x"]),
    AdapterHubHeadConfiguration(
      kind: .flexible(AdapterHubFlexibleHead()), name: "task", modelClass: "BertAdapterModel",
      labels: ["n", "p"]),
    AdapterHubHeadConfiguration(
      kind: .flexible(
        AdapterHubFlexibleHead(layerCount: 1, activation: "relu", usesPooler: true, dropout: 0.2)),
      name: "task", modelClass: "BertAdapterModel", labels: ["n", "p"]),
  ])
  func headsAreReadAsWritten(configuration: AdapterHubHeadConfiguration) throws {
    try withTemporaryDirectory { directory in
      try writeHead(configuration, directory)
      let head = try #require(try AdapterHubAdapter(opening: directory.path("a")).head)
      #expect(head.configuration == configuration)
      let expected = configuration.tensors(hiddenSize: 8)
      #expect(Set(head.tensors.entries.map(\.name)) == Set(expected.map(\.name)))
      for entry in expected { #expect(try head.tensors.floats(entry.name) == sampleNumbers(entry)) }
      for missing in expected {
        try directory.write(tensors: expected.filter { $0 != missing }, to: "a/model_head.safetensors")
        expectFailure(.badContent, missing.name) { try AdapterHubAdapter(opening: directory.path("a")) }
      }
      try directory.write(
        tensors: [TensorEntry(name: "x", shape: [1])] + expected, to: "a/model_head.safetensors")
      expectFailure(.badContent, "'x'") { try AdapterHubAdapter(opening: directory.path("a")) }
      // No numbers, but a size that would overflow any product.
      let giant = expected.map { TensorEntry(name: $0.name, shape: [0, 1 << 59]) }
      try directory.write(tensors: giant, to: "a/model_head.safetensors")
      expectFailure(.badContent, "the head's first") { try AdapterHubAdapter(opening: directory.path("a")) }
      try directory.remove("a/head_config.json")
      expectFailure(.noInput, "no head_config.json") { try AdapterHubAdapter(opening: directory.path("a")) }
      try directory.remove("a/model_head.safetensors")
      try directory.remove("a/pytorch_model_head.bin")
      #expect(try AdapterHubAdapter(opening: directory.path("a")).head == nil)
    }
  }

  func writeHead(_ configuration: AdapterHubHeadConfiguration, _ directory: TemporaryDirectory) throws {
    try AdapterHubAdapter.write(
      AdapterHubCompositionTests.pfeiffer, named: "a", model: AdapterHubFolderTests.model, shape: smallShape,
      head: AdapterHubHeadDraft(configuration, source: sampleSource), to: directory.path("a"),
      source: sampleSource)
  }

  @Test func headConfigurationsAreRefused() throws {
    let cases: [(String, JSONValue?, String)] = [
      ("label2id", .members(["a": .integer(0), "b": .integer(0)]), "each once"),
      ("label2id", .members(["a": .integer(0), "b": .integer(2)]), "each once"),
      ("num_labels", .integer(3), "3 labels"),
      ("label2id", .members(["a": .string("0")]), "label2id"), ("model_class", nil, "'model_class'"),
    ]
    for (key, value, words) in cases {
      try withTemporaryDirectory { directory in
        try writeHead(.classifier(labels: ["n", "p"]), directory)
        let document = try JSONValue(contentsOf: directory.path("a/head_config.json"))
        try directory.write(replacing(key, value, in: document), to: "a/head_config.json")
        expectFailure(.badContent, words) { try AdapterHubAdapter(opening: directory.path("a")) }
      }
    }
    try withTemporaryDirectory { directory in
      expectFailure(.badContent, "two classes") { try writeHead(.classifier(labels: ["n", "n"]), directory) }
    }
  }

  @Test func headsOfOtherModelsAreLeftAlone() throws {
    try withTemporaryDirectory { directory in
      try writeHead(.classifier(labels: ["n", "p"]), directory)
      let document = try JSONValue(contentsOf: directory.path("a/head_config.json"))
      try directory.write(
        replacing("model_class", .string("BertForMaskedLM"), in: document), to: "a/head_config.json")
      try directory.write(
        tensors: [TensorEntry(name: "cls.predictions.bias", shape: [9])], to: "a/model_head.safetensors")
      let head = try #require(try AdapterHubAdapter(opening: directory.path("a")).head)
      #expect(head.configuration.kind == .other("BertForMaskedLM"))
    }
  }

  @Test func mergedModelsAreReadBack() throws {
    let tensors =
      smallShape.parameters
      + [
        TensorEntry(name: "classifier.weight", shape: [2, 8]),
        TensorEntry(name: "classifier.bias", shape: [2]),
      ]
    let base = Array(
      #"{"_name_or_path": "x", "hidden_size": 8, "layer_norm_eps": 1e-12, "torch_dtype": "float16", "num_labels": 5}"#
        .utf8)
    try withTemporaryDirectory { directory in
      let path = directory.path("m")
      try CheckpointDirectory.write(
        configuration: base, as: .classifier(labels: ["부정", "긍정"]), tensors: tensors,
        sideFiles: [.vocabulary: Array("[PAD]\n".utf8), .tokenizerConfiguration: Array("{}".utf8)], to: path,
        source: sampleSource)
      let read = try CheckpointDirectory(opening: path)
      #expect(Set(read.weights.entries.map(\.name)) == Set(tensors.map(\.name)))
      for entry in tensors { #expect(try read.weights.floats(entry.name) == sampleNumbers(entry)) }
      #expect(try read.contents(of: .vocabulary) == Array("[PAD]\n".utf8))
      let members = membersByKey(try JSONValue(read.configuration, source: "test"))
      #expect(members["id2label"] == .members(["0": .string("부정"), "1": .string("긍정")]))
      #expect(members["label2id"] == .members(["부정": .integer(0), "긍정": .integer(1)]))
      #expect(members["architectures"] == .array([.string("BertForSequenceClassification")]))
      #expect(members["dtype"] == .string("float32") && members["layer_norm_eps"] == .decimal(1e-12))
      #expect(
        members["torch_dtype"] == nil && members["num_labels"] == nil && members["hidden_size"] == .integer(8)
      )
      expectFailure(.badContent, "3 rows") {
        try CheckpointDirectory.write(
          configuration: base, as: .classifier(labels: ["a", "b", "c"]), tensors: tensors, sideFiles: [.vocabulary: []],
          to: directory.path("n"), source: sampleSource)
      }
    }
  }
}
