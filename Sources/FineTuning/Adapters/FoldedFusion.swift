internal import BERT
internal import Kernels
internal import Tensors

/// A fusion that multiplies its matrices with the adapters' up-projections first, once a pass: a chain of products is
/// cheapest from its small factors on, and a bottleneck is narrower than a pass has tokens.
///
/// A candidate is `u_n = s_n Ũ_n [h_n, 1]`, Ũ_n its up-projection and bias, s_n a constant. With all of them side by
/// side as Ũ `[H, R + N]` (first the weights, then the biases) and K = R + N + 1:
///
///     A = [(W_k Ũ)ᵀ; b_kᵀ]  [K, H]     S = A W_q  [K, H]     c = A b_q  [K]     G = W_v Ũ  [H, R + N]
///
/// (G = Ũ without a value matrix), and a token needs none of the large matrices:
///
///     r = q Sᵀ + c     score_n = s_n [h_n, 1] · r_n + r_K     m_n = p_n s_n [h_n, 1]     out = m Gᵀ
final class FoldedFusion: FusionProducts {
  private let cores: [Bottleneck]
  private let places: FusionPlaces
  private let parts: InnerParts
  private let trains: Bool
  private var saved: Saved?

  /// The small matrices of a pass.
  private struct Factors {
    let u: Matrix  // Ũ
    let a: Matrix
    let s: Matrix
    let g: Matrix
  }

  /// What backward needs from forward.
  private struct Saved {
    let factors: Factors
    let query: Matrix
    let h: Matrix  // [rows, R]
    let r: Matrix  // [rows, K]
    let m: Matrix  // [rows, R + N]
    let p: Matrix  // [rows, N]
    let mask: Mask?
  }

  /// Nil where an adapter's scale is learned.
  init?(_ cores: [Bottleneck], _ places: FusionPlaces) {
    let scales = cores.compactMap(\.constantScale)
    guard scales.count == cores.count else { return nil }
    self.cores = cores
    self.places = places
    parts = InnerParts(widths: cores.map(\.width), scales: scales)
    trains = places.query.weight.isTrainable || cores.contains { $0.isTrainable }
  }

  var shares: Matrix? { saved?.p }

  /// How many floats of arena a row takes, in forward and backward together, beside those of the adapters' inner values:
  /// r, m and their gradients; and as there are K tokens at least, the folded matrices and their gradients, eight.
  var floatsPerRow: Int { 4 * (parts.widthWithBiases + 1) + 3 * parts.count + 8 * places.query.weight.rows }

  func forward(query: Matrix, _ z: Matrix, addingTo out: Matrix, _ mask: Mask?, _ workspace: Workspace) {
    let arena = workspace.arena
    let h = arena.matrix(z.rows, parts.width)
    for (n, core) in cores.enumerated() { core.innerForward(z, into: h.columns(parts.columns(n)), workspace) }
    let factors = fold(workspace)
    let r = arena.matrix(z.rows, parts.widthWithBiases + 1)
    let mark = arena.mark
    let c = arena.matrix(1, r.columns)
    multiply(workspace[places.query.bias], .plain, factors.a, .transposed, into: c)
    fillRows(r, with: c.base)
    arena.rewind(to: mark)
    multiply(query, .plain, factors.s, .transposed, into: r, beta: 1)
    let p = arena.matrix(z.rows, parts.count)
    scoreInner(h, r, parts, into: p)
    if let mask { applyMask(mask, p, into: p) }
    softmaxRows(p)
    let m = arena.matrix(z.rows, parts.widthWithBiases)
    mixInner(p, h, parts, into: m)
    multiply(m, .plain, factors.g, .transposed, into: out, beta: 1)
    saved = Saved(factors: factors, query: query, h: h, r: r, m: m, p: p, mask: mask)
  }

  /// Ũ, A, S and G.
  private func fold(_ workspace: Workspace) -> Factors {
    let arena = workspace.arena
    let (width, both) = (places.query.weight.rows, parts.widthWithBiases)
    let u = arena.matrix(width, both)
    for (n, core) in cores.enumerated() {
      u.columns(parts.columns(n)).copy(from: workspace[core.up.weight])
      let bias = workspace[core.up.bias].base
      for i in 0..<width { u.row(i)[parts.width + n] = bias[i] }
    }
    let a = arena.matrix(both + 1, width)
    multiply(u, .transposed, workspace[places.key.weight], .transposed, into: a.rows(0..<both))
    a.rows(both..<both + 1).copy(from: workspace[places.key.bias])
    let s = arena.matrix(both + 1, width)
    multiply(a, .plain, workspace[places.query.weight], .plain, into: s)
    guard let value = places.value else { return Factors(u: u, a: a, s: s, g: u) }
    let g = arena.matrix(width, both)
    multiply(workspace[value], .plain, u, .plain, into: g)
    return Factors(u: u, a: a, s: s, g: g)
  }

  func backward(_ g: Matrix, dQuery: Matrix, addingTo dz: Matrix, _ workspace: Workspace) {
    guard let saved else { preconditionFailure("backward of a fusion without its forward") }
    let arena = workspace.arena
    let dm = arena.matrix(g.rows, parts.widthWithBiases)
    multiply(g, .plain, saved.factors.g, .plain, into: dm)
    let ds = arena.matrix(g.rows, parts.count)
    scoreInner(saved.h, dm, parts, into: ds)
    softmaxBackward(ds, saved.p)
    if let mask = saved.mask { applyMask(mask, ds, into: ds) }
    let dr = arena.matrix(g.rows, parts.widthWithBiases + 1)
    mixInner(ds, saved.h, parts, into: dr)
    multiply(dr, .plain, saved.factors.s, .plain, into: dQuery)
    if trains { matrixGradients(g, dr, saved, workspace) }
    let dh = dm.columns(0..<parts.width)
    innerGradients(saved.p, dm, ds, saved.r, parts, into: dh)
    for (n, core) in cores.enumerated() {
      core.innerBackward(dh.columns(parts.columns(n)), into: dz, accumulate: true, workspace)
    }
  }

  /// The gradients of the matrices, by way of those of the folded ones.
  private func matrixGradients(_ g: Matrix, _ dr: Matrix, _ saved: Saved, _ workspace: Workspace) {
    let arena = workspace.arena
    let mark = arena.mark
    defer { arena.rewind(to: mark) }
    let (factors, both) = (saved.factors, parts.widthWithBiases)
    let dS = arena.matrix(both + 1, g.columns)
    multiply(dr, .transposed, saved.query, .plain, into: dS)
    let dC = arena.matrix(1, both + 1)
    dC.fill(0)
    sumRows(dr, addingTo: dC.base)
    if let dQuery = workspace.gradient(of: places.query.weight) {
      multiply(factors.a, .transposed, dS, .plain, into: dQuery, beta: 1)
    }
    if let dBias = workspace.gradient(of: places.query.bias) {
      multiply(dC, .plain, factors.a, .plain, into: dBias, beta: 1)
    }
    let dA = arena.matrix(both + 1, g.columns)
    multiply(dC, .transposed, workspace[places.query.bias], .plain, into: dA)
    multiply(dS, .plain, workspace[places.query.weight], .transposed, into: dA, beta: 1)
    let dG = arena.matrix(g.columns, both)
    multiply(g, .transposed, saved.m, .plain, into: dG)
    keyAndValueGradients(factors, dA: dA, dG: dG, workspace)
    for (n, core) in cores.enumerated() { upGradients(core, n, dA: dA, dG: dG, workspace) }
  }

  /// From A and G, which both read Ũ: the gradients of W_k, b_k and W_v.
  private func keyAndValueGradients(_ factors: Factors, dA: Matrix, dG: Matrix, _ workspace: Workspace) {
    let both = parts.widthWithBiases
    if let dKey = workspace.gradient(of: places.key.weight) {
      multiply(dA.rows(0..<both), .transposed, factors.u, .transposed, into: dKey, beta: 1)
    }
    if let dBias = workspace.gradient(of: places.key.bias) { add(dA.rows(both..<both + 1), to: dBias) }
    if let value = places.value, let dValue = workspace.gradient(of: value) {
      multiply(dG, .plain, factors.u, .transposed, into: dValue, beta: 1)
    }
  }

  /// From A and G: the gradients of an adapter's columns of Ũ, `dŨ = W_kᵀ dAᵀ + W_vᵀ dG`.
  private func upGradients(_ core: Bottleneck, _ n: Int, dA: Matrix, dG: Matrix, _ workspace: Workspace) {
    let key = workspace[places.key.weight]
    if let dWeight = workspace.gradient(of: core.up.weight) {
      let columns = parts.columns(n)
      multiply(key, .transposed, dA.rows(columns), .transposed, into: dWeight, beta: 1)
      if let value = places.value {
        multiply(workspace[value], .transposed, dG.columns(columns), .plain, into: dWeight, beta: 1)
      } else {
        add(dG.columns(columns), to: dWeight)
      }
    }
    if let dBias = workspace.gradient(of: core.up.bias) {
      let column = parts.width + n..<parts.width + n + 1
      multiply(dA.rows(column), .plain, key, .plain, into: dBias, beta: 1)
      if let value = places.value {
        multiply(dG.columns(column), .transposed, workspace[value], .plain, into: dBias, beta: 1)
      } else {
        for i in 0..<dBias.columns { dBias.base[i] += dG.row(i)[column.lowerBound] }
      }
    }
  }
}
