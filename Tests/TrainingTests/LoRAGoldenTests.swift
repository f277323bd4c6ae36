import BERT
import FineTuning
import Interchange
import Tensors
import TestSupport
import Testing
import Training

/// The LoRA family, (IA)³ and prefix tuning against PEFT and AdapterHub's library.
@Suite(.enabled(if: Fixtures.areAvailable))
struct LoRAGoldenTests {
  struct Case: Sendable, CustomStringConvertible {
    let name: String
    let make: @Sendable () throws -> any FineTuningMethod
    let files: [String]
    /// The name in the file and among the golden gradients, from ours.
    let published: @Sendable (String) -> String
    var inMemory: @Sendable (String) -> String
    var description: String { name }
  }

  static let cases = [
    peft("peft_lora", "lora") { try LoRA(loraRank: 8, alpha: 16, dropout: 0) },
    peft("peft_lora_all_linear", "lora_all_linear") {
      try LoRA(
        loraRank: 4, alpha: 8, dropout: 0, targets: ["query", "key", "value", "dense"], bias: .loraOnly)
    },
    peft("peft_rslora", "rslora") { try LoRA(loraRank: 8, alpha: 16, dropout: 0, variant: .rslora) },
    peft("peft_dora", "dora") { try LoRA(loraRank: 8, alpha: 16, dropout: 0, variant: .dora) },
    adapterHub("ah_lora", "ah_lora") { try LoRA(loraRank: 4, alpha: 8, dropout: 0) },
    adapterHub("ah_dora", "ah_dora") { try LoRA(loraRank: 4, alpha: 8, dropout: 0, variant: .adapterHubDora) },
    adapterHub("ah_ia3", "ia3") { IA3() },
    adapterHub("ah_prefix_tuning", "prefix_tuning") { try PrefixTuning(length: 5, bottleneckSize: 24) },
  ]

  private static func peft(
    _ name: String, _ folder: String, _ make: @escaping @Sendable () throws -> any FineTuningMethod
  ) -> Case {
    Case(
      name: name, make: make, files: ["peft/\(folder)/adapter_model.safetensors"],
      published: { "base_model.model." + $0 },
      inMemory: { ours in
        var name = "base_model.model." + ours
        for part in ["lora_A", "lora_B", "lora_magnitude_vector"] where name.contains("." + part) {
          name = name.components("." + part).joined(separator: ".\(part).default")
          if part == "lora_magnitude_vector" { name += ".weight" }
        }
        if name.hasSuffix(".bias"), !name.contains("classifier") {
          name = name.dropLast(".bias".count) + ".base_layer.bias"
        }
        return name.components("classifier.").joined(separator: "classifier.modules_to_save.default.")
      })
  }

  private static func adapterHub(
    _ name: String, _ folder: String, _ make: @escaping @Sendable () throws -> any FineTuningMethod
  ) -> Case {
    let published: @Sendable (String) -> String = { ours in
      let layer0 = "bert.encoder.layer.0.attention.self.prefix_tuning.pool.prefix_tunings.task"
      let endings = [
        (".lora_A.weight", ".loras.task.lora_A"), (".lora_B.weight", ".loras.task.lora_B"),
        (".lora_magnitude_vector", ".loras.task.m.weight"), (".ia3_l", ".loras.task.lora_B"),
      ]
      if ours.hasPrefix("prefix_tuning.") { return layer0 + ours.dropFirst("prefix_tuning".count) }
      for (own, theirs) in endings where ours.hasSuffix(own) { return ours.dropLast(own.count) + theirs }
      return ours
    }
    return Case(
      name: name, make: make,
      files: ["pytorch_adapter.bin", "pytorch_model_head.bin"].map { "adapterhub/\(folder)/\($0)" },
      published: published, inMemory: published)
  }

  private func model(_ test: Case) throws -> GoldenModel {
    try GoldenModel(test.make(), files: test.files, published: test.published)
  }

  @Test(arguments: cases)
  func logitsAndLoss(_ test: Case) throws {
    let golden = try Fixtures.golden(test.name)
    let model = try model(test)
    expectClose(model.logits(), try golden.floats("logits"), absolute: 5e-6, "logits")
    expectClose(model.pooled, try golden.floats("pooled"), absolute: 5e-6, "pooled")
    expectClose(model.addGradients(), Double(try golden.floats("loss")[0]), absolute: 5e-6, "loss")
  }

  @Test(arguments: cases)
  func everyGradient(_ test: Case) throws {
    let golden = try Fixtures.golden(test.name)
    let model = try model(test)
    _ = model.addGradients()
    let names = model.store.table.trainableEntries.map(\.specification.name)
    #expect(Set(names.map(test.inMemory)) == Set(golden.names(under: "grad/")))
    for name in names {
      expectClose(
        model.gradient(name), try golden.floats("grad/" + test.inMemory(name)), absolute: 5e-6, name)
    }
  }

  @Test(arguments: cases.filter { $0.name.hasPrefix("peft_") })
  func parametersAfterThreeSteps(_ test: Case) throws {
    let golden = try Fixtures.golden(test.name)
    let model = try model(test)
    try model.trainThreeSteps()
    try model.expectParametersAfterThreeSteps(golden, noisy: 5e-6, named: test.inMemory)
  }

  @Test
  func hiddenStates() throws {
    let test = try #require(Self.cases.first { $0.name == "peft_lora" })
    let model = try GoldenModel(test.make(), files: test.files, published: test.published, readsAll: true)
    try model.expectHiddenStates(Fixtures.golden(test.name), within: 1e-5)
  }

  /// The plain BERT that PEFT's `merge_and_unload` makes.
  @Test(arguments: cases.filter { $0.name.hasPrefix("peft_") })
  func merged(_ test: Case) throws {
    let golden = try Fixtures.golden(test.name)
    let model = try model(test)
    let unmerged = model.logits()
    let method = try test.make()
    let plain = try GoldenModel(Merged(method), files: test.files, published: test.published)
    for projection in plain.model.projections {
      let (weight, bias) = (plain.store[projection.weight], plain.store[projection.bias])
      method.fold(into: BaseWeight(name: projection.name, weight: weight, bias: bias), model.store)
    }
    plain.store.writeTransposes()
    expectClose(plain.logits(), try golden.floats("merged_logits"), absolute: 5e-6, "merged logits")
    expectClose(plain.logits(), unmerged, absolute: 1e-5, "merged and not")
    let weights = golden.names(under: "merged/")
    #expect(!weights.isEmpty)
    for name in weights {
      expectClose(Array(plain.store.elements(name)), try golden.floats("merged/" + name), absolute: 1e-6, name)
    }
  }
}

extension String {
  /// The parts between occurrences of a separator, without Foundation.
  fileprivate func components(_ separator: String) -> [Substring] {
    var (parts, rest) = ([Substring](), self[...])
    while let range = rest.firstRange(of: separator) {
      parts.append(rest[..<range.lowerBound])
      rest = rest[range.upperBound...]
    }
    return parts + [rest]
  }
}
