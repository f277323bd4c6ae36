internal import Kernels
package import Tensors

/// What a fine-tuning method does with the embeddings before the first layer reads them: an invertible block.
package protocol EmbeddingBranch: Branch {
  /// How many floats of arena a row takes at most, in forward and backward together.
  var floatsPerRow: Int { get }
  /// Changes the embeddings `[tokens, H]` in place.
  func forward(_ x: Matrix, _ rows: Rows, _ workspace: Workspace)
  /// Adds the branch's gradients and turns `dx` in place from the gradient of its output into that of its input.
  func backward(_ dx: Matrix, _ rows: Rows, _ workspace: Workspace)
  /// The branch that undoes this one, over the same parameters; nil for what cannot be undone.
  func inverted() -> (any EmbeddingBranch)?
}

extension EmbeddingBranch {
  /// Nothing that can be undone, unless a branch says more.
  package func inverted() -> (any EmbeddingBranch)? { nil }
}

/// What a fine-tuning method adds to the sum of a token's embeddings, before their normalisation.
package protocol EmbeddingTableBranch: Branch {
  /// Adds to the sum of the embeddings `[tokens, H]`.
  func forward(_ ids: UnsafePointer<Int32>, addingTo h: Matrix, _ workspace: Workspace)
  /// Adds the branch's gradients from that of the sum, `[tokens, H]`.
  func backward(_ dh: Matrix, _ ids: UnsafePointer<Int32>, _ workspace: Workspace)
}

/// The input of the encoder: `dropout(LN(word[id] + type[t] + position[p]))`, positions counted within each review.
package final class Embeddings {
  private let word: Parameter
  private let position: Parameter
  private let type: Parameter
  private let norm: LayerNorm
  private let dropoutProbability: Float
  private let paddingID: Int
  /// What a fine-tuning method added.
  package var branch: (any EmbeddingBranch)?
  /// What a fine-tuning method added to the tables.
  package var tableBranch: (any EmbeddingTableBranch)?

  private var mask: Mask?
  private var normalized: Matrix?
  private var inverseDeviations: UnsafeMutablePointer<Float>?

  init(_ configuration: BERTConfiguration, _ table: ParameterTable) {
    word = table["bert.embeddings.word_embeddings.weight"]
    position = table["bert.embeddings.position_embeddings.weight"]
    type = table["bert.embeddings.token_type_embeddings.weight"]
    norm = LayerNorm("bert.embeddings.LayerNorm", table, epsilon: configuration.layerNormEpsilon)
    dropoutProbability = configuration.hiddenDropout
    paddingID = configuration.padTokenID
  }

  /// Whether the tables, what was added to them, or their normalisation are trained.
  package var ownIsTrainable: Bool {
    word.isTrainable || position.isTrainable || type.isTrainable || norm.isTrainable
      || tableBranch?.isTrainable == true
  }
  var isTrainable: Bool { ownIsTrainable || branch?.isTrainable == true }

  /// - Returns: `[tokens, H]`.
  package func forward(_ batch: BatchViews, _ workspace: Workspace) -> Matrix {
    let rows = batch.tokens
    let h = workspace.arena.matrix(rows.count, word.columns)
    let y = workspace.arena.matrix(rows.count, word.columns)
    let deviations = workspace.arena.allocate(Float.self, rows.count)
    let (positions, types) = (workspace[position], workspace[type])
    for r in 0..<rows.count {
      let (out, id) = (h.row(r), Int(batch.ids[r]))
      workspace.parameters.copyRows(id..<id + 1, of: word, into: h.rows(r..<r + 1))
      let t = types.row(Int(batch.types[r]))
      let p = positions.row(Int(rows.positions[r]))
      for i in 0..<h.columns { out[i] = out[i] + t[i] + p[i] }
    }
    tableBranch?.forward(batch.ids, addingTo: h, workspace)
    normalizeSum(
      h, bias: nil, mask: nil, residual: nil, gamma: workspace[norm.weight].base,
      beta: workspace[norm.bias].base, epsilon: norm.epsilon, into: y, inverseDeviations: deviations)
    mask = workspace.mask(
      rows, columns: y.columns, probability: dropoutProbability, site: DropoutSite.embeddings)
    if let mask { applyMask(mask, y, into: y) }
    normalized = h
    inverseDeviations = deviations
    branch?.forward(y, rows, workspace)
    return y
  }

  /// Adds the gradients of the tables; the padding token's row gets none, as in the reference.
  /// - Parameters:
  ///   - dy: The gradient of the output; overwritten.
  ///   - batch: Which tokens the rows are.
  ///   - workspace: Where gradients go.
  func backward(_ dy: Matrix, _ batch: BatchViews, _ workspace: Workspace) {
    guard let normalized, let inverseDeviations else {
      preconditionFailure("backward of the embeddings without their forward")
    }
    branch?.backward(dy, batch.tokens, workspace)
    guard ownIsTrainable else { return }
    if let mask { applyMask(mask, dy, into: dy) }
    normalizeBackward(
      dy, normalized: normalized, inverseDeviations: inverseDeviations, gamma: workspace[norm.weight].base,
      into: dy, dGamma: workspace.gradient(of: norm.weight)?.base,
      dBeta: workspace.gradient(of: norm.bias)?.base)
    tableBranch?.backward(dy, batch.ids, workspace)
    addRows(dy, to: workspace.gradient(of: word), skipping: paddingID) { Int(batch.ids[$0]) }
    addRows(dy, to: workspace.gradient(of: position)) { Int(batch.tokens.positions[$0]) }
    addRows(dy, to: workspace.gradient(of: type)) { Int(batch.types[$0]) }
  }

  private func addRows(
    _ dy: Matrix, to table: Matrix?, skipping: Int? = nil, _ index: (Int) -> Int
  ) {
    guard let table else { return }
    for r in 0..<dy.rows {
      let target = index(r)
      if target == skipping { continue }
      let (from, onto) = (dy.row(r), table.row(target))
      for i in 0..<dy.columns { onto[i] += from[i] }
    }
  }
}
