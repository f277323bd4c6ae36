internal import Kernels
package import Tensors

/// BERT with its classification head: one worker's instance, over parameters that all workers share.
package final class SequenceClassifier {
  /// The model's shape.
  package let configuration: BERTConfiguration
  /// The encoder.
  package let encoder: BERTModel
  /// The head.
  package let head: ClassificationHead

  /// A model over a table that has all of `configuration.parameters`.
  package init(_ configuration: BERTConfiguration, _ table: ParameterTable) {
    self.configuration = configuration
    encoder = BERTModel(configuration, table)
    head = ClassificationHead(configuration, table)
    encoder.settleTrainableLayers()
  }

  /// Every linear map that a fine-tuning method can name, the encoder's first.
  package var projections: [Projection] {
    encoder.layers.flatMap(\.projections) + [head.pooler, head.classifier]
  }

  /// To be called when branches have been attached: finds out how far down backward has to go.
  package func branchesWereAttached() { encoder.settleTrainableLayers() }

  /// The logits of a batch, `[reviews, C]`, in the workspace's arena. Dropout is on when the workspace is training.
  package func logits(_ batch: BatchViews, _ workspace: Workspace) -> Matrix {
    head.forward(encoder.forward(batch, workspace), batch.reads, workspace)
  }

  /// One pass forward and backward: adds the gradient of the *sum* of the reviews' losses to the workspace's gradients.
  /// - Parameters:
  ///   - batch: The reviews.
  ///   - labels: `[reviews]`.
  ///   - losses: `[reviews]`, receives each review's cross-entropy.
  ///   - workspace: Parameters, where gradients go, memory, dropout.
  package func addGradients(
    _ batch: BatchViews, labels: UnsafePointer<Int32>, losses: UnsafeMutablePointer<Double>,
    _ workspace: Workspace
  ) {
    let logits = logits(batch, workspace)
    for r in 0..<logits.rows {
      losses[r] = crossEntropy(
        logits.row(r), count: logits.columns, label: Int(labels[r]), gradient: logits.row(r))
    }
    guard encoder.needsGradient else {
      head.backward(logits, dh: nil, batch.reads, workspace)
      return
    }
    let dh = workspace.arena.matrix(batch.reads.count, configuration.hiddenSize)
    head.backward(logits, dh: dh, batch.reads, workspace)
    workspace.completed?(BackwardStages.head)
    encoder.backward(dh, batch, workspace)
  }

  /// How many bytes of arena a training pass over `tokens` tokens takes at least, whatever its reviews: what the trained
  /// layers but the last keep for backward, and every layer's output.
  package func leastArenaBytes(tokens: Int) -> Int {
    let c = configuration
    let kept = encoder.layers.indices.dropLast().filter { $0 >= encoder.lowestTrainable }
      .reduce(0) { total, index in
        let keepsActivated = encoder.layers[index].outputDense.isTrainable
        return total + 7 * c.hiddenSize + (keepsActivated ? 2 : 1) * c.intermediateSize
      }
    return 4 * tokens * (kept + c.layerCount * c.hiddenSize)
  }

  /// How many bytes of arena a pass over `tokens` tokens of `reviews` reviews takes at most, for reservation.
  package func arenaBytes(tokens: Int, reviews: Int, longest: Int) -> Int {
    let c = configuration
    let perToken = 24 * c.hiddenSize + 5 * c.intermediateSize
    let masks = (3 * (c.hiddenSize + 128) + 16 * c.hiddenSize) / 4
    let prefix = encoder.layers.map { $0.attentionPrefix?.length ?? 0 }.max() ?? 0
    let attention = c.attentionHeadCount * (longest + prefix + 128) * 5 / 4 + 2 * 128
    let backward = 10 * c.hiddenSize + 2 * c.intermediateSize + longest
    let ends = encoder.layers.flatMap(\.blockOutputs)
    let branches =
      ends.reduce(encoder.embeddings.branch?.floatsPerRow ?? 0) { $0 + ($1.branch?.floatsPerRow ?? 0) }
      + projections.reduce(0) { $0 + ($1.branch?.floatsPerRow ?? 0) }
    let floats = (tokens + 64) * ((perToken + masks + attention) * (c.layerCount + 2) + backward + branches)
    // A review has at least a token, and its prefix is copied for it in each layer and once more in backward.
    let prefixes = prefix * c.hiddenSize * (2 * min(reviews, tokens) + 16) * (c.layerCount + 2)
    return 4 * (floats + prefixes) + reviews * (c.hiddenSize * 64) + (1 << 22)
  }
}
