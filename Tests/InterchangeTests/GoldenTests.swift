import Failures
import Interchange
import TestSupport
import Testing

@Suite struct GoldenTests {
  @Test(.enabled(if: Fixtures.areAvailable))
  func goldenFilesAreRead() throws {
    let full = try Fixtures.golden("full")
    #expect(try full.tensor("logits").shape.count == 2)
    expectClose(try full.floats("logits"), try full.doubles("logits_f64"), absolute: 5e-6)
    #expect(!full.names(under: "grad/").isEmpty)
    let inputs = try Fixtures.golden("inputs")
    #expect(inputs.tensors.values.contains { !$0.integers.isEmpty })
  }
}
