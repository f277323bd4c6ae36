internal import Kernels
internal import Tensors

/// The head of masked-language modelling: `logits = E · LN(f(W h + b)) + c` at the rows of hidden tokens, E being the
/// table of token embeddings.
///
/// With an invertible block over the embeddings its inverse comes before the decoder, which so decodes what the block
/// has encoded.
/// - SeeAlso: Devlin et al.: *BERT*, 2019, §3.1; Pfeiffer et al.: *MAD-X*, 2020, §3.3.
package final class MaskedLanguageHead {
  /// The module of the map before the decoder.
  package static let transform = "cls.predictions.transform"
  /// The decoder's bias.
  package static let bias = "cls.predictions.bias"
  /// How many logits are held at once.
  private static let chunkLogits = 1 << 22

  /// The map before the decoder.
  package let dense: Projection
  private let denseGroup: ProjectionGroup
  private let norm: LayerNorm
  /// `[V, H]`.
  private let decoder: Parameter
  private let bias: Parameter
  private let activation: Activation
  /// What undoes an invertible block over the embeddings.
  var inverse: (any EmbeddingBranch)?
  private var saved: Saved?

  /// What backward needs from forward.
  private struct Saved {
    let h: Matrix
    let derivative: Matrix
    let normalized: Matrix
    let inverseDeviations: UnsafeMutablePointer<Float>
  }

  init(_ configuration: BERTConfiguration, _ table: ParameterTable) {
    dense = Projection(
      MaskedLanguageHead.transform + ".dense", table,
      branchSite: DropoutSite.branch(layer: configuration.layerCount, projection: 2))
    denseGroup = ProjectionGroup([dense])
    norm = LayerNorm(
      MaskedLanguageHead.transform + ".LayerNorm", table, epsilon: configuration.layerNormEpsilon)
    decoder = table["bert.embeddings.word_embeddings.weight"]
    bias = table[MaskedLanguageHead.bias]
    activation = configuration.activation
  }

  /// How many rows are decoded at once.
  private var chunkRows: Int { max(16, MaskedLanguageHead.chunkLogits / decoder.rows) }

  /// How many bytes of arena so many rows take at most.
  func bytes(rows: Int) -> Int {
    let floats = (8 * decoder.columns + 1 + 2 * (inverse?.floatsPerRow ?? 0)) * rows
    return 4 * (floats + min(rows, chunkRows) * decoder.rows) + 64 * 64
  }

  /// - Parameters:
  ///   - h: The last layer at the hidden tokens, `[rows, H]`.
  ///   - rows: Which tokens the rows are.
  ///   - workspace: Parameters, memory.
  /// - Returns: What the decoder reads, `[rows, H]`.
  private func transform(_ h: Matrix, _ rows: Rows, _ workspace: Workspace) -> Matrix {
    let arena = workspace.arena
    let (u, x, z) = (
      arena.matrix(h.rows, h.columns), arena.matrix(h.rows, h.columns), arena.matrix(h.rows, h.columns)
    )
    let deviations = arena.allocate(Float.self, h.rows)
    let denseBias = denseGroup.forwardDeferringBias(Operand(h), into: u, rows, workspace).bias
    activate(u, bias: denseBias, activation, into: x, keepsDerivative: true)
    normalizeSum(
      x, bias: nil, mask: nil, residual: nil, gamma: workspace[norm.weight].base, beta: workspace[norm.bias].base,
      epsilon: norm.epsilon, into: z, inverseDeviations: deviations)
    inverse?.forward(z, rows, workspace)
    saved = Saved(h: h, derivative: u, normalized: x, inverseDeviations: deviations)
    return z
  }

  /// Calls `body` with the logits of some rows at a time, `[chunk, V]`, before the bias.
  private func forEachChunk(_ z: Matrix, _ workspace: Workspace, _ body: (Range<Int>, Matrix) -> Void) {
    let memory = workspace.arena.matrix(min(z.rows, chunkRows), decoder.rows)
    for first in stride(from: 0, to: z.rows, by: chunkRows) {
      let range = first..<min(first + chunkRows, z.rows)
      let logits = memory.rows(0..<range.count)
      multiply(z.rows(range), .plain, workspace[decoder], .transposed, into: logits)
      body(range, logits)
    }
  }

  /// Adds the gradients of the sum of all losses.
  /// - Parameters:
  ///   - h: The last layer at the hidden tokens, `[rows, H]`.
  ///   - labels: `[rows]`, the tokens that were hidden.
  ///   - losses: `[rows]`, receives each one's cross-entropy.
  ///   - dh: Where the gradient of `h` goes; nil when nothing below is trained.
  ///   - rows: Which tokens the rows are.
  ///   - workspace: Parameters, where gradients go, memory.
  func addGradients(
    _ h: Matrix, labels: UnsafePointer<Int32>, losses: UnsafeMutablePointer<Double>, dh: Matrix?, _ rows: Rows,
    _ workspace: Workspace
  ) {
    let z = transform(h, rows, workspace)
    let needsDecoderInput = dh != nil || dense.isTrainable || norm.isTrainable || inverse?.isTrainable == true
    let dz = needsDecoderInput ? workspace.arena.matrix(z.rows, z.columns) : nil
    let biases = workspace[bias].base
    forEachChunk(z, workspace) { range, logits in
      for (row, place) in range.enumerated() {
        losses[place] = crossEntropy(
          ofLogits: logits.row(row), bias: biases, count: logits.columns, label: Int(labels[place]),
          becomesGradient: true)
      }
      if let dz { multiply(logits, .plain, workspace[decoder], .plain, into: dz.rows(range)) }
      if let table = workspace.gradient(of: decoder) {
        multiply(logits, .transposed, z.rows(range), .plain, into: table, beta: 1)
      }
      if let dBias = workspace.gradient(of: bias) { sumRows(logits, addingTo: dBias.base) }
    }
    if let dz { backward(dz, dh: dh, rows, workspace) }
  }

  /// - Parameters:
  ///   - dz: The gradient of what the decoder reads; overwritten.
  ///   - dh: Where the gradient of `h` goes.
  ///   - rows: Which tokens the rows are.
  ///   - workspace: Where gradients go, memory.
  private func backward(_ dz: Matrix, dh: Matrix?, _ rows: Rows, _ workspace: Workspace) {
    guard let saved else { preconditionFailure("backward of the head without its forward") }
    inverse?.backward(dz, rows, workspace)
    normalizeBackward(
      dz, normalized: saved.normalized, inverseDeviations: saved.inverseDeviations,
      gamma: workspace[norm.weight].base, into: dz, dGamma: workspace.gradient(of: norm.weight)?.base,
      dBeta: workspace.gradient(of: norm.bias)?.base)
    multiplyElements(dz, by: saved.derivative)
    denseGroup.backward(Operand(dz), Operand(saved.h), dx: dh, accumulate: false, rows, workspace)
  }

  /// The losses of hidden tokens, and which of them the model would have written itself.
  /// - Parameters:
  ///   - h: The last layer at the hidden tokens, `[rows, H]`.
  ///   - labels: `[rows]`, the tokens that were hidden.
  ///   - rows: Which tokens the rows are.
  ///   - workspace: Parameters, memory.
  ///   - body: Gets each row's number, its cross-entropy, and whether its largest logit is the right one's.
  func evaluate(
    _ h: Matrix, labels: UnsafePointer<Int32>, _ rows: Rows, _ workspace: Workspace,
    _ body: (Int, Double, Bool) -> Void
  ) {
    let biases = workspace[bias].base
    forEachChunk(transform(h, rows, workspace), workspace) { range, logits in
      for (row, place) in range.enumerated() {
        let (label, values) = (Int(labels[place]), logits.row(row))
        let loss = crossEntropy(
          ofLogits: values, bias: biases, count: logits.columns, label: label, becomesGradient: false)
        body(place, loss, !(0..<logits.columns).contains { values[$0] > values[label] })
      }
    }
  }

  /// The logits of rows, `[rows, V]`, all at once.
  func logits(_ h: Matrix, _ rows: Rows, _ workspace: Workspace) -> Matrix {
    let z = transform(h, rows, workspace)
    let logits = workspace.arena.matrix(z.rows, decoder.rows)
    fillRows(logits, with: workspace[bias].base)
    multiply(z, .plain, workspace[decoder], .transposed, into: logits, beta: 1)
    return logits
  }
}
