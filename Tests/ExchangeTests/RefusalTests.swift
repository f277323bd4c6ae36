import BERT
import Exchange
import Failures
import FineTuning
import FoundationEssentials
import Interchange
import Kernels
import TestSupport
import Testing

/// What a folder may not be, and what is read in another sense than its words.
struct RefusalTests {
  private func written(
    _ sample: Sample, _ format: any AdapterFormat, _ body: (ForeignAdapter) throws -> Void
  ) throws {
    try withTemporaryDirectory { directory in
      _ = try format.write(sample.adapter, to: directory.path("adapter"))
      try body(ForeignAdapter(opening: directory.path("adapter")))
    }
  }

  @Test
  func anotherBaseIsRefusedWithBothSizes() throws {
    for (name, format) in [("lora", PEFTFormat() as any AdapterFormat), ("adapter", AdapterHubFormat())] {
      try written(Sample(name), format) { adapter in
        var wide = Sample.base
        wide.hiddenSize = 16
        expectRefusal(.badContent, "hidden size 8", "tiny", "16") { try adapter.check(against: wide) }
        var flat = Sample.base
        flat.layerCount = 1
        expectRefusal(.badContent, "layer 1", "1 layers") { try adapter.check(against: flat) }
        var deep = Sample.base
        deep.layerCount = 3
        expectRefusal(.badContent, "layer.2.") { try adapter.check(against: deep) }
      }
    }
    try written(Sample("prefix-tuning"), AdapterHubFormat()) { adapter in
      var deep = Sample.base
      deep.layerCount = 3
      expectRefusal(.badContent, "control_trans.2") { try adapter.check(against: deep) }
    }
    try written(Sample("ia3"), AdapterHubFormat()) { adapter in
      var wide = Sample.base
      wide.intermediateSize = 13
      expectRefusal(.badContent, "intermediate.dense", "[12, 1]", "[13, 1]") { try adapter.check(against: wide) }
    }
  }

  @Test
  func namesAreForSingleAdaptersOfAdapterHub() throws {
    try withTemporaryDirectory { directory in
      let lora = try Sample("lora")
      _ = try PEFTFormat().write(lora.adapter, to: directory.path("peft"))
      expectRefusal(.usage, "--name", "PEFT") { _ = try ForeignAdapter(opening: directory.path("peft"), as: "x") }
      let adapter = try Sample("adapter")
      _ = try AdapterHubFormat().write(adapter.adapter, to: directory.path("hub"))
      let renamed = try ForeignAdapter(opening: directory.path("hub"), as: "mine")
      #expect(renamed.options.adapters?.composition == .single("mine"))
      #expect(renamed.names.contains("bert.encoder.layer.0.output.adapters.mine.adapter_up.weight"))
      expectRefusal(.usage, "a/b") { _ = try ForeignAdapter(opening: directory.path("hub"), as: "a/b") }
    }
  }

  private func write(
    _ configuration: AdapterHubConfiguration, head: AdapterHubHeadConfiguration? = nil, to path: String
  ) throws {
    let model = AdapterHubModel(name: "tiny", hiddenSize: 8)
    let shape = EncoderShape(hiddenSize: 8, intermediateSize: 12, layerCount: 2, vocabularySize: 11)
    let source: TensorSource = { _, values in for i in values.indices { values[i] = Float(i) } }
    try AdapterHubAdapter.write(
      configuration, named: "task", model: model, shape: shape,
      head: head.map { AdapterHubHeadDraft($0, source: source) }, to: path, source: source)
  }

  @Test
  func headsOfOtherFormsAreRefused() throws {
    try withTemporaryDirectory { directory in
      func head(_ flexible: AdapterHubFlexibleHead) -> AdapterHubHeadConfiguration {
        AdapterHubHeadConfiguration(
          kind: .flexible(flexible), name: "task", modelClass: "BertAdapterModel", labels: ["a", "b"])
      }
      let odd = [
        AdapterHubFlexibleHead(layerCount: 3), AdapterHubFlexibleHead(activation: "relu"),
        AdapterHubFlexibleHead(usesPooler: true), AdapterHubFlexibleHead(layerCount: 1),
      ]
      for (index, flexible) in odd.enumerated() {
        let path = directory.path("odd \(index)")
        try write(.ia3(AdapterHubIA3()), head: head(flexible), to: path)
        expectRefusal(.badContent, path, "head task", "layers") { _ = try ForeignAdapter(opening: path) }
      }
      // One layer on the pooled output is BERT's own head under another name.
      let path = directory.path("same")
      try write(
        .ia3(AdapterHubIA3()), head: head(AdapterHubFlexibleHead(layerCount: 1, usesPooler: true)), to: path)
      let adapter = try ForeignAdapter(opening: path)
      #expect(adapter.head == .pooled && adapter.labels == ["a", "b"])
      #expect(adapter.shape("classifier.weight") == [2, 8] && adapter.shape("classifier.bias") == [2])
    }
  }

  @Test
  func formsThatAreNotComputedHereAreRefused() throws {
    var channel = AdapterHubBottleneck(AdapterConfiguration.pfeiffer)
    channel.scaling = .channel
    var leaky = AdapterHubBottleneck(AdapterConfiguration.pfeiffer)
    leaky.nonLinearity = "leakyrelu"
    let cases: [(AdapterHubConfiguration, String)] = [
      (.bottleneck(channel), "channel"), (.bottleneck(leaky), "leakyrelu"),
      (.ia3(AdapterHubIA3(sites: AdapterHubSites(attention: [.query]))), "(IA)³"),
      (.prefixTuning(AdapterHubPrefix(length: 2, isFlat: true)), "flat"),
      (.prefixTuning(AdapterHubPrefix(length: 2, bottleneckSize: 3, nonLinearity: "relu")), "relu"),
      (.prefixTuning(AdapterHubPrefix(length: 2, bottleneckSize: 3, leaveOut: [0])), "leave_out"),
    ]
    try withTemporaryDirectory { directory in
      for (index, (configuration, word)) in cases.enumerated() {
        let path = directory.path("\(index)")
        try write(configuration, to: path)
        expectRefusal(.badContent, path, word) { _ = try ForeignAdapter(opening: path) }
      }
    }
  }

  /// A folder of PEFT that brought the whole table of embeddings, and an update of it, cannot leave as such a folder.
  @Test
  func aTableBesideItsUpdateIsRefused() throws {
    let name = "bert.embeddings.word_embeddings.weight"
    let sample = try Sample("lora", replaced: [name]) { $0.loraTargets = ["word_embeddings"] }
    try withTemporaryDirectory { directory in
      expectRefusal(.usage, "brings \(name) itself", "--format hf") {
        _ = try PEFTFormat().write(sample.adapter, to: directory.path("out"))
      }
    }
  }

  /// The block of an old language adapter has a non-linearity of its own, which the current library ignores.
  @Test
  func nestedNonLinearity() throws {
    try withTemporaryDirectory { directory in
      let path = directory.path("ko")
      try write(.bottleneck(AdapterHubBottleneck(AdapterConfiguration.language)), to: path)
      try directory.write(
        """
        {"config": {"mh_adapter": false, "output_adapter": true, "original_ln_before": true, "reduction_factor": 16,
          "non_linearity": "gelu", "invertible_adapter":
            {"block_type": "nice", "non_linearity": "relu", "reduction_factor": 2}},
         "hidden_size": 8, "model_type": "bert", "name": "task", "type": "text_lang"}
        """, to: "ko/adapter_config.json")
      let current = try ForeignAdapter(opening: path)
      let configuration = try #require(current.options.adapters?.configurations["task"])
      #expect(configuration.activation == .geluTanh && configuration.invertibleActivation == nil)
      #expect(current.notices.count == 1)
      let old = try ForeignAdapter(opening: path, usesNestedNonLinearity: true)
      #expect(old.options.adapters?.configurations["task"]?.invertibleActivation == .relu)
      #expect(old.notices.count == 1)
    }
  }

  /// A fusion says nothing of its adapters.
  @Test
  func fusionWithoutItsAdaptersIsRefused() throws {
    try withTemporaryDirectory { directory in
      let sample = try Sample("fusion") {
        $0.adapters = try AdapterSetup(["a": .pfeiffer, "b": .pfeiffer], .fuse(["a", "b"]))
      }
      _ = try AdapterHubFormat().write(sample.adapter, to: directory.path("all"))
      // The head lies with the last adapter.
      let beside = try ForeignAdapter(opening: directory.path("all/a,b"))
      try sample.expectSameNumbers(beside)
      try FileManager.default.removeItem(atPath: directory.path("all/a"))
      expectRefusal(.noInput, "all/a,b", "a, b", "save_adapter_setup") {
        _ = try ForeignAdapter(opening: directory.path("all/a,b"))
      }
    }
  }
}
