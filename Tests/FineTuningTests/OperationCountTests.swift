import BERT
import FineTuning
import TestSupport
import Testing

/// The count of floating-point operations against products written out, two operations a multiplication.
@Suite
struct OperationCountTests {
  /// H 24, I 40, 2 layers, 10 tokens: keys and values for all tokens, the rest of the last layer for one row.
  static let forward: (first: (qkv: Double, rest: Double), last: (qkv: Double, rest: Double)) = {
    let (n, h, i) = (10.0, 24.0, 40.0)
    let qkv = 2 * n * h * 3 * h
    let rest = 2 * n * h * h + 2 * n * h * i * 2 + 2 * n * n * h * 2
    let lastQKV = 2 * h * h + 2 * n * h * 2 * h
    let lastRest = 2 * h * h + 2 * h * i * 2 + 2 * n * h * 2
    return ((qkv, rest), (lastQKV, lastRest))
  }()

  @Test
  func methods() throws {
    let (first, last) = Self.forward
    let all = first.qkv + first.rest + last.qkv + last.rest
    let expected: [(String, Double)] = [
      // Forward, gradients of inputs, gradients of weights.
      ("full", 3 * all),
      // Forward alone: the classifier is left out everywhere.
      ("linear-probe", all),
      // Forward and gradients of inputs; the lowest layer's query, key and value need none.
      ("lora", 2 * all - first.qkv),
    ]
    for (name, operations) in expected {
      let method = try FineTuningMethods.method(named: name, FineTuningOptions())
      expectClose(
        method.floatingPointOperations(TinyModel.configuration(), tokens: 10), operations, relative: 1e-12,
        name)
    }
  }
}
