internal import Kernels
package import Tensors

/// Which classification head a model has: where its two linear maps lie, and whether its input is dropped out too.
package struct HeadDesign: Sendable, Equatable {
  /// The name of a flexible head; nil for BERT's own.
  package let name: String?
  /// The module before tanh.
  package let dense: String
  /// The module that gives logits.
  package let classifier: String
  /// Whether there is dropout before the first map as well.
  package let dropsInput: Bool

  /// BERT's own: the pooler, which belongs to the base, and a classifier.
  package static let pooled = HeadDesign(
    name: nil, dense: "bert.pooler.dense", classifier: "classifier", dropsInput: false)

  /// BERT's head that says whether a second segment follows the first one: the pooler, and two classes.
  package static let nextSentence = HeadDesign(
    name: nil, dense: "bert.pooler.dense", classifier: "cls.seq_relationship", dropsInput: false)

  /// AdapterHub's flexible head of a name: two maps of its own on the raw first token.
  package static func flexible(_ name: String) -> HeadDesign {
    HeadDesign(name: name, dense: "heads.\(name).1", classifier: "heads.\(name).4", dropsInput: true)
  }

  /// Whether a parameter belongs to a head and not to the base. The decoder of masked-language modelling, which is the
  /// table of token embeddings with a bias, is the base's.
  package static func owns(_ name: String) -> Bool {
    classifies(name) || name.hasPrefix(MaskedLanguageHead.transform + ".")
      || name.hasPrefix(HeadDesign.nextSentence.classifier + ".")
  }

  /// Whether a parameter belongs to a head for classification.
  package static func classifies(_ name: String) -> Bool {
    name.hasPrefix("classifier.") || name.hasPrefix("heads.")
  }
}

/// A head for classification: `logits = W_c · drop(tanh(W_p h + b_p)) + b_c` on each review's `[CLS]`, where a flexible
/// head drops out h as well.
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
  private let dropsInput: Bool
  private var saved: (h: Matrix, inputMask: Mask?, pooled: Matrix, dropped: Matrix, mask: Mask?)?

  init(_ configuration: BERTConfiguration, _ table: ParameterTable) {
    let layers = configuration.layerCount
    pooler = Projection(
      configuration.head.dense, table, branchSite: DropoutSite.branch(layer: layers, projection: 0))
    classifier = Projection(
      configuration.head.classifier, table, branchSite: DropoutSite.branch(layer: layers, projection: 1))
    poolerGroup = ProjectionGroup([pooler])
    classifierGroup = ProjectionGroup([classifier])
    dropoutProbability = configuration.pooledDropout
    hiddenSize = configuration.hiddenSize
    labelCount = configuration.labelCount
    dropsInput = configuration.head.dropsInput
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
    var input = h
    let inputMask =
      dropsInput
      ? workspace.mask(
        rows, columns: hiddenSize, probability: dropoutProbability, site: DropoutSite.headInput) : nil
    if let inputMask {
      input = arena.matrix(rows.count, hiddenSize)
      applyMask(inputMask, h, into: input)
    }
    poolerGroup.forward(Operand(input), into: pooled, rows, workspace)
    tanhRows(pooled)
    let mask = workspace.mask(
      rows, columns: hiddenSize, probability: dropoutProbability, site: DropoutSite.pooled)
    var dropped = pooled
    if let mask {
      dropped = arena.matrix(rows.count, hiddenSize)
      applyMask(mask, pooled, into: dropped)
    }
    classifierGroup.forward(Operand(dropped), into: logits, rows, workspace)
    saved = (input, inputMask, pooled, dropped, mask)
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
    classifierGroup.backward(Operand(dLogits), Operand(saved.dropped), dx: dPooled, accumulate: false, rows, workspace)
    guard let dPooled else { return }
    if let mask = saved.mask { applyMask(mask, dPooled, into: dPooled) }
    tanhBackward(dPooled, y: saved.pooled)
    poolerGroup.backward(Operand(dPooled), Operand(saved.h), dx: dh, accumulate: false, rows, workspace)
    if let dh, let mask = saved.inputMask { applyMask(mask, dh, into: dh) }
  }
}
