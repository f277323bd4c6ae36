import BERT
import Exchange
import Failures
import FineTuning
import Kernels
import Tensors
import TestSupport
import Testing

/// What leaves for another library's folder and comes back is the same method with the same numbers.
struct RoundTripTests {
  struct Case: Sendable, CustomStringConvertible {
    let description: String
    let method: String
    var formats = ["peft", "adapterhub"]
    var head = HeadDesign.pooled
    var replaced: [String] = []
    var change: @Sendable (inout FineTuningOptions) throws -> Void = { _ in }
  }

  static let formats: [any AdapterFormat] = [PEFTFormat(), AdapterHubFormat()]

  private static func lora(
    _ description: String, _ formats: [String], _ change: @escaping @Sendable (inout FineTuningOptions) -> Void
  ) -> Case {
    Case(description: description, method: "lora", formats: formats, change: change)
  }

  /// Every method under options that differ in what is written, with the formats that hold it.
  static let cases: [Case] =
    [
      lora("LoRA", ["peft", "adapterhub"]) { $0.loraAlpha = 2.5 },
      lora("rsLoRA", ["peft", "adapterhub"]) { ($0.loraVariant, $0.loraAlpha) = (.rslora, 0.7) },
      lora("DoRA", ["peft"]) { ($0.loraVariant, $0.loraTargets) = (.dora, ["dense"]) },
      lora("the library's DoRA", ["adapterhub"]) { $0.loraVariant = .adapterHubDora },
      lora("every projection", ["peft"]) { $0.loraTargets = ["all-linear"] },
      lora("every projection of a layer", ["peft"]) { ($0.loraTargets, $0.loraLayers) = (["all-linear"], [1]) },
      lora("one layer", ["peft", "adapterhub"]) { $0.loraLayers = [1] },
      lora("the feed-forward block", ["peft", "adapterhub"]) {
        $0.loraTargets = ["intermediate.dense", "0.output.dense", "1.output.dense"]
      },
      lora("embeddings", ["peft"]) { $0.loraTargets = ["word_embeddings", "query"] },
      lora("biases of targets", ["peft"]) { $0.loraBias = .loraOnly },
      lora("all biases", ["peft"]) { $0.loraBias = .all },
      lora("ranks and scales", ["peft"]) {
        ($0.loraRanks, $0.loraAlphas) = (["1.attention.self.query": 2], ["value": 7, "0.attention.self.value": 5])
      },
      Case(
        description: "a pooler that the base lacks", method: "lora", formats: ["peft"],
        replaced: ["bert.pooler.dense.weight", "bert.pooler.dense.bias"]),
      Case(description: "(IA)³", method: "ia3", formats: ["adapterhub"]),
      Case(description: "a prefix", method: "prefix-tuning", formats: ["adapterhub"]),
      Case(
        description: "a flexible head", method: "adapter", formats: ["adapterhub"], head: .flexible("task")),
      Case(description: "LoRA under a flexible head", method: "lora", formats: ["adapterhub"], head: .flexible("task")),
      Case(description: "every option", method: "adapter", formats: ["adapterhub"]) { options in
        var one = AdapterConfiguration.houlsby
        one.reduction = .init(4, byLayer: [1: 2])
        (one.activation, one.dropout, one.leaveOut) = (.geluTanh, 0.1, [0])
        (one.normBefore, one.normAfter, one.addsResidualBeforeNorm) = (true, true, true)
        (one.residual, one.scaling, one.originalNormAfter) = (.coreInput, .constant(0.3), false)
        options.adapters = try AdapterSetup(["mine": one], .single("mine"))
        options.trainedAdapters = ["mine"]
      },
    ]
    + AdapterConfiguration.presets.map { preset in
      Case(description: preset.names[0], method: "adapter", formats: ["adapterhub"]) {
        $0.adapterConfiguration = preset.names[0]
      }
    }
    + [
      Case(description: "a stack", method: "adapter", formats: ["adapterhub"]) {
        $0.adapters = try setup(.stack([.single("ko"), .single("a")]))
      },
      Case(description: "a fusion", method: "fusion", formats: ["adapterhub"]) {
        $0.adapters = try setup(.fuse(["a", "b"]))
      },
      Case(description: "a fusion on a language", method: "fusion", formats: ["adapterhub"]) {
        $0.adapters = try setup(.stack([.single("ko"), .fuse(["b", "a"])]), fusion: .fixed)
      },
    ]

  private static func setup(_ composition: Composition, fusion: FusionConfiguration = .init()) throws -> AdapterSetup {
    try AdapterSetup(
      ["ko": .language, "a": .pfeiffer, "b": .pfeiffer].filter { composition.names.contains($0.key) }, composition,
      fusion: fusion)
  }

  @Test(arguments: cases)
  func comesBack(_ test: Case) throws {
    let sample = try Sample(test.method, head: test.head, replaced: test.replaced, test.change)
    for format in RoundTripTests.formats {
      guard test.formats.contains(format.name) else {
        expectRefusal(.usage) { try format.check(sample.adapter) }
        continue
      }
      try withTemporaryDirectory { directory in
        let path = directory.path(format.name)
        try format.check(sample.adapter)
        let count = try format.write(sample.adapter, to: path)
        let found = try ForeignAdapter(opening: path)
        try found.check(against: Sample.base)
        #expect(count == found.names.count)
        #expect(found.method == test.method && found.head == test.head && found.baseName == "tiny")
        #expect(found.labels == (format.name == "peft" ? ["LABEL_0", "LABEL_1", "LABEL_2"] : sample.adapter.labels))
        #expect(found.notices.isEmpty)
        try sample.expectSameNumbers(found)
        try expectSameMethod(FineTuningMethods.method(named: found.method, found.options), sample)
      }
    }
  }

  private func expectSameMethod(_ found: any FineTuningMethod, _ sample: Sample) throws {
    switch (found, sample.adapter.method) {
    case (let found as LoRA, let written as LoRA):
      let modules = try sample.names.compactMap { name -> String? in
        name.hasSuffix(".lora_A.weight") ? String(name.dropLast(".lora_A.weight".count)) : nil
      }
      #expect(found.bias == written.bias && found.dropout == written.dropout)
      // Where a library has no √r, another α gives the same scale.
      #expect(found.variant == written.variant || written.variant == .rslora && found.variant == .standard)
      for module in modules {
        #expect(found.isTarget(module) && found.rank(of: module) == written.rank(of: module))
        #expect(Float(found.scale(of: module)) == Float(written.scale(of: module)), "\(module)")
      }
    case (let found as BottleneckAdapters, let written as BottleneckAdapters): #expect(found.setup == written.setup)
    case (let found as AdapterFusion, let written as AdapterFusion): #expect(found.setup == written.setup)
    case (let found as PrefixTuning, let written as PrefixTuning):
      #expect(found.length == written.length && found.bottleneckSize == written.bottleneckSize)
    default: #expect(found is IA3)
    }
  }

  @Test
  func methodsThatAddNothingAreRefused() throws {
    for name in ["full", "bitfit", "linear-probe"] {
      let sample = try Sample(name)
      for format in RoundTripTests.formats { expectRefusal(.usage, name) { try format.check(sample.adapter) } }
    }
  }

  @Test
  func modulesAreNamedAsShortlyAsCanBe() throws {
    var options = FineTuningOptions()
    func short(_ targets: [String], _ layers: [Int]? = nil) throws -> FineTuningOptions {
      options.loraTargets = targets
      options.loraLayers = layers
      let lora = try #require(try FineTuningMethods.method(named: "lora", options) as? LoRA)
      let end = ".lora_A.weight"
      var explicit = options
      explicit.loraLayers = nil
      explicit.loraTargets = try lora.addedParameters(Sample.base).map(\.name).filter { $0.hasSuffix(end) }
        .map { String($0.dropLast(end.count)) }
      return explicit.withShortTargets(on: Sample.base)
    }
    #expect(try short(["query", "value"]).loraTargets == ["query", "value"])
    #expect(try short(["all-linear"]).loraTargets == ["all-linear"])
    #expect(try short(["value"], [1]).loraLayers == [1])
    let uneven = ["bert.encoder.layer.0.attention.self.query", "bert.encoder.layer.1.attention.self.key"]
    #expect(try short(uneven).loraTargets == uneven)
    // "output.dense" would mean attention's output too.
    let outer = ["bert.encoder.layer.0.output.dense", "bert.encoder.layer.1.output.dense"]
    #expect(try short(outer).loraTargets == outer)
  }
}
