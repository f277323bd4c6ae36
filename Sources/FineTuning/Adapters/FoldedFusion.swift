internal import BERT
internal import Kernels
internal import Tensors

/// A fusion that multiplies its matrices with the adapters' up-projections first (`FusionFold`): a chain of products is
/// cheapest from its small factors on, and a bottleneck is narrower than a pass has tokens. A token then needs none of
/// the large matrices:
///
///     r = q Sᵀ + A b_q     score_n = s_n [h_n, 1] · r_n + r_K     m_n = p_n s_n [h_n, 1]     out = m Gᵀ
///
/// It folds once a pass, or once a step together with the rank's other workers (`SharedFold`).
final class FoldedFusion: FusionProducts {
  private let fold: FusionFold
  /// What workers fold together for training passes, and which of them this is; nil where each pass folds by itself.
  var shared: (fold: SharedFold, worker: Int)?
  private var saved: Saved?

  /// What backward needs from forward.
  private struct Saved {
    /// Whether the factors are those that workers share.
    let isShared: Bool
    let factors: FusionFold.Factors
    let query: Matrix
    let h: Matrix  // [rows, R]
    let r: Matrix  // [rows, K]
    let m: Matrix  // [rows, R + N]
    let p: Matrix  // [rows, N]
    let mask: Mask?
  }

  /// Over matrices that can be folded.
  init(_ fold: FusionFold) { self.fold = fold }

  var shares: Matrix? { saved?.p }

  /// How many floats of arena a row takes, in forward and backward together, beside those of the adapters' inner values:
  /// r, m and their gradients; and as a pass that folds for itself has K tokens at least, the folded matrices and their
  /// gradients, eight.
  var floatsPerRow: Int { 4 * fold.rows + 3 * fold.parts.count + 8 * fold.width }

  func forward(query: Matrix, _ z: Matrix, addingTo out: Matrix, _ mask: Mask?, _ workspace: Workspace) {
    let arena = workspace.arena
    let parts = fold.parts
    let h = arena.matrix(z.rows, parts.width)
    for (n, core) in fold.cores.enumerated() { core.innerForward(z, into: h.columns(parts.columns(n)), workspace) }
    let together = workspace.isTraining ? shared?.fold.factors : nil
    let factors = together ?? factors(workspace)
    let r = arena.matrix(z.rows, fold.rows)
    let mark = arena.mark
    let c = arena.matrix(1, fold.rows)
    multiply(workspace[fold.places.query.bias], .plain, factors.a, .transposed, into: c)
    fillRows(r, with: c.base)
    arena.rewind(to: mark)
    multiply(query, .plain, factors.s, .transposed, into: r, beta: 1)
    let p = arena.matrix(z.rows, parts.count)
    scoreInner(h, r, parts, into: p)
    if let mask { applyMask(mask, p, into: p) }
    softmaxRows(p)
    let m = arena.matrix(z.rows, fold.both)
    mixInner(p, h, parts, into: m)
    multiply(m, .plain, factors.g, .transposed, into: out, beta: 1)
    saved = Saved(isShared: together != nil, factors: factors, query: query, h: h, r: r, m: m, p: p, mask: mask)
  }

  /// Folds for one pass.
  private func factors(_ workspace: Workspace) -> FusionFold.Factors {
    let factors = fold.factors(in: workspace.arena.allocate(Float.self, fold.factorCount))
    fold.fold(0..<fold.rows, into: factors, workspace.parameters)
    return factors
  }

  func backward(_ g: Matrix, dQuery: Matrix, addingTo dz: Matrix, _ workspace: Workspace) {
    guard let saved else { preconditionFailure("backward of a fusion without its forward") }
    let arena = workspace.arena
    let parts = fold.parts
    let dm = arena.matrix(g.rows, fold.both)
    multiply(g, .plain, saved.factors.g, .plain, into: dm)
    let ds = arena.matrix(g.rows, parts.count)
    scoreInner(saved.h, dm, parts, into: ds)
    softmaxBackward(ds, saved.p)
    if let mask = saved.mask { applyMask(mask, ds, into: ds) }
    let dr = arena.matrix(g.rows, fold.rows)
    mixInner(ds, saved.h, parts, into: dr)
    multiply(dr, .plain, saved.factors.s, .plain, into: dQuery)
    if fold.trains { matrixGradients(g, dr, saved, workspace) }
    let dh = dm.columns(0..<parts.width)
    innerGradients(saved.p, dm, ds, saved.r, parts, into: dh)
    for (n, core) in fold.cores.enumerated() {
      core.innerBackward(dh.columns(parts.columns(n)), into: dz, accumulate: true, workspace)
    }
  }

  /// The gradients of the matrices, by way of those of the folded ones.
  private func matrixGradients(_ g: Matrix, _ dr: Matrix, _ saved: Saved, _ workspace: Workspace) {
    func gradients(_ d: FusionFold.Gradients, beta: Float) {
      multiply(dr, .transposed, saved.query, .plain, into: d.s, beta: beta)
      if beta == 0 { d.c.fill(0) }
      sumRows(dr, addingTo: d.c.base)
      multiply(g, .transposed, saved.m, .plain, into: d.g, beta: beta)
    }
    if saved.isShared, let shared {
      let (d, isWritten) = shared.fold.gradients(of: shared.worker)
      return gradients(d, beta: isWritten ? 1 : 0)
    }
    guard let block = workspace.gradients else { return }
    let arena = workspace.arena
    let mark = arena.mark
    defer { arena.rewind(to: mark) }
    let d = fold.gradients(in: arena.allocate(Float.self, fold.gradientCount))
    gradients(d, beta: 0)
    fold.unfold(
      0..<fold.width, saved.factors, d, dA: arena.matrix(fold.rows, fold.width), workspace.parameters, fusion: block,
      adapters: block)
  }
}
