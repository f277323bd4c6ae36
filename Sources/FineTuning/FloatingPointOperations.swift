package import BERT
internal import Tensors

extension FineTuningMethod {
  /// How many floating-point operations a training step needs for one review, in matrix products alone: what no
  /// implementation can leave out. Products with a frozen weight have no weight gradient, and nothing runs below the
  /// lowest trained layer; in the last layer only keys and values are computed for every token.
  package func floatingPointOperations(_ c: BERTConfiguration, tokens: Int) -> Double {
    guard let table = try? table(for: c) else { return 0 }
    let trained = table.trainableEntries.map(\.specification.name)
    let lowest = model(c, table).encoder.lowestTrainable
    let trainsWeights = trained.contains { $0.hasSuffix("intermediate.dense.weight") }
    var total = 0.0
    for layer in 0..<c.layerCount {
      let last = layer == c.layerCount - 1
      let rows = Double(last ? 1 : tokens)
      let n = Double(tokens)
      let (h, i) = (Double(c.hiddenSize), Double(c.intermediateSize))
      let forwardQKV = 2 * h * h * (rows + 2 * n)
      let forwardRest = rows * (2 * h * h + 4 * h * i) + 4 * rows * n * h
      var passes = 1.0
      if layer >= lowest { passes += trainsWeights ? 2 : 1 }
      total += forwardRest * passes
      // The lowest trained layer needs no gradient of its input.
      let qkvPasses = 1 + (layer > lowest ? 1.0 : 0) + (layer >= lowest && trainsWeights ? 1 : 0)
      total += forwardQKV * qkvPasses
    }
    return total
  }
}
