internal import Kernels
internal import Tensors

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

  private let index: Int
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
    let x: Operand
    /// What the query alone was computed from, where it is not `x`.
    let queryInput: Operand?
    let q: Matrix, k: Matrix, v: Matrix
    let attention: SelfAttention.Cache
    let context: Operand
    let x1: Operand
    let derivative: Matrix
    let activated: Operand?
  }

  init(_ index: Int, _ configuration: BERTConfiguration, _ table: ParameterTable) {
    self.index = index
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
    _ x: Operand, _ batch: BatchViews, onlyReads: Bool, saves: Bool, _ workspace: Workspace
  ) -> Operand {
    let arena = workspace.arena
    let rows = onlyReads ? batch.reads : batch.tokens
    // The head reads floats; a layer above has weights of the same precision.
    let y = workspace.output(rows.count, hiddenSize, for: onlyReads ? .fp32 : queryKeyValue.precision)
    let mark = arena.mark
    let (inputs, q, k, v) = projectQKV(x, batch, onlyReads, workspace)
    let context = arena.matrix(rows.count, hiddenSize)
    let attentionCache = attention.forward(
      q: q, k: k, v: v, into: context, queryRows: rows, keyRows: batch.tokens, workspace)

    let a = arena.matrix(rows.count, hiddenSize)
    let x1 = workspace.output(rows.count, hiddenSize, for: intermediateGroup.precision)
    let dense = attentionDenseGroup.forwardDeferringBias(Operand(context), into: a, rows, workspace)
    attentionOutput.forward(
      a, bias: dense.bias, residual: (inputs.query ?? inputs.x).values, into: x1, rows, workspace)

    workspace.reached?(2 * index + 1)
    let u = arena.matrix(rows.count, intermediateSize)
    let f = arena.matrix(rows.count, hiddenSize)
    let intermediate = intermediateGroup.forwardDeferringBias(x1, into: u, rows, workspace)
    let keepsActivated = saves && outputGroup.isTrainable
    let beforeActivated = arena.mark
    let activated = activate(u, bias: intermediate.bias, saves: saves, workspace)
    let second = outputGroup.forwardDeferringBias(activated, into: f, rows, workspace)
    // With a frozen, branchless second projection nobody reads the activated values again.
    if !keepsActivated { arena.rewind(to: beforeActivated) }
    output.forward(f, bias: second.bias, residual: x1.values, into: y, rows, workspace)

    if saves {
      saved = Saved(
        x: inputs.x, queryInput: inputs.query, q: q, k: k, v: v, attention: attentionCache, context: dense.input,
        x1: intermediate.input, derivative: u, activated: keepsActivated ? second.input : nil)
    } else {
      arena.rewind(to: mark)
    }
    return y
  }

  /// The activated values for the second projection, and the derivative in the place of `u` where backward will be run.
  private func activate(
    _ u: Matrix, bias: UnsafePointer<Float>?, saves: Bool, _ workspace: Workspace
  ) -> Operand {
    let isRounded = outputGroup.precision == .bf16
    let rounded = isRounded ? workspace.arena.rounded(u.rows, u.columns) : nil
    var values: Matrix?
    if !isRounded || outputDense.branch != nil { values = saves ? workspace.arena.matrix(u.rows, u.columns) : u }
    Kernels.activate(u, bias: bias, activation, into: values, rounded: rounded, keepsDerivative: saves)
    return Operand(values, rounded: rounded)
  }

  private func projectQKV(
    _ x: Operand, _ batch: BatchViews, _ onlyReads: Bool, _ workspace: Workspace
  ) -> (inputs: (x: Operand, query: Operand?), q: Matrix, k: Matrix, v: Matrix) {
    let arena = workspace.arena
    let h = hiddenSize
    let tokens = batch.tokens
    guard onlyReads else {
      let qkv = arena.matrix(tokens.count, 3 * h)
      let x = queryKeyValue.forward(x, into: qkv, tokens, workspace)
      return ((x, nil), qkv.columns(0..<h), qkv.columns(h..<2 * h), qkv.columns(2 * h..<3 * h))
    }
    let read = arena.matrix(batch.reads.count, h)
    gatherRows(x.values, batch.readIndices, into: read)
    let q = arena.matrix(batch.reads.count, h)
    let query = onlyQuery.forward(Operand(read), into: q, batch.reads, workspace)
    let kv = arena.matrix(tokens.count, 2 * h)
    let x = keyValue.forward(x, into: kv, tokens, workspace)
    return ((x, query), q, kv.columns(0..<h), kv.columns(h..<2 * h))
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
    defer {
      workspace.weightGradients?.settle()
      arena.rewind(to: mark)
    }
    let reach = backwardReach(needsInput: dx != nil)
    var dBranch = workspace.output(rows.count, hiddenSize, for: outputGroup.precision)

    // dy becomes the gradient of x₁ along the residual; the feed-forward block adds its own.
    output.backward(dy, dd: dBranch, dResidual: dy, rows, workspace)
    guard reach >= .outputDense else { return }
    let dIntermediate = reach >= .intermediateDense ? arena.matrix(rows.count, intermediateSize) : nil
    outputGroup.backward(
      dBranch, saved.activated ?? Operand(saved.derivative), dx: dIntermediate, accumulate: false, rows, workspace)
    guard let dIntermediate else { return }
    let rounded = intermediateGroup.precision == .bf16 ? arena.rounded(rows.count, intermediateSize) : nil
    multiplyElements(dIntermediate, by: saved.derivative, rounded: rounded)
    intermediateGroup.backward(
      Operand(dIntermediate, rounded: rounded), saved.x1, dx: reach >= .attentionOutput ? dy : nil, accumulate: true,
      rows, workspace)

    guard reach >= .attentionOutput else { return }
    if workspace.weightGradients != nil {
      dBranch = workspace.output(rows.count, hiddenSize, for: attentionDenseGroup.precision)
    }
    attentionOutput.backward(dy, dd: dBranch, dResidual: dy, rows, workspace)
    guard reach >= .attentionDense else { return }
    let dContext = reach >= .attention ? arena.matrix(rows.count, hiddenSize) : nil
    attentionDenseGroup.backward(
      dBranch, saved.context, dx: dContext, accumulate: false, rows, workspace)
    guard let dContext else { return }
    attentionBackward(dContext, dResidual: dy, dx: dx, saved, batch, workspace)
  }

  private func attentionBackward(
    _ dContext: Matrix, dResidual: Matrix, dx: Matrix?, _ saved: Saved, _ batch: BatchViews, _ workspace: Workspace
  ) {
    let arena = workspace.arena
    let h = hiddenSize
    guard let queryInput = saved.queryInput else {
      let d = arena.matrix(batch.tokens.count, 3 * h)
      attention.backward(
        dContext, q: saved.q, k: saved.k, v: saved.v, dq: d.columns(0..<h), dk: d.columns(h..<2 * h),
        dv: d.columns(2 * h..<3 * h), saved.attention, queryRows: batch.tokens, keyRows: batch.tokens,
        workspace)
      precondition(dx.map { $0.base == dResidual.base } ?? true, "the input's gradient joins the residual's in place")
      queryKeyValue.backward(Operand(d), saved.x, dx: dx, accumulate: true, batch.tokens, workspace)
      return
    }
    let dq = arena.matrix(batch.reads.count, h)
    let dkv = arena.matrix(batch.tokens.count, 2 * h)
    attention.backward(
      dContext, q: saved.q, k: saved.k, v: saved.v, dq: dq, dk: dkv.columns(0..<h),
      dv: dkv.columns(h..<2 * h), saved.attention, queryRows: batch.reads, keyRows: batch.tokens, workspace)
    onlyQuery.backward(
      Operand(dq), queryInput, dx: dx.map { _ in dResidual }, accumulate: true, batch.reads, workspace)
    keyValue.backward(Operand(dkv), saved.x, dx: dx, accumulate: false, batch.tokens, workspace)
    if let dx { scatterAddRows(dResidual, batch.readIndices, to: dx) }
  }
}
