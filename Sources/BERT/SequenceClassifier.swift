internal import Kernels
package import Tensors

/// BERT with its classification head: one worker's instance, over parameters that all workers share.
package final class SequenceClassifier: TaskModel {
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

  /// The logits of a review.
  package var outputCount: Int { configuration.labelCount }

  /// Writes the logits; labels are not asked for.
  package func evaluate(
    _ batch: BatchViews, labels: UnsafePointer<Int32>, into output: (Int) -> UnsafeMutablePointer<Float>,
    _ workspace: Workspace
  ) {
    let logits = logits(batch, workspace)
    for review in 0..<logits.rows { output(review).update(from: logits.row(review), count: logits.columns) }
  }

  /// One pass forward and backward over reviews with a label each.
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
}
