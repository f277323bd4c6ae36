internal import Kernels
package import Tensors

/// One layer of the encoder: self-attention and a feed-forward block, each ended by a residual and a normalisation.
///
/// `x₁ = LN(drop(W_o·attention(x)) + x)`, `y = LN(drop(W₂·gelu(W₁x₁)) + x₁)`.
/// - SeeAlso: Devlin et al.: *BERT*, 2019; Vaswani et al., 2017, §3.
package final class EncoderLayer {
  /// Query, key and value.
  package let query: Projection, key: Projection, value: Projection
  /// The projection after attention.
  package let attentionDense: Projection
  /// The end of the attention block.
  package let attentionOutput: BlockOutput
  /// The first projection of the feed-forward block.
  package let intermediateDense: Projection
  /// The second projection of the feed-forward block.
  package let outputDense: Projection
  /// The end of the feed-forward block.
  package let output: BlockOutput

  private let queryKeyValue: ProjectionGroup
  private let onlyQuery: ProjectionGroup
  private let keyValue: ProjectionGroup
  private let attentionDenseGroup: ProjectionGroup
  private let intermediateGroup: ProjectionGroup
  private let outputGroup: ProjectionGroup
  private var attention: SelfAttention
  private let activation: Activation
  private let hiddenSize: Int
  private let intermediateSize: Int
  private var saved: Saved?

  /// What backward needs from forward.
  private struct Saved {
    let x: Matrix
    let queryInput: Matrix
    let q: Matrix, k: Matrix, v: Matrix
    let attention: SelfAttention.Cache
    let context: Matrix
    let x1: Matrix
    let derivative: Matrix
    let activated: Matrix?
  }

  init(_ index: Int, _ configuration: BERTConfiguration, _ table: ParameterTable) {
    let prefix = "bert.encoder.layer.\(index)"
    func projection(_ name: String, _ number: Int) -> Projection {
      Projection("\(prefix).\(name)", table, branchSite: DropoutSite.branch(layer: index, projection: number))
    }
    func end(_ name: String, _ site: UInt32) -> BlockOutput {
      BlockOutput(
        "\(prefix).\(name)", table, epsilon: configuration.layerNormEpsilon,
        dropout: (configuration.hiddenDropout, site))
    }
    query = projection("attention.self.query", 0)
    key = projection("attention.self.key", 1)
    value = projection("attention.self.value", 2)
    attentionDense = projection("attention.output.dense", 3)
    intermediateDense = projection("intermediate.dense", 4)
    outputDense = projection("output.dense", 5)
    attentionOutput = end("attention.output", DropoutSite.attentionOutput(layer: index))
    output = end("output", DropoutSite.feedForwardOutput(layer: index))
    queryKeyValue = ProjectionGroup([query, key, value])
    onlyQuery = ProjectionGroup([query])
    keyValue = ProjectionGroup([key, value])
    attentionDenseGroup = ProjectionGroup([attentionDense])
    intermediateGroup = ProjectionGroup([intermediateDense])
    outputGroup = ProjectionGroup([outputDense])
    attention = SelfAttention(
      headCount: configuration.attentionHeadCount, dropoutProbability: configuration.attentionDropout,
      layer: index)
    activation = configuration.activation
    hiddenSize = configuration.hiddenSize
    intermediateSize = configuration.intermediateSize
  }

  /// The projections, in the order of the published names.
  package var projections: [Projection] {
    [query, key, value, attentionDense, intermediateDense, outputDense]
  }
  /// The ends of the two blocks.
  package var blockOutputs: [BlockOutput] { [attentionOutput, output] }
  /// What a fine-tuning method put in front of keys and values.
  package var attentionPrefix: (any AttentionPrefix)? {
    get { attention.prefix }
    set { attention.prefix = newValue }
  }

  /// - Parameters:
  ///   - x: `[tokens, H]`.
  ///   - batch: Which tokens the rows are.
  ///   - onlyReads: Whether only the rows that the head reads are wanted: keys and values are computed for every token,
  ///     all else for those rows, with exactly the same result.
  ///   - saves: Whether backward will be run.
  ///   - workspace: Parameters, memory, dropout.
  /// - Returns: `[tokens, H]`, or `[reads, H]`.
  package func forward(
    _ x: Matrix, _ batch: BatchViews, onlyReads: Bool, saves: Bool, _ workspace: Workspace
  ) -> Matrix {
    let arena = workspace.arena
    let rows = onlyReads ? batch.reads : batch.tokens
    let y = arena.matrix(rows.count, hiddenSize)
    let mark = arena.mark
    let (queryInput, q, k, v) = projectQKV(x, batch, onlyReads, workspace)
    let context = arena.matrix(rows.count, hiddenSize)
    let attentionCache = attention.forward(
      q: q, k: k, v: v, into: context, queryRows: rows, keyRows: batch.tokens, workspace)

    let a = arena.matrix(rows.count, hiddenSize)
    let x1 = arena.matrix(rows.count, hiddenSize)
    let attentionBias = attentionDenseGroup.forwardDeferringBias(context, into: a, rows, workspace)
    attentionOutput.forward(a, bias: attentionBias, residual: queryInput, into: x1, rows, workspace)

    let u = arena.matrix(rows.count, intermediateSize)
    let f = arena.matrix(rows.count, hiddenSize)
    let intermediateBias = intermediateGroup.forwardDeferringBias(x1, into: u, rows, workspace)
    let keepsActivated = saves && outputGroup.isTrainable
    let beforeActivated = arena.mark
    let activated = saves ? arena.matrix(rows.count, intermediateSize) : u
    activate(u, bias: intermediateBias, activation, into: activated, keepsDerivative: saves)
    let outputBias = outputGroup.forwardDeferringBias(activated, into: f, rows, workspace)
    // With a frozen, branchless second projection nobody reads the activated values again.
    if !keepsActivated { arena.rewind(to: beforeActivated) }
    output.forward(f, bias: outputBias, residual: x1, into: y, rows, workspace)

    if saves {
      saved = Saved(
        x: x, queryInput: queryInput, q: q, k: k, v: v, attention: attentionCache, context: context, x1: x1,
        derivative: u, activated: keepsActivated ? activated : nil)
    } else {
      arena.rewind(to: mark)
    }
    return y
  }

  private func projectQKV(
    _ x: Matrix, _ batch: BatchViews, _ onlyReads: Bool, _ workspace: Workspace
  ) -> (input: Matrix, q: Matrix, k: Matrix, v: Matrix) {
    let arena = workspace.arena
    let h = hiddenSize
    guard onlyReads else {
      let qkv = arena.matrix(x.rows, 3 * h)
      queryKeyValue.forward(x, into: qkv, batch.tokens, workspace)
      return (x, qkv.columns(0..<h), qkv.columns(h..<2 * h), qkv.columns(2 * h..<3 * h))
    }
    let input = arena.matrix(batch.reads.count, h)
    gatherRows(x, batch.readIndices, into: input)
    let q = arena.matrix(batch.reads.count, h)
    onlyQuery.forward(input, into: q, batch.reads, workspace)
    let kv = arena.matrix(x.rows, 2 * h)
    keyValue.forward(x, into: kv, batch.tokens, workspace)
    return (input, q, kv.columns(0..<h), kv.columns(h..<2 * h))
  }

  /// Adds the layer's gradients.
  /// - Parameters:
  ///   - dy: The gradient of the output; becomes that of the input, unless that has more rows.
  ///   - dx: Where the gradient of the input goes, `[tokens, H]`: `dy` itself, but where only the rows that the head reads
  ///     have an output; nil when nothing below is trained.
  ///   - batch: The batch of forward.
  ///   - onlyReads: As in forward.
  ///   - workspace: Where gradients go, memory.
  func backward(
    _ dy: Matrix, dx: Matrix?, _ batch: BatchViews, onlyReads: Bool, _ workspace: Workspace
  ) {
    guard let saved else { preconditionFailure("backward of an encoder layer without its forward") }
    let arena = workspace.arena
    let rows = onlyReads ? batch.reads : batch.tokens
    let mark = arena.mark
    defer { arena.rewind(to: mark) }
    let reach = backwardReach(needsInput: dx != nil)
    let dBranch = arena.matrix(rows.count, hiddenSize)

    // dy becomes the gradient of x₁ along the residual; the feed-forward block adds its own.
    output.backward(dy, dd: dBranch, dResidual: dy, rows, workspace)
    guard reach >= .outputDense else { return }
    let dIntermediate = reach >= .intermediateDense ? arena.matrix(rows.count, intermediateSize) : nil
    outputGroup.backward(
      dBranch, saved.activated ?? saved.derivative, dx: dIntermediate, accumulate: false, rows, workspace)
    guard let dIntermediate else { return }
    multiplyElements(dIntermediate, by: saved.derivative)
    intermediateGroup.backward(
      dIntermediate, saved.x1, dx: reach >= .attentionOutput ? dy : nil, accumulate: true, rows, workspace)

    guard reach >= .attentionOutput else { return }
    attentionOutput.backward(dy, dd: dBranch, dResidual: dy, rows, workspace)
    guard reach >= .attentionDense else { return }
    let dContext = reach >= .attention ? arena.matrix(rows.count, hiddenSize) : nil
    attentionDenseGroup.backward(
      dBranch, saved.context, dx: dContext, accumulate: false, rows, workspace)
    guard let dContext else { return }
    attentionBackward(dContext, dResidual: dy, dx: dx, saved, batch, onlyReads, workspace)
  }

  private func attentionBackward(
    _ dContext: Matrix, dResidual: Matrix, dx: Matrix?, _ saved: Saved, _ batch: BatchViews,
    _ onlyReads: Bool, _ workspace: Workspace
  ) {
    let arena = workspace.arena
    let h = hiddenSize
    guard onlyReads else {
      let d = arena.matrix(batch.tokens.count, 3 * h)
      attention.backward(
        dContext, q: saved.q, k: saved.k, v: saved.v, dq: d.columns(0..<h), dk: d.columns(h..<2 * h),
        dv: d.columns(2 * h..<3 * h), saved.attention, queryRows: batch.tokens, keyRows: batch.tokens,
        workspace)
      precondition(dx.map { $0.base == dResidual.base } ?? true, "the input's gradient joins the residual's in place")
      queryKeyValue.backward(d, saved.x, dx: dx, accumulate: true, batch.tokens, workspace)
      return
    }
    let dq = arena.matrix(batch.reads.count, h)
    let dkv = arena.matrix(batch.tokens.count, 2 * h)
    attention.backward(
      dContext, q: saved.q, k: saved.k, v: saved.v, dq: dq, dk: dkv.columns(0..<h),
      dv: dkv.columns(h..<2 * h), saved.attention, queryRows: batch.reads, keyRows: batch.tokens, workspace)
    onlyQuery.backward(
      dq, saved.queryInput, dx: dx.map { _ in dResidual }, accumulate: true, batch.reads, workspace)
    keyValue.backward(dkv, saved.x, dx: dx, accumulate: false, batch.tokens, workspace)
    if let dx { scatterAddRows(dResidual, batch.readIndices, to: dx) }
  }
}
