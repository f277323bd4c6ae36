internal import Kernels
package import Tensors

/// BERT's head for classification: `logits = W_c · drop(tanh(W_p h + b_p)) + b_c` on each review's `[CLS]`.
package final class ClassificationHead {
  /// The pooler's projection.
  package let pooler: Projection
  /// The classifier.
  package let classifier: Projection
  private let poolerGroup: ProjectionGroup
  private let classifierGroup: ProjectionGroup
  private let dropoutProbability: Float
  private let hiddenSize: Int
  private let labelCount: Int
  private var saved: (h: Matrix, pooled: Matrix, dropped: Matrix, mask: Mask?)?

  init(_ configuration: BERTConfiguration, _ table: ParameterTable) {
    let layers = configuration.layerCount
    pooler = Projection(
      "bert.pooler.dense", table, branchSite: DropoutSite.branch(layer: layers, projection: 0))
    classifier = Projection(
      "classifier", table, branchSite: DropoutSite.branch(layer: layers, projection: 1))
    poolerGroup = ProjectionGroup([pooler])
    classifierGroup = ProjectionGroup([classifier])
    dropoutProbability = configuration.pooledDropout
    hiddenSize = configuration.hiddenSize
    labelCount = configuration.labelCount
  }

  /// - Parameters:
  ///   - h: The last layer at `[CLS]`, `[reviews, H]`.
  ///   - rows: Which tokens the rows are.
  ///   - workspace: Parameters, memory, dropout.
  /// - Returns: `[reviews, C]`.
  func forward(_ h: Matrix, _ rows: Rows, _ workspace: Workspace) -> Matrix {
    let arena = workspace.arena
    let logits = arena.matrix(rows.count, labelCount)
    let pooled = arena.matrix(rows.count, hiddenSize)
    poolerGroup.forward(h, into: pooled, rows, workspace)
    tanhRows(pooled)
    let mask = workspace.mask(
      rows, columns: hiddenSize, probability: dropoutProbability, site: DropoutSite.pooled)
    var dropped = pooled
    if let mask {
      dropped = arena.matrix(rows.count, hiddenSize)
      applyMask(mask, pooled, into: dropped)
    }
    classifierGroup.forward(dropped, into: logits, rows, workspace)
    saved = (h, pooled, dropped, mask)
    return logits
  }

  /// The pooled output of the last forward, `[reviews, H]`, before dropout.
  package var pooled: Matrix? { saved?.pooled }

  /// - Parameters:
  ///   - dLogits: `[reviews, C]`.
  ///   - dh: Where the gradient of `h` goes, `[reviews, H]`; nil when nothing below is trained.
  ///   - rows: Which tokens the rows are.
  ///   - workspace: Where gradients go, memory.
  func backward(_ dLogits: Matrix, dh: Matrix?, _ rows: Rows, _ workspace: Workspace) {
    guard let saved else { preconditionFailure("backward of the head without its forward") }
    let needsPooled = dh != nil || pooler.isTrainable
    let dPooled = needsPooled ? workspace.arena.matrix(rows.count, hiddenSize) : nil
    classifierGroup.backward(dLogits, saved.dropped, dx: dPooled, accumulate: false, rows, workspace)
    guard let dPooled else { return }
    if let mask = saved.mask { applyMask(mask, dPooled, into: dPooled) }
    tanhBackward(dPooled, y: saved.pooled)
    poolerGroup.backward(dPooled, saved.h, dx: dh, accumulate: false, rows, workspace)
  }
}
