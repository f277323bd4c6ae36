import Failures
import Interchange
import JSON
import TestSupport
import Testing

/// AdapterHub folders made in code: what is read, written and refused.
@Suite struct AdapterHubFolderTests {
  static var pfeiffer: AdapterHubBottleneck {
    var configuration = AdapterHubBottleneck(
      hasAttentionAdapter: false, hasOutputAdapter: true, reduction: AdapterHubReduction(2),
      nonLinearity: "relu")
    configuration.appliesNormBefore = true
    return configuration
  }

  /// Every kind, each with options away from the defaults.
  static var configurations: [AdapterHubConfiguration] {
    var norms = pfeiffer
    norms.hasAttentionAdapter = true
    (norms.hasNormBefore, norms.hasNormAfter, norms.addsResidualBeforeNorm) = (true, true, true)
    (norms.residual, norms.scaling, norms.leaveOut) = (.afterAddition, .channel, [1])
    norms.reduction = AdapterHubReduction(4, layers: [2: 0.5])
    var language = pfeiffer
    language.nonLinearity = "gelu"
    language.invertible = AdapterHubInvertible(reductionFactor: 2, nonLinearity: "gelu")
    var parallel = pfeiffer
    (parallel.isParallel, parallel.scaling, parallel.initialization) = (true, .learned, "mam_adapter")
    (parallel.residual, parallel.dropout) = (.afterNorm, 0.25)
    let sites = AdapterHubSites(attention: [.query, .key], intermediate: true, output: true, leaveOut: [0])
    return [
      .bottleneck(pfeiffer), .bottleneck(norms), .bottleneck(language), .bottleneck(parallel),
      .lora(AdapterHubLoRA(rank: 3, alpha: 7.5, dropout: 0.1, usesDoRA: true, sites: sites)),
      .ia3(AdapterHubIA3()), .prefixTuning(AdapterHubPrefix(length: 4, bottleneckSize: 5, leaveOut: [2])),
      .prefixTuning(AdapterHubPrefix(length: 4, isFlat: true)),
    ]
  }

  static let model = AdapterHubModel(name: "base", hiddenSize: 8)

  func write(_ configuration: AdapterHubConfiguration, _ directory: TemporaryDirectory, _ name: String = "a")
    throws
  {
    let head = AdapterHubHeadDraft(.classifier(labels: ["bad", "good"]), source: sampleSource)
    try AdapterHubAdapter.write(
      configuration, named: name, model: AdapterHubFolderTests.model, shape: smallShape, head: head,
      to: directory.path(name), source: sampleSource)
  }

  /// The outer document of an adapter with some inner one.
  func document(_ config: JSONValue, name: String = "a", version: String? = "adapters.1.3.0") -> JSONValue {
    let outer = JSONValue.members([
      "config": config, "name": .string(name), "model_type": .string("bert"), "hidden_size": .integer(8),
    ])
    return version.map { replacing("version", .string($0), in: outer) } ?? outer
  }

  @Test(arguments: configurations) func whatIsWrittenIsRead(configuration: AdapterHubConfiguration) throws {
    try withTemporaryDirectory { directory in
      try write(configuration, directory)
      let expected = try configuration.tensors(named: "a", shape: smallShape)
      // The folder has both forms; take one away to read the other.
      for form in ["both", "pytorch_adapter.bin"] {
        if form != "both" { try directory.remove("a/adapter.safetensors") }
        guard case .adapter(let read) = try AdapterHubFolder(opening: directory.path("a")) else {
          Issue.record("not an adapter")
          return
        }
        #expect(read.configuration == configuration)
        #expect(read.name == "a" && read.version == "adapters.1.3.0" && read.notices.isEmpty)
        #expect(read.model == AdapterHubFolderTests.model)
        #expect(read.head?.configuration == .classifier(labels: ["bad", "good"]))
        #expect(read.head?.tensors.entries.count == 2)
        try read.check(against: smallShape)
        #expect(Set(read.tensors.entries.map(\.name)) == Set(expected.map(\.name)))
        for entry in expected { #expect(try read.tensors.floats(entry.name) == sampleNumbers(entry)) }
      }
    }
  }

  @Test func anotherNameIsGivenOnReading() throws {
    for configuration in AdapterHubFolderTests.configurations {
      try withTemporaryDirectory { directory in
        try write(configuration, directory)
        let read = try AdapterHubAdapter(
          opening: directory.path("a"), options: .init(name: "task"))
        let expected = try configuration.tensors(named: "task", shape: smallShape)
        #expect(Set(read.tensors.entries.map(\.name)) == Set(expected.map(\.name)))
        expectFailure(.usage, "'x/y'") {
          try AdapterHubAdapter(opening: directory.path("a"), options: .init(name: "x/y"))
        }
      }
    }
  }

  @Test(arguments: configurations) func eachMissingTensorIsNamed(configuration: AdapterHubConfiguration)
    throws
  {
    let all = try configuration.tensors(named: "a", shape: smallShape)
    try withTemporaryDirectory { directory in
      try directory.write(document(configuration.json), to: "a/adapter_config.json")
      try directory.write(tensors: all, to: "a/adapter.safetensors")
      let complete = try AdapterHubAdapter(opening: directory.path("a"))
      try complete.check(against: smallShape)
      for missing in all {
        try directory.write(tensors: all.filter { $0 != missing }, to: "a/adapter.safetensors")
        expectFailure(.badContent, "bert.") {
          try AdapterHubAdapter(opening: directory.path("a")).check(against: smallShape)
        }
        let longer = TensorEntry(
          name: missing.name, shape: missing.shape.dropLast() + [(missing.shape.last ?? 0) + 1])
        try directory.write(
          tensors: all.map { $0 == missing ? longer : $0 }, to: "a/adapter.safetensors")
        expectFailure(.badContent, "a") {
          try AdapterHubAdapter(opening: directory.path("a")).check(against: smallShape)
        }
      }
      let extra = TensorEntry(name: "bert.encoder.layer.0.output.adapters.b.adapter_up.bias", shape: [8])
      try directory.write(tensors: all + [extra], to: "a/adapter.safetensors")
      expectFailure(.badContent, "'\(extra.name)'") { try AdapterHubAdapter(opening: directory.path("a")) }
    }
  }

  @Test func copiesThatDifferAreRefused() throws {
    for index in [1, 6] {
      try withTemporaryDirectory { directory in
        try write(AdapterHubFolderTests.configurations[index], directory)
        let path = directory.path("a/adapter.safetensors")
        let archive = try TensorArchive(opening: path)
        let copy = try #require(
          archive.entries.first { $0.name.contains("adapter_down.0.bias") || $0.name.contains("pool.") })
        let numbers = try Dictionary(
          uniqueKeysWithValues: archive.entries.map { ($0.name, try archive.floats($0.name)) })
        try SafeTensors.write(archive.entries, to: path) { entry, buffer in
          _ = buffer.update(from: numbers[entry.name] ?? [])
          if entry == copy { buffer[0] += 1 }
        }
        expectFailure(.badContent, "must be a copy") { try AdapterHubAdapter(opening: directory.path("a")) }
      }
    }
  }

  @Test(arguments: [
    ("phm_layer", JSONValue.boolean(true), "Compacter"), ("use_gating", .boolean(true), "gating"),
    ("inv_adapter", .string("glow"), "'glow'"), ("stochastic_depth", .decimal(0.1), "stochastic_depth"),
    ("architecture", .string("reft"), "'reft'"), ("architecture", .string("union"), "union"),
    ("mh_adapter", nil, "lacks the key 'mh_adapter'"),
    ("non_linearity", nil, "lacks the key 'non_linearity'"),
    ("reduction_factor", .integer(0), "reduction_factor"),
    ("reduction_factor", .decimal(-2), "reduction_factor"),
    ("reduction_factor", .members(["x": .integer(2)]), "layer numbers"),
    ("reduction_factor", .members(["1": .integer(2)]), "no usable reduction_factor for layer 0"),
    ("reduction_factor", .decimal(1e-300), "no usable reduction_factor"),
    ("residual_before_ln", .string("never"), "post_add"), ("scaling", .string("big"), "scaling"),
    ("leave_out", .array([.integer(-1)]), "leave_out"), ("leave_out", .array([.integer(.max)]), "leave_out"),
    ("novelty", .integer(1), "unknown key 'novelty'"), ("output_adapter", .boolean(false), "both false"),
    ("invertible_adapter", .members(["block_type": .string("nice")]), "reduction_factor"),
  ])
  func bottleneckConfigurationsAreRefused(key: String, value: JSONValue?, words: String) throws {
    let configuration = AdapterHubConfiguration.bottleneck(AdapterHubFolderTests.pfeiffer)
    try expectRefusal(words, document(replacing(key, value, in: configuration.json)))
  }

  @Test(arguments: [
    ("r", JSONValue.integer(0), "r is"), ("r", .integer(.max), "r is"), ("vera_d", .decimal(0.1), "VeRA"),
    ("attn_matrices", .array([.string("o")]), "q, k or v"),
    ("composition_mode", .string("mul"), "add or scale"),
    ("composition_mode", .string("scale"), "1 with composition_mode scale"),
    ("r", .integer(4), "has the shape"),
    ("use_gating", .boolean(true), "gating"), ("selfattn_lora", .boolean(false), "switched off"),
    ("use_dora", .boolean(true), "m.weight"),
  ])
  func loraConfigurationsAreRefused(key: String, value: JSONValue, words: String) throws {
    let configuration = AdapterHubConfiguration.lora(
      AdapterHubLoRA(rank: 2, alpha: 2, sites: AdapterHubSites(attention: [.query])))
    try expectRefusal(words, document(replacing(key, value, in: configuration.json)), configuration)
  }

  @Test("widths are those of Python's //, whose remainder is exact")
  func widths() {
    #expect([12.8, 0.8, 16].map { AdapterHubReduction($0).width(ofLayer: 0, hiddenSize: 768) } == [59, 959, 48])
  }

  @Test("(IA)³ that the library scales is refused; its first versions forgot to scale")
  func scaledIA3() throws {
    let configuration = AdapterHubConfiguration.ia3(AdapterHubIA3())
    let scaled = document(replacing("alpha", .integer(8), in: configuration.json))
    try expectRefusal("1 with composition_mode scale", scaled, configuration)
    try withTemporaryDirectory { directory in
      try directory.write(
        replacing("version", .string("adapters.1.0.1"), in: scaled), to: "a/adapter_config.json")
      try directory.write(
        tensors: configuration.tensors(named: "a", shape: smallShape), to: "a/adapter.safetensors")
      _ = try AdapterHubAdapter(opening: directory.path("a"))
    }
  }

  @Test(arguments: [
    ("name", nil, "lacks the key 'name'"), ("name", JSONValue.string("../up"), "name is"),
    ("name", .string(""), "name is"), ("model_type", .string("roberta"), "'roberta'"),
    ("config", nil, "lacks the key 'config'"), ("config", .string("compacter"), "'compacter'"),
    ("config", .string("pfeiffer|prefix_tuning"), "not one of the supported"),
    ("config", .array([]), "a JSON object"),
    ("hidden_size", .integer(1 << 24), "hidden size"), ("hidden_size", .integer(16), "has the shape"),
    ("version", .integer(1), "version"), ("peft_type", .string("LORA"), "PEFT"),
  ])
  func outerKeysAreRefused(key: String, value: JSONValue?, words: String) throws {
    let plain = document(AdapterHubConfiguration.bottleneck(AdapterHubFolderTests.pfeiffer).json)
    try expectRefusal(words, replacing(key, value, in: plain))
  }

  func expectRefusal(
    _ words: String, _ document: JSONValue,
    _ configuration: AdapterHubConfiguration = .bottleneck(pfeiffer),
    sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    try withTemporaryDirectory { directory in
      try directory.write(document, to: "a/adapter_config.json")
      try directory.write(
        tensors: configuration.tensors(named: "a", shape: smallShape), to: "a/adapter.safetensors")
      expectFailure(.badContent, words, sourceLocation: sourceLocation) {
        try AdapterHubAdapter(opening: directory.path("a"))
      }
    }
  }

  @Test func truncatedFilesAreRefused() throws {
    try withTemporaryDirectory { directory in
      try write(AdapterHubFolderTests.configurations[2], directory)
      for name in [
        "adapter_config.json", "adapter.safetensors", "head_config.json", "model_head.safetensors",
      ] {
        let bytes = try InputFile.contents(of: directory.path("a/" + name))
        for count in stride(from: 0, to: bytes.count - 2, by: 1 + bytes.count / 200) {
          try directory.write(Array(bytes[..<count]), to: "a/" + name)
          do {
            _ = try AdapterHubAdapter(opening: directory.path("a"))
            Issue.record("\(name) cut after \(count) bytes was read")
          } catch let failure as Failure { #expect(failure.kind == .badContent) }
        }
        try directory.write(bytes, to: "a/" + name)
      }
    }
  }

  @Test func missingFilesAreNamed() throws {
    try withTemporaryDirectory { directory in
      expectFailure(.noInput, "there is no directory") { try AdapterHubFolder(opening: directory.path("a")) }
      try directory.write("x", to: "a/other")
      expectFailure(.noInput, "neither adapter_config.json") {
        try AdapterHubFolder(opening: directory.path("a"))
      }
      try directory.write(
        document(AdapterHubConfiguration.bottleneck(AdapterHubFolderTests.pfeiffer).json),
        to: "a/adapter_config.json")
      expectFailure(.noInput, "pytorch_adapter.bin") { try AdapterHubFolder(opening: directory.path("a")) }
    }
  }
}
