import BERT
import Failures
import FineTuning
import Tensors
import TestSupport
import Testing

/// Which modules and biases LoRA's options mean.
@Suite
struct LoRAOptionTests {
  static let projections: [String] = {
    let model = TinyModel(TinyModel.configuration())
    return model.model.projections.map(\.name)
  }()

  static func targeted(_ targets: [String]) throws -> Set<String> {
    let lora = try LoRA(loraRank: 2, targets: targets)
    let added = try lora.addedParameters(TinyModel.configuration()).map(\.name)
    let names = added.map { name in
      String(
        name.dropLast(name.hasSuffix(".lora_A.weight") ? ".lora_A.weight".count : ".lora_B.weight".count))
    }
    for name in Set(names) { #expect(names.filter { $0 == name }.count == 2, "A and B of \(name)") }
    #expect(Set(names) == Set(projections.filter(lora.isTarget)))
    return Set(names)
  }

  /// PEFT's rule: a whole name, or its end after a dot.
  @Test(arguments: [
    (["query"], ["0.attention.self.query", "1.attention.self.query"]),
    (["self.value"], ["0.attention.self.value", "1.attention.self.value"]),
    (
      ["dense"],
      [
        "0.attention.output.dense", "0.intermediate.dense", "0.output.dense", "1.attention.output.dense",
        "1.intermediate.dense", "1.output.dense", "pooler",
      ]
    ),
    (["attention.output.dense"], ["0.attention.output.dense", "1.attention.output.dense"]),
    (
      ["output.dense"],
      ["0.attention.output.dense", "0.output.dense", "1.attention.output.dense", "1.output.dense"]
    ),
    (["bert.encoder.layer.1.attention.self.key"], ["1.attention.self.key"]),
    (["layer.0.intermediate.dense", "pooler.dense"], ["0.intermediate.dense", "pooler"]),
    (["bert.pooler.dense"], ["pooler"]), (["key", "key"], ["0.attention.self.key", "1.attention.self.key"]),
  ])
  func targets(_ targets: [String], _ expected: [String]) throws {
    let names = expected.map { $0 == "pooler" ? "bert.pooler.dense" : "bert.encoder.layer." + $0 }
    #expect(try Self.targeted(targets) == Set(names))
  }

  @Test
  func allLinear() throws {
    #expect(try Self.targeted(["all-linear"]) == Set(Self.projections).subtracting(["classifier"]))
    #expect(try Self.targeted(["query", "all-linear"]).count == 13)
  }

  @Test(arguments: [
    ["uery"], ["quer"], [""], ["query "], ["Query"], ["self"], ["LayerNorm"], ["position_embeddings"],
    ["classifier"], ["query", "nothing"], ["query.weight"], [".query"], ["*"],
  ])
  func unknownTargets(_ targets: [String]) throws {
    let lora = try LoRA(loraRank: 2, targets: targets)
    let wrong = targets.last ?? ""
    #expect {
      try lora.table(for: TinyModel.configuration())
    } throws: { error in
      guard let failure = error as? Failure else { return false }
      return failure.kind == .usage && failure.message.contains("--lora-targets")
        && failure.message.contains("\"\(wrong)\"") && failure.message.hasSuffix(".")
    }
  }

  @Test
  func defaults() throws {
    let method = try FineTuningMethods.method(named: "lora", FineTuningOptions())
    #expect(
      method.settings == [
        "lora_rank": "16", "lora_alpha": "32.0", "lora_dropout": "0.1", "lora_targets": "query,value",
        "lora_bias": "none", "lora_variant": "standard", "lora_plus_ratio": "1.0",
      ])
    var options = FineTuningOptions()
    options.loraRank = 6
    #expect(try FineTuningMethods.method(named: "lora", options).settings["lora_alpha"] == "12.0")
  }

  /// Which biases are trained beside A, B and the classifier.
  @Test(arguments: LoRA.Bias.allCases)
  func biases(_ bias: LoRA.Bias) throws {
    let lora = try LoRA(loraRank: 2, targets: ["query", "pooler.dense"], bias: bias)
    let table = try lora.table(for: TinyModel.configuration())
    let all = table.entries.map(\.specification.name).filter {
      $0.hasSuffix(".bias") && $0 != "classifier.bias"
    }
    let targets = [
      "bert.encoder.layer.0.attention.self.query.bias", "bert.encoder.layer.1.attention.self.query.bias",
      "bert.pooler.dense.bias",
    ]
    let expected =
      switch bias {
      case .none: Set<String>()
      case .loraOnly: Set(targets)
      case .all: Set(all)
      }
    let trained = table.trainableEntries.map(\.specification.name)
    let rest = ["classifier.weight", "classifier.bias"]
    #expect(Set(trained.filter { !$0.contains("lora_") }) == expected.union(rest))
    #expect(trained.filter { $0.contains("lora_") }.count == 6)
  }
}
