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
    /// Absolute tolerance of parameters after three steps.
    let afterThree: Double
    var description: String { name }
  }

  static let cases = [
    Case(name: "full", method: FullFineTuning(), afterThree: 1e-4),
    Case(name: "bitfit", method: BitFit(), afterThree: 1e-4),
  ]

  @Test(arguments: cases)
  func logitsAndLoss(_ test: Case) throws {
    let golden = try Fixtures.golden(test.name)
    let model = try GoldenModel(test.method)
    expectClose(model.logits(), try golden.floats("logits"), absolute: 5e-6, "logits")
    expectClose(model.pooled, try golden.floats("pooled"), absolute: 5e-6, "pooled")
    expectClose(model.addGradients(), Double(try golden.floats("loss")[0]), absolute: 5e-6, "loss")
  }

  @Test(arguments: cases)
  func everyGradient(_ test: Case) throws {
    let golden = try Fixtures.golden(test.name)
    let model = try GoldenModel(test.method)
    _ = model.addGradients()
    let names = golden.names(under: "grad/")
    #expect(Set(names) == Set(model.store.table.trainableEntries.map(\.specification.name)))
    for name in names {
      expectClose(
        model.gradient(name), try golden.floats("grad/" + name), absolute: 5e-6, name)
    }
  }

  @Test(arguments: cases)
  func parametersAfterThreeSteps(_ test: Case) throws {
    let golden = try Fixtures.golden(test.name)
    let model = try GoldenModel(test.method)
    var settings = Optimizer.Settings()
    settings.weightDecay = 0.01
    let optimizer = try Optimizer(model.store, settings)
    let schedule = LearningRateSchedule(shape: .linear, peak: 2e-3, warmupSteps: 1, totalSteps: 4)
    let frozenBefore = Array(
      UnsafeBufferPointer(start: model.store.frozen, count: model.store.table.frozenCount))
    for step in 0..<3 {
      _ = model.addGradients()
      let norm = optimizer.norm(of: model.gradients, count: 16)
      optimizer.step(model.gradients, count: 16, norm: norm, learningRate: schedule.rate(at: step))
    }
    for name in golden.names(under: "after3/")
    where !name.hasSuffix("key.bias") {
      expectClose(
        Array(model.store.elements(name)), try golden.floats("after3/" + name),
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

  /// Padding read as if it were text: the reference without its mask.
  @Test
  func withoutMask() throws {
    let golden = try Fixtures.golden("full")
    let model = try GoldenModel(FullFineTuning(), readsPadding: true)
    expectClose(model.logits(), try golden.floats("logits_no_mask"), absolute: 5e-6, "logits")
  }

  /// The hidden states after the embeddings and after each layer; the last one with every row computed.
  @Test
  func hiddenStates() throws {
    let model = try GoldenModel(FullFineTuning(), readsAll: true)
    try model.expectHiddenStates(Fixtures.golden("full"), within: 1e-5)
  }
}
