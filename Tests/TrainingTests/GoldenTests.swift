import BERT
import FineTuning
import Tensors
import TestSupport
import Testing
import Training

/// Logits, losses, hidden states, every gradient and the parameters after three steps, against the Python libraries,
/// within the tolerances that the float noise of the references themselves allows.
@Suite(.enabled(if: Fixtures.areAvailable))
struct GoldenTests {
  struct Case: Sendable, CustomStringConvertible {
    let name: String
    let method: any FineTuningMethod
    var adapter: String?
    /// Absolute tolerance of parameters after three steps.
    let afterThree: Double
    var description: String { name }
  }

  static let cases: [Case] = {
    var list = [
      Case(name: "full", method: FullFineTuning(), afterThree: 1e-4),
      Case(name: "bitfit", method: BitFit(), afterThree: 1e-4),
    ]
    if let lora = try? LoRA(loraRank: 8, alpha: 16, dropout: 0) {
      list.append(
        Case(
          name: "peft_lora", method: lora, adapter: "peft/lora/adapter_model.safetensors", afterThree: 5e-6))
    }
    if let linear = try? LoRA(
      loraRank: 4, alpha: 8, dropout: 0, targets: ["query", "key", "value", "dense"], bias: .loraOnly)
    {
      list.append(
        Case(
          name: "peft_lora_all_linear", method: linear,
          adapter: "peft/lora_all_linear/adapter_model.safetensors", afterThree: 5e-6))
    }
    return list
  }()

  /// The published PEFT name of a parameter in memory, as ours.
  static func ours(_ name: String) -> String {
    let dropped: Set<Substring> = ["base_model", "model", "modules_to_save", "base_layer", "default"]
    return name.split(separator: ".").filter { !dropped.contains($0) }.joined(separator: ".")
  }

  @Test(arguments: cases)
  func logitsAndLoss(_ test: Case) throws {
    let golden = try Fixtures.golden(test.name)
    let model = try GoldenModel(test.method, adapter: test.adapter)
    expectClose(model.logits(), try golden.floats("logits"), absolute: 5e-6, "logits")
    expectClose(model.pooled, try golden.floats("pooled"), absolute: 5e-6, "pooled")
    expectClose(model.addGradients(), Double(try golden.floats("loss")[0]), absolute: 5e-6, "loss")
  }

  @Test(arguments: cases)
  func everyGradient(_ test: Case) throws {
    let golden = try Fixtures.golden(test.name)
    let model = try GoldenModel(test.method, adapter: test.adapter)
    _ = model.addGradients()
    let names = golden.names(under: "grad/")
    #expect(Set(names.map(Self.ours)) == Set(model.store.table.trainableEntries.map(\.specification.name)))
    for name in names {
      expectClose(
        model.gradient(Self.ours(name)), try golden.floats("grad/" + name), absolute: 5e-6, name)
    }
  }

  @Test(arguments: cases)
  func parametersAfterThreeSteps(_ test: Case) throws {
    let golden = try Fixtures.golden(test.name)
    let model = try GoldenModel(test.method, adapter: test.adapter)
    var settings = Optimizer.Settings()
    settings.weightDecay = 0.01
    let optimizer = Optimizer(model.store, settings)
    let schedule = LearningRateSchedule(shape: .linear, peak: 2e-3, warmupSteps: 1, totalSteps: 4)
    let frozenBefore = Array(
      UnsafeBufferPointer(start: model.store.frozen, count: model.store.table.frozenCount))
    for step in 0..<3 {
      _ = model.addGradients()
      let norm = optimizer.norm(of: model.gradients, count: 16)
      optimizer.step(model.gradients, count: 16, norm: norm, learningRate: schedule.rate(at: step))
    }
    for name in golden.names(under: "after3/")
    where !name.hasSuffix("key.bias") && !name.hasSuffix("key.base_layer.bias") {
      expectClose(
        Array(model.store.elements(Self.ours(name))), try golden.floats("after3/" + name),
        absolute: test.afterThree, name)
    }
    let frozenAfter = Array(
      UnsafeBufferPointer(start: model.store.frozen, count: model.store.table.frozenCount))
    #expect(frozenAfter == frozenBefore, "frozen weights are bit-identical after training")
  }

  @Test
  func segments() throws {
    let golden = try Fixtures.golden("full_segments")
    let model = try GoldenModel(FullFineTuning(), types: "pair_token_type_ids")
    expectClose(model.logits(), try golden.floats("logits"), absolute: 5e-6, "logits")
  }

  /// The hidden states after the embeddings and after each layer; the last one with every row computed.
  @Test
  func hiddenStates() throws {
    let golden = try Fixtures.golden("full")
    let model = try GoldenModel(FullFineTuning(), readsAll: true)
    try model.batch.withViews { views in
      model.workspace.arena.reset()
      var x = model.model.encoder.embeddings.forward(views, model.workspace)
      try expectRows(x, views, try golden.tensor("hidden2.0"))
      for (index, layer) in model.model.encoder.layers.enumerated() {
        x = layer.forward(Operand(x), views, onlyReads: index == 2, saves: false, model.workspace).values
        try expectRows(x, views, try golden.tensor(index == 2 ? "hidden.3" : "hidden2.\(index + 1)"))
      }
    }
  }

  private func expectRows(_ x: Matrix, _ views: BatchViews, _ golden: GoldenTensor) throws {
    let (reviews, length, width) = (golden.shape[0], golden.shape[1], golden.shape[2])
    for review in 0..<reviews {
      for row in Int(views.tokens.offsets[review])..<Int(views.tokens.offsets[review + 1]) {
        let position = Int(views.tokens.positions[row])
        let start = (review * length + position) * width
        expectClose(
          UnsafeBufferPointer(start: x.row(row), count: width), golden.floats[start..<start + width],
          absolute: 1e-5, "review \(review), position \(position)")
      }
    }
  }
}
