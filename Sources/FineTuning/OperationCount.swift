package import BERT
internal import Tensors

/// How many floating-point operations a training step needs for one review, in matrix products alone, two a
/// multiplication: what no implementation can leave out.
///
/// Products with a frozen weight have no weight gradient, nothing runs below what is trained lowest, and in the last
/// layer only keys and values are computed for every token. The head, and what a method needs once a step whatever the
/// number of reviews, are left out.
package struct OperationCount {
  private let model: SequenceClassifier
  private let hiddenSize: Double

  /// The count for a method on a base.
  /// - Throws: `Failure` when the method's options do not fit the base.
  package init(_ method: any FineTuningMethod, _ configuration: BERTConfiguration) throws {
    model = method.model(configuration, try method.table(for: configuration))
    hiddenSize = Double(configuration.hiddenSize)
  }

  /// The operations for a review of so many tokens.
  package func operations(tokens: Int) -> Double {
    let encoder = model.encoder
    var total = embeddings(Double(tokens))
    for (index, layer) in encoder.layers.enumerated() {
      let rows = index == encoder.layers.count - 1 ? 1 : Double(tokens)
      total += forward(layer, rows: rows, tokens: Double(tokens))
      if index >= encoder.lowestTrainable {
        total += backward(
          layer, rows: rows, tokens: Double(tokens), needsInput: index > encoder.lowestTrainable)
      }
    }
    return total
  }

  private func embeddings(_ tokens: Double) -> Double {
    let (block, table) = (model.encoder.embeddings.branch, model.encoder.embeddings.tableBranch)
    let (own, low) = (
      block?.operationsPerRow ?? BranchOperations(), table?.operationsPerRow ?? BranchOperations()
    )
    let throughBlock = model.encoder.embeddings.ownIsTrainable ? own.inputGradient : 0
    return tokens * (own.forward + own.gradients + throughBlock + low.forward + low.gradients)
  }

  private func forward(_ layer: EncoderLayer, rows: Double, tokens: Double) -> Double {
    let keys = tokens + Double(layer.attentionPrefix?.length ?? 0)
    var total = 4 * rows * keys * hiddenSize
    for (place, projection) in layer.projections.enumerated() {
      let count = place == 1 || place == 2 ? tokens : rows
      total += count * (product(projection) + (projection.branch?.operationsPerRow.forward ?? 0))
    }
    for end in layer.blockOutputs { total += rows * (end.branch?.operationsPerRow.forward ?? 0) }
    return total
  }

  private func backward(_ layer: EncoderLayer, rows: Double, tokens: Double, needsInput: Bool) -> Double {
    let reach = layer.backwardReach(needsInput: needsInput)
    func end(_ output: BlockOutput, _ ownReach: EncoderLayer.Reach) -> Double {
      guard reach >= ownReach, let operations = output.branch?.operationsPerRow else { return 0 }
      return rows * (operations.gradients + (reach > ownReach ? operations.inputGradient : 0))
    }
    func projection(_ projection: Projection, _ ownReach: EncoderLayer.Reach) -> Double {
      reach >= ownReach ? rows * backward(projection, needsInput: reach > ownReach) : 0
    }
    var total = end(layer.output, .output) + end(layer.attentionOutput, .attentionOutput)
    total += projection(layer.outputDense, .outputDense)
    total += projection(layer.intermediateDense, .intermediateDense)
    total += projection(layer.attentionDense, .attentionDense)
    guard reach >= .attention else { return total }
    total += rows * backward(layer.query, needsInput: needsInput)
    total += tokens * (backward(layer.key, needsInput: needsInput) + backward(layer.value, needsInput: needsInput))
    return total + attention(layer, rows: rows, tokens: tokens, needsInput: needsInput)
  }

  /// Of the products with the probabilities and their gradients, those that something trained waits for.
  private func attention(_ layer: EncoderLayer, rows: Double, tokens: Double, needsInput: Bool) -> Double {
    let prefix = layer.attentionPrefix
    let all = needsInput || prefix?.isTrainable == true
    let (query, key) = (needsInput || layer.query.isTrainable, all || layer.key.isTrainable)
    let value = all || layer.value.isTrainable
    let needed = [query || key, query, key, value].count { $0 }
    return Double(2 * needed) * rows * (tokens + Double(prefix?.length ?? 0)) * hiddenSize
  }

  /// A row's product with a weight.
  private func product(_ projection: Projection) -> Double { 2 * Double(projection.weight.count) }

  /// A row's way back through a projection.
  private func backward(_ projection: Projection, needsInput: Bool) -> Double {
    let branch = projection.branch?.operationsPerRow ?? BranchOperations()
    return (projection.weight.isTrainable ? product(projection) : 0) + branch.gradients
      + (needsInput ? product(projection) + branch.inputGradient : 0)
  }
}
