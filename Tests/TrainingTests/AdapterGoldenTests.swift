import BERT
import FineTuning
import FoundationEssentials
import Kernels
import Tensors
import TestSupport
import Testing
import Training

/// Bottleneck adapters, stacks, invertible blocks and fusion against AdapterHub's library: logits, hidden states,
/// every gradient, the fusion's shares, and the parameters after three steps.
@Suite(.enabled(if: Fixtures.areAvailable))
struct AdapterGoldenTests {
  struct Case: Sendable, CustomStringConvertible {
    let name: String
    /// Adapters by name, in folders of `fixtures/adapterhub`.
    var adapters: [String: String] = [:]
    let composition: Composition
    /// Which adapters are trained.
    var trained: Set<String> = []
    /// A folder of a fusion.
    var fusion: String?
    /// Whether the head lies beside the adapter.
    var hasHead = false
    /// Absolute tolerance of hidden states.
    var hidden = 1e-5
    /// In which order the fusion multiplies.
    var order: FusionOrder?
    var description: String { order.map { "\(name), \($0)" } ?? name }

    func method() throws -> any FineTuningMethod {
      var configurations: [String: AdapterConfiguration] = [:]
      for (name, folder) in adapters { configurations[name] = try AdapterGoldenTests.configuration(folder) }
      guard let fusion else {
        return try BottleneckAdapters(AdapterSetup(configurations, composition), trained: trained)
      }
      let bytes = try Fixtures.bytes("fixtures/adapterhub/\(fusion)/adapter_fusion_config.json")
      let file = try JSONDecoder().decode(FusionFile.self, from: Data(bytes))
      return try AdapterFusion(AdapterSetup(configurations, composition, fusion: file.config))
    }

    func model(readsAll: Bool = false) throws -> GoldenModel {
      var files = adapters.values.sorted().map { "adapterhub/\($0)/pytorch_adapter.bin" }
      if hasHead { files += adapters.values.map { "adapterhub/\($0)/pytorch_model_head.bin" } }
      if let fusion { files.append("adapterhub/\(fusion)/pytorch_model_adapter_fusion.bin") }
      let model = try GoldenModel(method(), files: files, readsAll: readsAll)
      for end in model.model.encoder.layers.flatMap(\.blockOutputs) {
        (end.branch as? AdapterBranch)?.fusionOrder = order
      }
      return model
    }
  }

  private struct AdapterFile: Decodable {
    let config: AdapterConfiguration
    let version: String?
  }

  private struct FusionFile: Decodable { let config: FusionConfiguration }

  /// What `adapter_config.json` of a folder says; files of 2020 have no version, call GELU's tanh approximation
  /// `gelu` and describe the invertible block in an object of its own.
  static func configuration(_ folder: String) throws -> AdapterConfiguration {
    let bytes = try Fixtures.bytes("fixtures/adapterhub/\(folder)/adapter_config.json")
    let file = try JSONDecoder().decode(AdapterFile.self, from: Data(bytes))
    var configuration = file.config
    if file.version == nil {
      #expect(configuration.activation == .gelu)
      configuration.activation = .geluTanh
      configuration.invertibleReduction = 2
    }
    return configuration
  }

  static func single(_ folder: String) -> Case {
    Case(
      name: "ah_" + folder, adapters: ["task": folder], composition: .single("task"), trained: ["task"],
      hasHead: true)
  }

  static let ab = ["a": "task_a", "b": "task_b"]
  static let cases: [Case] =
    ["pfeiffer", "houlsby", "parallel", "scaled_parallel", "seq_bn_lnafter", "seq_bn_noresid"].map(single) + [
      Case(
        name: "ah_stack", adapters: ["ko": "lang_ko", "task": "task"],
        composition: .stack([.single("ko"), .single("task")]), trained: ["task"]),
      Case(
        name: "ah_legacy_stack", adapters: ["ko": "legacy_lang_ko", "task": "task"],
        composition: .stack([.single("ko"), .single("task")]), trained: ["task"]),
      Case(name: "ah_lang_only", adapters: ["ko": "lang_ko"], composition: .single("ko")),
      Case(name: "ah_legacy_lang", adapters: ["ko": "legacy_lang_ko"], composition: .single("ko")),
    ] + FusionOrder.allCases.flatMap(fusions)

  static func fusions(_ order: FusionOrder) -> [Case] {
    var cases = [
      Case(
        name: "ah_fuse", adapters: ab, composition: .fuse(["a", "b"]), fusion: "fusion_ab", hidden: 5e-5),
      Case(
        name: "ah_fuse_static", adapters: ab, composition: .fuse(["a", "b"]), fusion: "fusion_static",
        hidden: 5e-5),
      Case(
        name: "ah_stack_fuse", adapters: ab.merging(["ko": "lang_ko"]) { $1 },
        composition: .stack([.single("ko"), .fuse(["a", "b"])]), fusion: "fusion_ab", hidden: 5e-5),
    ]
    for index in cases.indices { cases[index].order = order }
    return cases
  }

  @Test(arguments: cases)
  func logitsAndLoss(_ test: Case) throws {
    let golden = try Fixtures.golden(test.name)
    let model = try test.model()
    expectClose(model.logits(), try golden.floats("logits"), absolute: 5e-6, "logits")
    // The pooled output is a row of the last hidden state through one more layer, with the noise of hidden states.
    expectClose(model.pooled, try golden.floats("pooled"), absolute: test.hidden, "pooled")
    expectClose(model.addGradients(), Double(try golden.floats("loss")[0]), absolute: 5e-6, "loss")
  }

  @Test(
    arguments: cases.filter { $0.fusion != "fusion_static" && $0.trained != [] || $0.fusion == "fusion_ab" })
  func everyGradient(_ test: Case) throws {
    let golden = try Fixtures.golden(test.name)
    let model = try test.model()
    _ = model.addGradients()
    let names = golden.names(under: "grad/")
    #expect(Set(names) == Set(model.store.table.trainableEntries.map(\.specification.name)))
    for name in names {
      expectClose(model.gradient(name), try golden.floats("grad/" + name), absolute: 5e-6, name)
    }
  }

  /// The gradients of a language adapter below a task adapter, through its invertible block.
  @Test
  func gradientsOfTheLanguageAdapter() throws {
    guard var test = Self.cases.first(where: { $0.name == "ah_stack" }) else { return }
    test.trained = ["ko", "task"]
    let golden = try Fixtures.golden(test.name)
    let model = try test.model()
    _ = model.addGradients()
    let names = golden.names(under: "grad_if_unfrozen/")
    #expect(names.contains { $0.contains("invertible") })
    for name in names {
      expectClose(model.gradient(name), try golden.floats("grad_if_unfrozen/" + name), absolute: 5e-6, name)
    }
  }

  @Test(arguments: cases.filter { ["ah_pfeiffer", "ah_fuse"].contains($0.name) })
  func parametersAfterThreeSteps(_ test: Case) throws {
    let golden = try Fixtures.golden(test.name)
    let model = try test.model()
    let method = try test.method()
    try model.trainThreeSteps { step in
      method.addRegularizationGradient(to: model.gradients, of: model.store, reviewCount: 16, step: step)
    }
    #expect(golden.names(under: "after3/").count == model.store.table.trainableEntries.count)
    let (clear, noisy) = test.fusion == nil ? (4e-6, 5e-6) : (1e-5, 3e-4)
    try model.expectParametersAfterThreeSteps(golden, clear: clear, noisy: noisy)
  }

  /// Hidden states of the first two reviews, and the shares of a fusion.
  @Test(
    arguments: cases.filter {
      ["ah_pfeiffer", "ah_houlsby", "ah_stack", "ah_lang_only", "ah_legacy_lang", "ah_fuse", "ah_stack_fuse"]
        .contains($0.name)
    })
  func hiddenStates(_ test: Case) throws {
    let golden = try Fixtures.golden(test.name)
    let model = try test.model(readsAll: true)
    try model.expectHiddenStates(golden, within: test.hidden) { layer, views in
      guard test.name == "ah_fuse" else { return }
      let branch = try #require(model.model.encoder.layers[layer].output.branch as? AdapterBranch)
      #expect(branch.fusionOrder == test.order)
      let shares = try #require(branch.fusionShares)
      try expectRows(shares, views, golden, "fusion_attention.\(layer)", 1e-5)
    }
  }

  /// AdapterHub's flexible head: two maps of its own on the raw first token.
  @Test
  func flexibleHead() throws {
    let golden = try Fixtures.golden("ah_flex_head")
    let model = try GoldenModel(
      BottleneckAdapters(Self.configuration("flex_task")),
      files: ["adapterhub/flex_task/pytorch_adapter.bin", "adapterhub/flex_task/pytorch_model_head.bin"],
      head: .flexible("task"))
    expectClose(model.logits(), try golden.floats("logits"), absolute: 5e-6, "logits")
    expectClose(model.addGradients(), Double(try golden.floats("loss")[0]), absolute: 5e-6, "loss")
    let names = golden.names(under: "grad/")
    #expect(Set(names) == Set(model.store.table.trainableEntries.map(\.specification.name)))
    for name in names {
      expectClose(model.gradient(name), try golden.floats("grad/" + name), absolute: 5e-6, name)
    }
  }

  /// The regulariser's value and gradient.
  @Test
  func regularization() throws {
    guard let test = Self.cases.first(where: { $0.name == "ah_fuse" }) else { return }
    let golden = try Fixtures.golden(test.name)
    let model = try test.model()
    let method = try #require(test.method() as? AdapterFusion)
    expectClose(
      method.regularizationLoss(model.store), Double(try golden.floats("reg_loss")[0]),
      relative: 1e-5, "regulariser")
    method.addRegularizationGradient(to: model.gradients, of: model.store, reviewCount: 16, step: 0)
    #expect(model.gradient("classifier.bias") == [0, 0])
    let name = "bert.encoder.layer.0.output.adapter_fusion_layer.a,b.value.weight"
    #expect(model.gradient(name).allSatisfy { $0 == 0 }, "the first step has none")
    method.addRegularizationGradient(to: model.gradients, of: model.store, reviewCount: 16, step: 1)
    expectClose(model.gradient(name), try golden.floats("reg_grad/layer0"), absolute: 1e-6, name)
  }
}
