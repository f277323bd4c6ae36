import BERT
import Failures
import FineTuning
import FoundationEssentials
import Kernels
import Tensors
import TestSupport
import Testing

/// What adapters add to a base, what of it is trained, and what is refused.
@Suite struct AdapterSetupTests {
  static let multilingual: BERTConfiguration = {
    var shape = BERTConfiguration()
    shape.vocabularySize = 119_547
    return shape
  }()
  static let head = 2 * 768 + 2

  /// The library's own counts for `bert-base-multilingual-cased`.
  @Test(arguments: [
    ("pfeiffer", 894_528), ("houlsby", 1_789_056), ("parallel", 7_091_712), ("scaled_parallel", 7_091_724),
  ])
  func trainableCountOfAnAdapter(_ name: String, _ count: Int) throws {
    let configuration = try #require(AdapterConfiguration(preset: name))
    let table = try BottleneckAdapters(configuration).table(for: Self.multilingual)
    #expect(table.trainableCount == count + Self.head)
  }

  @Test func trainableCountOfAFusion() throws {
    let setup = try AdapterSetup(["a": .pfeiffer, "b": .pfeiffer], .fuse(["a", "b"]))
    let table = try AdapterFusion(setup).table(for: Self.multilingual)
    #expect(table.trainableCount == 21_252_096 + Self.head)
    let both = try AdapterFusion(setup, trained: ["a", "b"]).table(for: Self.multilingual)
    #expect(both.trainableCount == 21_252_096 + 2 * 894_528 + Self.head)
  }

  @Test func onlyTheTaskAdapterOfAStackIsTrained() throws {
    let setup = try AdapterSetup(
      ["ko": .language, "task": .pfeiffer], .stack([.single("ko"), .single("task")]))
    let table = try BottleneckAdapters(setup, trained: ["task"]).table(for: Self.multilingual)
    #expect(table.trainableCount == 894_528 + Self.head)
    #expect(table.entry("bert.invertible_adapters.ko.F.0.weight")?.specification.shape == [192, 384])
    #expect(table.entry("bert.pooler.dense.weight")?.parameter.isTrainable == false)
  }

  @Test func layersLeftOutAndReductionsByLayer() throws {
    var configuration = AdapterConfiguration.pfeiffer
    configuration.leaveOut = [0, 5]
    // 768 // 12.8 is 59 in Python, though 12.8 · 60 is 768 when rounded.
    configuration.reduction = AdapterConfiguration.Reduction(8, byLayer: [1: 16, 2: 12.8])
    let table = try BottleneckAdapters(configuration).table(for: Self.multilingual)
    func width(_ layer: Int) -> Int? {
      table.entry("bert.encoder.layer.\(layer).output.adapters.task.adapter_down.0.weight")?.specification
        .shape[0]
    }
    #expect((0..<7).map(width) == [nil, 48, 59, 96, 96, nil, 96])
  }

  @Test func configurationsSurviveJSON() throws {
    for var configuration in AdapterConfiguration.presets.map(\.configuration) {
      configuration.residual = .sum
      configuration.originalNormBefore = true
      configuration.leaveOut = [1]
      configuration.reduction = AdapterConfiguration.Reduction(4, byLayer: [2: 8])
      let data = try JSONEncoder().encode(configuration)
      #expect(try JSONDecoder().decode(AdapterConfiguration.self, from: data) == configuration)
    }
    for fusion in [FusionConfiguration(), .fixed] {
      #expect(
        try JSONDecoder().decode(FusionConfiguration.self, from: JSONEncoder().encode(fusion)) == fusion)
    }
    #expect(
      try JSONDecoder().decode([AdapterConfiguration].self, from: Data(#"["seq_bn"]"#.utf8)) == [.pfeiffer])
  }

  @Test(arguments: [
    (#"{"use_gating":true}"#, "use_gating"), (#"{"output_adapter":true,"phm_layer":true}"#, "phm_layer"),
    (#"{"inv_adapter":"glow"}"#, "glow"), (#"{"cross_adapter":true}"#, "cross_adapter"),
    (#"{"stochastic_depth":0.1}"#, "stochastic_depth"), (#"{"architecture":"lora"}"#, "lora"),
    (#"{"residual_before_ln":"post_add"}"#, "original_ln_before"), (#"{"scaling":"channel"}"#, "scaling"),
    (#"{"non_linearity":"leakyrelu"}"#, "leakyrelu"), (#"{"output_adapter":false}"#, "mh_adapter"),
    (#"{"reduction_factor":{"x":2}}"#, "\"x\""), (#"{"dropout":1.5}"#, "dropout"),
  ])
  func refusedConfigurations(_ json: String, _ part: String) throws {
    let error = #expect(throws: Failure.self) {
      try JSONDecoder().decode(AdapterConfiguration.self, from: Data(json.utf8))
    }
    #expect(error?.message.contains(part) == true, "\(error?.message ?? "")")
  }

  @Test func refusedFusions() throws {
    for json in [#"{"temperature":true}"#, #"{"query":false}"#, #"{"residual_before":true}"#, #""other""#] {
      #expect(throws: Failure.self) {
        try JSONDecoder().decode([FusionConfiguration].self, from: Data("[\(json)]".utf8))
      }
    }
    #expect(throws: Failure.self) { try AdapterSetup(["a": .pfeiffer, "b": .houlsby], .fuse(["a", "b"])) }
    #expect(throws: Failure.self) { try AdapterSetup(["a": .pfeiffer], .fuse(["a"])) }
    #expect(throws: Failure.self) {
      try AdapterSetup(["a": .pfeiffer], .stack([.single("a"), .single("a")]))
    }
    #expect(throws: Failure.self) { try AdapterSetup([:], .single("a")) }
    #expect(throws: Failure.self) { try AdapterSetup(["a.b": .pfeiffer], .single("a.b")) }
    #expect(throws: Failure.self) { try AdapterFusion(AdapterSetup(["a": .pfeiffer], .single("a"))) }
  }

  @Test func refusedOptions() {
    var options = FineTuningOptions()
    options.adapterConfiguration = "compacter"
    #expect(throws: Failure.self) { try options.adapter() }
    options.adapterConfiguration = "houlsby"
    options.adapterReductionFactor = AdapterConfiguration.Reduction(0)
    #expect(throws: Failure.self) { try options.adapter() }
    options.adapterReductionFactor = AdapterConfiguration.Reduction(0.000001)
    #expect(throws: Failure.self) {
      try BottleneckAdapters(options.adapter()).table(for: BERTConfiguration())
    }
    options.adapterReductionFactor = AdapterConfiguration.Reduction(16)
    options.adapterLeaveOut = [12]
    #expect(throws: Failure.self) {
      try BottleneckAdapters(options.adapter()).table(for: BERTConfiguration())
    }
  }

  /// Options in brackets are the library's keys on top of a name; a reduction by layer leaves the others as they were.
  @Test func writtenConfigurations() throws {
    var options = FineTuningOptions()
    options.adapterConfiguration = "pfeiffer[ln_before=True, ln_after=true,residual_before_ln=post_add,scaling=learned]"
    options.adapterReductionFactor = AdapterConfiguration.Reduction(nil, byLayer: [1: 4])
    var expected = AdapterConfiguration.pfeiffer
    (expected.normBefore, expected.normAfter, expected.residual) = (true, true, .sum)
    expected.scaling = .learned
    expected.reduction = AdapterConfiguration.Reduction(16, byLayer: [1: 4])
    #expect(try options.adapter() == expected)
    options.adapterConfiguration = "houlsby[non_linearity=gelu,reduction_factor=8,dropout=0.1]"
    options.adapterReductionFactor = nil
    expected = .houlsby
    (expected.activation, expected.reduction, expected.dropout) = (.gelu, AdapterConfiguration.Reduction(8), 0.1)
    #expect(try options.adapter() == expected)
    let stored = try JSONDecoder().decode(FineTuningOptions.self, from: JSONEncoder().encode(options))
    #expect(stored == options)
    options.adapterReductionFactor = AdapterConfiguration.Reduction(8, byLayer: [0: 2])
    #expect(try JSONDecoder().decode(FineTuningOptions.self, from: JSONEncoder().encode(options)) == options)
  }

  /// Twice the factor pulls twice as hard, and none not at all.
  @Test func strengthOfTheRegulariser() throws {
    let setup = try AdapterSetup(["a": .pfeiffer, "b": .pfeiffer], .fuse(["a", "b"]))
    let gradients = try [Float(0), 0.01, 0.02].map { strength -> [Float] in
      let method = try AdapterFusion(setup, regularization: strength)
      let configuration = TinyModel.configuration()
      let model = TinyModel(configuration, table: try method.table(for: configuration)) { method.model($0, $1) }
      method.addRegularizationGradient(to: model.gradients, of: model.store, reviewCount: 4, step: 1)
      return model.gradientValues
    }
    #expect(gradients[0].allSatisfy { $0 == 0 })
    #expect(gradients[1].contains { $0 != 0 })
    #expect(zip(gradients[1], gradients[2]).allSatisfy { 2 * $0 == $1 })
  }

  @Test func compositionsInTheLibrarysForm() throws {
    let (a, b) = (#"{"type":"single","children":["a"]}"#, #"{"type":"single","children":["b"]}"#)
    let fusion = "{\"type\":\"Fuse\",\"children\":[\(a),\(b)]}"
    let json = #"{"type":"Stack","children":[{"type":"single","children":["ko"]},"# + fusion + "]}"
    let read = try JSONDecoder().decode(Composition.self, from: Data(json.utf8))
    #expect(read == .stack([.single("ko"), .fuse(["a", "b"])]))
    #expect(try JSONDecoder().decode(Composition.self, from: JSONEncoder().encode(read)) == read)
    for (json, part) in [
      (#"{"type":"Parallel","children":[]}"#, "Parallel"), (#"{"type":"single","children":[]}"#, "single"),
      (#"{"type":"Fuse","children":[{"type":"Stack","children":[]}]}"#, "Stack()"),
    ] {
      let error = #expect(throws: Failure.self) {
        try JSONDecoder().decode(Composition.self, from: Data(json.utf8))
      }
      #expect(error?.message.contains(part) == true)
    }
  }

  @Test func namesOfCopies() {
    let prefix = "bert.encoder.layer.0.output.adapters.task"
    #expect(
      AdapterNames.copies(of: "\(prefix).adapter_norm_before.weight") == ["\(prefix).adapter_down.0.weight"])
    #expect(AdapterNames.copies(of: "\(prefix).adapter_up.weight").isEmpty)
    #expect(Composition.stack([.single("ko"), .fuse(["a", "b"])]).description == "Stack(ko, Fuse(a, b))")
  }
}
