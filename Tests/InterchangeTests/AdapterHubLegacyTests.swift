import Failures
import Interchange
import JSON
import TestSupport
import Testing

/// What files of older versions of AdapterHub's library mean.
@Suite struct AdapterHubLegacyTests {
  /// The keys of 2020, with an invertible block of its own non-linearity.
  static let config = JSONValue.members([
    "adapter_residual_before_ln": .boolean(false),
    "invertible_adapter": .members([
      "block_type": .string("nice"), "non_linearity": .string("relu"), "reduction_factor": .integer(2),
    ]),
    "ln_after": .boolean(false), "ln_before": .boolean(false), "mh_adapter": .boolean(false),
    "non_linearity": .string("gelu"), "original_ln_after": .boolean(true),
    "original_ln_before": .boolean(true),
    "output_adapter": .boolean(true), "reduction_factor": .integer(2), "residual_before_ln": .boolean(true),
    "LN_after": .boolean(true), "attention_type": .string("sent-lvl-dynamic"),
    "new_attention_norm": .boolean(true),
  ])

  static let outer = JSONValue.members([
    "config": config, "name": .string("ko"), "hidden_size": .integer(8), "model_type": .string("bert"),
    "type": .string("text_lang"), "model": .string("BertForMaskedLM"),
  ])

  func tensors(invertible: Bool = true) throws -> [TensorEntry] {
    var bottleneck = AdapterHubFolderTests.pfeiffer
    if invertible { bottleneck.invertible = AdapterHubInvertible(reductionFactor: 2, nonLinearity: "relu") }
    return try AdapterHubConfiguration.bottleneck(bottleneck).tensors(named: "ko", shape: smallShape)
  }

  func read(
    _ document: JSONValue, _ tensors: [TensorEntry], _ options: AdapterHubAdapter.Options = .init()
  ) throws -> AdapterHubAdapter {
    try withTemporaryDirectory { directory in
      try directory.write(document, to: "ko/adapter_config.json")
      try directory.write(tensors: tensors, to: "ko/adapter.safetensors")
      return try AdapterHubAdapter(opening: directory.path("ko"), options: options)
    }
  }

  private func bottleneck(_ adapter: AdapterHubAdapter) throws -> AdapterHubBottleneck {
    guard case .bottleneck(let bottleneck) = adapter.configuration else {
      throw Failure(.other, "not a bottleneck")
    }
    return bottleneck
  }

  @Test(arguments: [
    ("gelu", nil, "gelu_new"), ("gelu_orig", nil, "gelu"), ("gelu", "adapters.1.3.0", "gelu"),
    ("GELU", "3.2.1", "gelu"),
    ("swish", nil, "swish"),
  ])
  func geluWithoutVersionIsByTanh(written: String, version: String?, meant: String) throws {
    let config = replacing("non_linearity", .string(written), in: AdapterHubLegacyTests.config)
    var document = replacing("config", config, in: AdapterHubLegacyTests.outer)
    if let version { document = replacing("version", .string(version), in: document) }
    let adapter = try read(document, tensors())
    #expect(try bottleneck(adapter).nonLinearity == meant)
    #expect(try bottleneck(adapter).invertible?.nonLinearity == meant)
    #expect(adapter.notices.count == 1)
    #expect(adapter.notices[0].contains("the block uses \(meant), as the current library does"))
    #expect(adapter.model.className == "BertForMaskedLM")
  }

  @Test func nestedNonLinearityCanBeAskedFor() throws {
    let adapter = try read(
      AdapterHubLegacyTests.outer, tensors(), .init(usesNestedNonLinearity: true))
    #expect(try bottleneck(adapter).nonLinearity == "gelu_new")
    #expect(
      try bottleneck(adapter).invertible == AdapterHubInvertible(reductionFactor: 2, nonLinearity: "relu"))
    #expect(adapter.notices.contains { $0.contains("the block uses relu, as you asked") })
    try withTemporaryDirectory { directory in
      expectFailure(.badContent, "the library has one for both") {
        try AdapterHubAdapter.write(
          adapter.configuration, named: "ko", model: adapter.model, shape: smallShape,
          to: directory.path("o"),
          source: sampleSource)
      }
    }
  }

  @Test func oldTensorNamesAreRead() throws {
    let expected = Set(try tensors().map(\.name))
    for prefix in ["bert.", ""] {
      let old = try tensors().map { entry -> TensorEntry in
        let name = entry.name.replacing("output.adapters", with: "output.layer_text_lang_adapters")
          .replacing("invertible_adapters", with: "invertible_lang_adapters").replacing("bert.", with: prefix)
        return TensorEntry(name: name, shape: entry.shape)
      }
      let adapter = try read(AdapterHubLegacyTests.outer, old)
      #expect(Set(adapter.tensors.entries.map(\.name)) == expected)
    }
  }

  @Test func taskAdapterWithoutItsBlockIsRead() throws {
    let task = replacing("type", .string("text_task"), in: AdapterHubLegacyTests.outer)
    let adapter = try read(task, tensors(invertible: false))
    #expect(try bottleneck(adapter).invertible == nil)
    #expect(adapter.notices.contains { $0.contains("left out") })
    #expect(try bottleneck(read(task, tensors())).invertible != nil)
    expectFailure(.badContent, "invertible_adapters") {
      try read(AdapterHubLegacyTests.outer, tensors(invertible: false))
    }
    let half = try tensors().filter { !$0.name.contains(".F.0.") }
    expectFailure(.badContent, "invertible_adapters.ko.F.0") { try read(task, half) }
  }

  @Test(arguments: [
    ("adapters.1.0.1", 2.0), ("adapters.0.2.0", 2), ("adapters.1.1.0", 8), ("adapters.1.10.0", 8),
    ("adapters.2.0.0", 8), ("3.2.1", 8), ("adapters.x", 2), ("adapters.", 8),
  ])
  func faultyScalingIsMendedAsTheLibraryDoes(version: String, alpha: Double) throws {
    let lora = AdapterHubConfiguration.lora(
      AdapterHubLoRA(rank: 2, alpha: 8, sites: AdapterHubSites(attention: [.query, .value])))
    let document = JSONValue.members([
      "config": lora.json, "name": .string("ko"), "version": .string(version),
    ])
    let adapter = try read(document, lora.tensors(named: "ko", shape: smallShape))
    guard case .lora(let found) = adapter.configuration else {
      Issue.record("not LoRA")
      return
    }
    #expect(found.alpha == alpha)
    #expect(adapter.notices.isEmpty == (alpha == 8))
  }

  @Test(arguments: [
    "pfeiffer", "seq_bn", "houlsby", "par_bn", "scaled_parallel", "lora", "dora", "ia3", "pfeiffer+inv",
  ])
  func presetsAreRead(name: String) throws {
    // Enough tensors for any: what does not belong is named, what belongs is there.
    let document = JSONValue.members([
      "config": .string(name), "name": .string("ko"), "hidden_size": .integer(8),
    ])
    var presets: [String: AdapterHubConfiguration] = [:]
    var pfeiffer = AdapterHubFolderTests.pfeiffer
    pfeiffer.reduction = AdapterHubReduction(16)
    presets["pfeiffer"] = .bottleneck(pfeiffer)
    presets["seq_bn"] = .bottleneck(pfeiffer)
    var inverse = pfeiffer
    inverse.invertible = AdapterHubInvertible(reductionFactor: 2, nonLinearity: "relu")
    presets["pfeiffer+inv"] = .bottleneck(inverse)
    var houlsby = pfeiffer
    (houlsby.hasAttentionAdapter, houlsby.appliesNormBefore, houlsby.nonLinearity) = (true, false, "swish")
    presets["houlsby"] = .bottleneck(houlsby)
    var parallel = pfeiffer
    (parallel.appliesNormBefore, parallel.isParallel, parallel.scaling) = (false, true, .fixed(4))
    (parallel.reduction, parallel.initialization) = (AdapterHubReduction(2), "mam_adapter")
    presets["par_bn"] = .bottleneck(parallel)
    parallel.scaling = .learned
    presets["scaled_parallel"] = .bottleneck(parallel)
    let sites = AdapterHubSites(attention: [.query, .value])
    presets["lora"] = .lora(AdapterHubLoRA(rank: 8, alpha: 8, sites: sites))
    presets["dora"] = .lora(AdapterHubLoRA(rank: 8, alpha: 8, usesDoRA: true, sites: sites))
    presets["ia3"] = .ia3(AdapterHubIA3())
    let expected = try #require(presets[name])
    let adapter = try read(document, expected.tensors(named: "ko", shape: smallShape))
    #expect(adapter.configuration == expected)
  }
}
