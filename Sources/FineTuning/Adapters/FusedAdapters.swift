internal import BERT
internal import Kernels
internal import Tensors

/// A stage of several adapters side by side, mixed for each token by attention over their outputs:
/// `p = softmax_n(dropout((W_q q + b_q) · (W_k u_n + b_k)))`, `out = W_v Σ_n p_n u_n + residual`.
///
/// The products are taken in the order that needs one with each matrix, whatever the number of adapters: the score is
/// `(W_kᵀ q') · u_n + q' · b_k` and the value matrix multiplies the mixture.
/// - SeeAlso: Pfeiffer et al.: *AdapterFusion*, 2021, §3.
final class FusedAdapters: AdapterStage {
  private var entry: StageEntry
  /// Where its parameters lie.
  struct Places {
    let query: (weight: Parameter, bias: Parameter)  // [H, H], [H]
    let key: (weight: Parameter, bias: Parameter)  // [H, H], [H]
    let value: Parameter?  // [H, H]
  }

  private let cores: [Bottleneck]
  private let places: Places
  private let fusion: FusionConfiguration
  private let dropout: (probability: Float, site: UInt32)
  private var saved: Saved?

  /// What backward needs from forward.
  private struct Saved {
    let query: Matrix
    let projected: Matrix  // W_q q + b_q
    let w: Matrix  // W_kᵀ projected
    let u: Matrix  // [rows, N·H]
    let p: Matrix  // [rows, N]
    let context: Matrix
    let mask: Mask?
  }

  private var configuration: AdapterConfiguration { entry.configuration }

  init(
    _ cores: [Bottleneck], last: AdapterConfiguration, _ places: Places, _ fusion: FusionConfiguration,
    dropout: (probability: Float, site: UInt32), mayOverwrite: Bool
  ) {
    self.cores = cores
    self.places = places
    self.fusion = fusion
    self.dropout = dropout
    entry = StageEntry(last, mayOverwrite: mayOverwrite)
  }

  var isTrainable: Bool {
    places.query.weight.isTrainable || cores.contains { $0.isTrainable }
  }
  var floatsPerRow: Int {
    cores.reduce((2 * cores.count + 16) * places.query.weight.rows + 128) { $0 + $1.floatsPerRow }
  }
  /// Query, key and value forward; backward the same for the mixture and, where the fusion is trained, their own
  /// gradients; scores and mixtures of N candidates; and the candidates themselves.
  var operationsPerRow: BranchOperations {
    let (matrix, vector) = (2 * Double(places.query.weight.count), 2 * Double(places.query.weight.rows))
    let (count, value) = (Double(cores.count), places.value == nil ? 0 : matrix)
    var total = cores.reduce(BranchOperations()) { $0 + $1.operationsPerRow }
    total.forward += 2 * matrix + value + 2 * count * vector
    // Towards a candidate: the mixture's gradient, the scores' and their sum.
    let scores = value + count * vector
    let trainedCount = Double(cores.count { $0.isTrainable })
    let query = 2 * matrix + count * vector
    if places.query.weight.isTrainable {
      total.gradients += scores + count * vector + 2 * matrix + matrix + value + 2 * trainedCount * vector
      total.inputGradient += matrix + 2 * (count - trainedCount) * vector
    } else if trainedCount > 0 {
      total.gradients += scores + 2 * trainedCount * vector
      total.inputGradient += query + 2 * (count - trainedCount) * vector
    } else {
      total.inputGradient += scores + query + 2 * count * vector
    }
    return total
  }
  /// p of the last forward, `[rows, N]`.
  var shares: Matrix? { saved?.p }

  func forward(
    _ x: Matrix, residual: Matrix, _ norm: LayerNorm, _ rows: Rows, _ workspace: Workspace
  ) -> Matrix {
    let arena = workspace.arena
    let width = x.columns
    let input = entry.read(x, residual: residual, norm, workspace)
    let query = fusion.queryBeforeNorm && !configuration.isParallel ? copy(x, workspace) : input.z
    let u = arena.matrix(x.rows, cores.count * width)
    for (n, core) in cores.enumerated() {
      core.forward(input.z, into: u.columns(n * width..<(n + 1) * width), accumulate: false, workspace)
    }
    let projected = arena.matrix(x.rows, width)
    fillRows(projected, with: workspace[places.query.bias].base)
    multiply(query, .plain, workspace[places.query.weight], .transposed, into: projected, beta: 1)
    let w = arena.matrix(x.rows, width)
    multiply(projected, .plain, workspace[places.key.weight], .plain, into: w)
    let p = arena.matrix(x.rows, cores.count)
    scoreCandidates(w, u, into: p, offset: (projected, UnsafePointer(workspace[places.key.bias].base)))
    let mask = workspace.mask(
      rows, columns: cores.count, probability: dropout.probability, site: dropout.site)
    if let mask { applyMask(mask, p, into: p) }
    softmaxRows(p)
    let context = arena.matrix(x.rows, width)
    mixCandidates(p, u, into: context)
    let out = entry.sumOnto(input, x, workspace)
    if let value = places.value {
      multiply(context, .plain, workspace[value], .transposed, into: out, beta: 1)
    } else {
      add(context, to: out)
    }
    saved = Saved(
      query: query, projected: projected, w: w, u: u, p: p, context: context, mask: mask)
    return out
  }

  func backward(_ g: Matrix, dResidual: Matrix, _ workspace: Workspace) {
    guard let saved else { preconditionFailure("backward of a fusion without its forward") }
    let arena = workspace.arena
    let mark = arena.mark
    defer { arena.rewind(to: mark) }
    let width = g.columns
    var dContext = g
    if let value = places.value {
      dContext = arena.matrix(g.rows, width)
      multiply(g, .plain, workspace[value], .plain, into: dContext)
      if let dValue = workspace.gradient(of: value) {
        multiply(g, .transposed, saved.context, .plain, into: dValue, beta: 1)
      }
    }
    let ds = arena.matrix(g.rows, cores.count)
    scoreCandidates(dContext, saved.u, into: ds)
    softmaxBackward(ds, saved.p)
    if let mask = saved.mask { applyMask(mask, ds, into: ds) }
    let du = arena.matrix(g.rows, cores.count * width)
    candidateGradients(saved.p, dContext, ds, saved.w, into: du)
    let dQuery = arena.matrix(g.rows, width)
    queryBackward(ds, saved, into: dQuery, workspace)

    let readsQueryBefore = fusion.queryBeforeNorm && !configuration.isParallel
    let dz = arena.matrix(g.rows, width)
    if readsQueryBefore { dz.fill(0) } else { dz.copy(from: dQuery) }
    for (n, core) in cores.enumerated() {
      core.backward(du.columns(n * width..<(n + 1) * width), into: dz, accumulate: true, workspace)
    }
    if configuration.isParallel {
      add(dz, to: dResidual)
      add(g, to: dResidual)
      g.fill(0)
      return
    }
    entry.readBackward(dz, g, dResidual: dResidual, workspace)
    if readsQueryBefore { add(dQuery, to: g) }
  }

  /// From the gradient of the scores: the gradients of W_q, b_q, W_k, b_k, and that of the query.
  private func queryBackward(_ ds: Matrix, _ saved: Saved, into dQuery: Matrix, _ workspace: Workspace) {
    let arena = workspace.arena
    let dw = arena.matrix(dQuery.rows, dQuery.columns)
    mixCandidates(ds, saved.u, into: dw)
    let dProjected = arena.matrix(dQuery.rows, dQuery.columns)
    let keyBias = workspace[places.key.bias].base
    let dKeyBias = workspace.gradient(of: places.key.bias)?.base
    for r in 0..<ds.rows {
      var total: Float = 0
      for n in 0..<ds.columns { total += ds.row(r)[n] }
      let (out, projected) = (dProjected.row(r), saved.projected.row(r))
      for i in 0..<dQuery.columns { out[i] = total * keyBias[i] }
      if let dKeyBias { for i in 0..<dQuery.columns { dKeyBias[i] += total * projected[i] } }
    }
    multiply(dw, .plain, workspace[places.key.weight], .transposed, into: dProjected, beta: 1)
    if let dKey = workspace.gradient(of: places.key.weight) {
      multiply(saved.projected, .transposed, dw, .plain, into: dKey, beta: 1)
    }
    if let dWeight = workspace.gradient(of: places.query.weight) {
      multiply(dProjected, .transposed, saved.query, .plain, into: dWeight, beta: 1)
    }
    if let dBias = workspace.gradient(of: places.query.bias) { sumRows(dProjected, addingTo: dBias.base) }
    multiply(dProjected, .plain, workspace[places.query.weight], .plain, into: dQuery)
  }

  private func copy(_ x: Matrix, _ workspace: Workspace) -> Matrix {
    let y = workspace.arena.matrix(x.rows, x.columns)
    y.copy(from: x)
    return y
  }
}
