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
    var description: String { name }
  }

  static let cases = [
    Case(name: "full", method: FullFineTuning()),
    Case(name: "bitfit", method: BitFit()),
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
    try model.trainThreeSteps()
    try model.expectParametersAfterThreeSteps(golden, noisy: 1e-4)
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
