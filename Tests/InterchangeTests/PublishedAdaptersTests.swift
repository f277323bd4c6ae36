import Failures
import FoundationEssentials
import Interchange
import JSON
import TestSupport
import Testing

/// Adapter folders that the Python libraries wrote: read, written again, and compared number by number.
@Suite(.enabled(if: Fixtures.areAvailable)) struct PublishedAdaptersTests {
  /// The model of the fixtures.
  static let shape = EncoderShape(
    hiddenSize: 64, intermediateSize: 128, layerCount: 3, vocabularySize: 0, positionCount: 0)

  static let current = [
    "ah_dora", "ah_lora", "flex_task", "houlsby", "ia3", "lang_ko", "parallel", "pfeiffer",
    "pfeiffer_safetensors",
    "prefix_tuning", "scaled_parallel", "seq_bn_lnafter", "seq_bn_noresid", "setup_stack/ko",
    "setup_stack/task",
    "task", "task_a", "task_b",
  ]
  static let peft = ["lora", "dora", "rslora", "lora_all_linear", "lora_bin"]

  /// The shapes of a file's tensors as `index.json` lists them; for the few files that it leaves out, as they lie there.
  func listed(_ folder: String, _ file: String) throws -> [String: [Int]] {
    if let nodes = try index()[folder] {
      if case .file(let tensors) = nodes[file] { return tensors }
      return nodes.compactMapValues { if case .tensor(let shape) = $0 { shape } else { nil } }
    }
    let archive = try TensorArchive(opening: Fixtures.path("fixtures/\(folder)/\(file)"))
    return Dictionary(uniqueKeysWithValues: archive.entries.map { ($0.name, $0.shape) })
  }

  /// The part of `index.json` about adapters: a folder's files with their tensors or, for PEFT, its tensors.
  private func index() throws -> [String: [String: Node]] {
    struct Index: Decodable { let adapters: [String: [String: Node]] }
    return try JSONDecoder().decode(Index.self, from: Data(Fixtures.bytes("fixtures/index.json"))).adapters
  }

  private enum Node: Decodable {
    case tensor([Int])
    case file([String: [Int]])

    init(from decoder: any Decoder) throws {
      let container = try decoder.singleValueContainer()
      if let shape = try? container.decode([Int].self) {
        self = .tensor(shape)
      } else {
        self = .file(try container.decode([String: [Int]].self))
      }
    }
  }

  /// No fixture may be forgotten: those here, two old ones, three fusions and what is refused.
  @Test func everyFolderIsTested() throws {
    var known = Set(PublishedAdaptersTests.current.map { "adapterhub/" + $0 })
    known.formUnion(PublishedAdaptersTests.peft.map { "peft/" + $0 })
    known.formUnion(["legacy_lang_ko", "legacy_lang_ko_noprefix", "compacter"].map { "adapterhub/" + $0 })
    known.formUnion(["fusion_ab", "fusion_ab_safetensors", "fusion_static"].map { "adapterhub/" + $0 })
    #expect(try Set(index().keys).subtracting(known) == [])
  }

  @Test(arguments: peft) func peftFoldersAreReadAndWritten(name: String) throws {
    let path = try Fixtures.path("fixtures/peft/" + name)
    let folder = try PEFTFolder(opening: path)
    let base = try CheckpointDirectory(opening: Fixtures.path("fixtures/ckpt/seqcls"))
    var shape = PublishedAdaptersTests.shape
    shape.vocabularySize = try #require(
      base.weights.entry(named: "bert.embeddings.word_embeddings.weight")
    ).shape[0]
    try folder.check(against: shape)
    #expect(folder.labelCount == 2 && !folder.isBare)
    let file = name == "lora_bin" ? "adapter_model.bin" : "adapter_model.safetensors"
    let listed = try listed("peft/" + name, file)
    let expected = Dictionary(
      uniqueKeysWithValues: listed.map {
        ($0.key.replacing("base_model.model.", with: "").replacing(".base_layer", with: ""), $0.value)
      })
    let found = Dictionary(uniqueKeysWithValues: folder.tensors.entries.map { ($0.name, $0.shape) })
    #expect(found == expected)
    #expect(folder.configuration.usesDoRA == (name == "dora"))
    #expect(folder.configuration.usesRankStabilization == (name == "rslora"))
    for update in try folder.updates() {
      // All have alpha = 2 r.
      #expect(update.scaling == (name == "rslora" ? 16 / 8.0.squareRoot() : 2))
    }
    try withTemporaryDirectory { directory in
      let copy = directory.path("copy")
      try PEFTFolder.write(folder.configuration, tensors: folder.tensors.entries, to: copy) {
        try folder.tensors.read($0.name, into: $1)
      }
      try expectSameTensors(copy + "/adapter_model.safetensors", path + "/" + file)
      if name != "lora_bin" {
        #expect(
          try InputFile.contents(of: copy + "/adapter_model.safetensors")
            == InputFile.contents(of: path + "/adapter_model.safetensors"))
      }
      #expect(try PEFTFolder(opening: copy).configuration == folder.configuration)
    }
  }

  @Test func minimalConfigurationIsEnough() throws {
    let path = try Fixtures.path("fixtures/peft/lora_minimal_config/adapter_config.json")
    let minimal = try PEFTConfiguration(JSONValue(contentsOf: path), source: path)
    var full = try PEFTFolder(opening: Fixtures.path("fixtures/peft/lora")).configuration
    #expect(full.modulesToSave == ["classifier", "score"])
    full.modulesToSave = ["classifier"]
    #expect(minimal == full)
  }

  @Test(arguments: current) func adaptersAreReadAndWritten(name: String) throws {
    let path = try Fixtures.path("fixtures/adapterhub/" + name)
    guard case .adapter(let adapter) = try AdapterHubFolder(opening: path) else {
      Issue.record("not an adapter")
      return
    }
    try adapter.check(against: PublishedAdaptersTests.shape)
    #expect(adapter.notices.isEmpty && adapter.model.name == "tiny-bert-ko")
    try withTemporaryDirectory { directory in
      let copy = directory.path("copy")
      let head = adapter.head.map { head in
        AdapterHubHeadDraft(head.configuration) { try head.tensors.read($0.name, into: $1) }
      }
      try AdapterHubAdapter.write(
        adapter.configuration, named: adapter.name, model: adapter.model, shape: PublishedAdaptersTests.shape,
        head: head, to: copy
      ) { try adapter.tensors.read($0.name, into: $1) }
      for (torch, safe) in [
        ("pytorch_adapter.bin", "adapter.safetensors"), ("pytorch_model_head.bin", "model_head.safetensors"),
      ] {
        let files = try FileManager.default.contentsOfDirectory(atPath: path)
        guard let original = [torch, safe].first(where: files.contains) else { continue }
        let listed = try listed("adapterhub/" + name, original)
        let written = try TensorArchive(opening: "\(copy)/\(torch)").entries
        #expect(Dictionary(uniqueKeysWithValues: written.map { ($0.name, $0.shape) }) == listed)
        try expectSameTensors("\(copy)/\(torch)", "\(path)/\(original)")
        try expectSameTensors("\(copy)/\(safe)", "\(path)/\(original)")
        if original == safe {
          // The library writes no "format" into its header, the only difference.
          let (ours, theirs) = (
            try InputFile.contents(of: "\(copy)/\(safe)"), try InputFile.contents(of: "\(path)/\(safe)")
          )
          let dataCount = written.reduce(0) { $0 + $1.byteCount }
          #expect(ours.suffix(dataCount) == theirs.suffix(dataCount))
        }
      }
      for file in ["adapter_config.json", "head_config.json"] {
        guard FileManager.default.fileExists(atPath: "\(path)/\(file)") else { continue }
        let (ours, theirs) = (
          try JSONValue(contentsOf: "\(copy)/\(file)"), try JSONValue(contentsOf: "\(path)/\(file)")
        )
        for (key, value) in membersByKey(theirs) where key != "config" {
          #expect(membersByKey(ours)[key] == value, "\(file): \(key)")
        }
        #expect(membersByKey(ours["config"]) == membersByKey(theirs["config"]), "\(file)")
      }
    }
  }

  @Test(arguments: ["legacy_lang_ko", "legacy_lang_ko_noprefix"])
  func oldAdaptersAreRead(name: String) throws {
    let adapter = try AdapterHubAdapter(opening: Fixtures.path("fixtures/adapterhub/" + name))
    try adapter.check(against: PublishedAdaptersTests.shape)
    guard case .bottleneck(let bottleneck) = adapter.configuration else {
      Issue.record("not a bottleneck adapter")
      return
    }
    // What the current library makes of them is in index.json under ah_legacy_lang.
    #expect(bottleneck.nonLinearity == "gelu_new")
    #expect(bottleneck.invertible == AdapterHubInvertible(reductionFactor: 2, nonLinearity: "gelu_new"))
    #expect(
      adapter.name == "ko" && adapter.model.name == "bert-base-multilingual-cased" && adapter.version == nil)
    #expect(adapter.notices.count == 1 && adapter.head == nil)
    let current = try AdapterHubAdapter(opening: Fixtures.path("fixtures/adapterhub/lang_ko"))
    #expect(
      Set(adapter.tensors.entries.map(\.name)) == Set(current.tensors.entries.map(\.name)))
    let listed = try listed("adapterhub/" + name, "pytorch_adapter.bin")
    #expect(adapter.tensors.entries.count == listed.count)
  }

  @Test func compacterIsRefused() throws {
    let path = try Fixtures.path("fixtures/adapterhub/compacter")
    expectFailure(.badContent, "Compacter") { try AdapterHubFolder(opening: path) }
  }

  @Test(arguments: ["fusion_ab", "fusion_ab_safetensors", "fusion_static"])
  func fusionsAreReadAndWritten(name: String) throws {
    let path = try Fixtures.path("fixtures/adapterhub/" + name)
    guard case .fusion(let fusion) = try AdapterHubFolder(opening: path) else {
      Issue.record("not a fusion")
      return
    }
    #expect(fusion.configuration.adapters == ["a", "b"])
    #expect(fusion.configuration.hasValue == (name != "fusion_static"))
    let adapters = try ["task_a", "task_b"].map {
      try AdapterHubAdapter(opening: Fixtures.path("fixtures/adapterhub/" + $0)).configuration
    }
    try fusion.check(against: PublishedAdaptersTests.shape, adapters: adapters)
    let (torch, safe) = ("pytorch_model_adapter_fusion.bin", "model_adapter_fusion.safetensors")
    let original = name == "fusion_ab_safetensors" ? safe : torch
    let listed = try listed("adapterhub/" + name, original)
    #expect(Dictionary(uniqueKeysWithValues: fusion.tensors.entries.map { ($0.name, $0.shape) }) == listed)
    try withTemporaryDirectory { directory in
      let copy = directory.path("copy")
      try AdapterHubFusion.write(
        fusion.configuration, sites: fusion.sites, model: fusion.model, hiddenSize: 64, to: copy
      ) { try fusion.tensors.read($0.name, into: $1) }
      try expectSameTensors("\(copy)/\(torch)", "\(path)/\(original)")
      try expectSameTensors("\(copy)/\(safe)", "\(path)/\(original)")
      let config = "adapter_fusion_config.json"
      let (ours, theirs) = (
        try JSONValue(contentsOf: "\(copy)/\(config)"), try JSONValue(contentsOf: "\(path)/\(config)")
      )
      for (key, value) in membersByKey(theirs) where key != "config" {
        #expect(membersByKey(ours)[key] == value)
      }
      #expect(membersByKey(ours["config"]) == membersByKey(theirs["config"]))
    }
  }

  @Test func setupIsRead() throws {
    let path = try Fixtures.path("fixtures/adapterhub/setup_stack")
    guard case .setup(let setup) = try AdapterHubFolder(opening: path) else {
      Issue.record("not a setup")
      return
    }
    #expect(setup.setup == .stack([.single("ko"), .single("task")]))
    #expect(setup.adapters.map(\.name) == ["ko", "task"] && setup.fusions.isEmpty)
  }

  /// Kinds of folders are told apart.
  @Test func librariesAreToldApart() throws {
    let (peft, hub) = (
      try Fixtures.path("fixtures/peft/lora"), try Fixtures.path("fixtures/adapterhub/task")
    )
    #expect(try AdapterFolderKind(at: peft) == .peft)
    #expect(try AdapterFolderKind(at: hub) == .adapterHub)
    expectFailure(.badContent, "of PEFT") { try AdapterHubFolder(opening: peft) }
    expectFailure(.badContent, "of AdapterHub") { try PEFTFolder(opening: hub) }
  }
}
