internal import BERT
internal import Kernels
internal import Tensors

/// A fusion that writes each token's candidates out.
///
/// The products are taken in the order that needs one with each matrix, whatever the number of adapters: the score is
/// `(W_kᵀ q') · u_n + q' · b_k`, q' = W_q q + b_q, and the value matrix multiplies the mixture.
final class PlainFusion: FusionProducts {
  private let cores: [Bottleneck]
  private let places: FusionPlaces
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

  init(_ cores: [Bottleneck], _ places: FusionPlaces) {
    self.cores = cores
    self.places = places
  }

  var shares: Matrix? { saved?.p }

  /// How many floats of arena a row takes, in forward and backward together, beside what is inside of the adapters:
  /// candidates, W_q q + b_q, W_kᵀ of it and the mixture, and the gradients of all four.
  var floatsPerRow: Int { (2 * cores.count + 6) * places.query.weight.rows + 2 * cores.count }

  func forward(query: Matrix, _ z: Matrix, addingTo out: Matrix, _ mask: Mask?, _ workspace: Workspace) {
    let arena = workspace.arena
    let (rows, width) = (z.rows, z.columns)
    let u = arena.matrix(rows, cores.count * width)
    for (n, core) in cores.enumerated() {
      core.forward(z, into: u.columns(n * width..<(n + 1) * width), accumulate: false, workspace)
    }
    let projected = arena.matrix(rows, width)
    fillRows(projected, with: workspace[places.query.bias].base)
    multiply(query, .plain, workspace[places.query.weight], .transposed, into: projected, beta: 1)
    let w = arena.matrix(rows, width)
    multiply(projected, .plain, workspace[places.key.weight], .plain, into: w)
    let p = arena.matrix(rows, cores.count)
    scoreCandidates(w, u, into: p, offset: (projected, UnsafePointer(workspace[places.key.bias].base)))
    if let mask { applyMask(mask, p, into: p) }
    softmaxRows(p)
    let context = arena.matrix(rows, width)
    mixCandidates(p, u, into: context)
    if let value = places.value {
      multiply(context, .plain, workspace[value], .transposed, into: out, beta: 1)
    } else {
      add(context, to: out)
    }
    saved = Saved(query: query, projected: projected, w: w, u: u, p: p, context: context, mask: mask)
  }

  func backward(_ g: Matrix, dQuery: Matrix, addingTo dz: Matrix, _ workspace: Workspace) {
    guard let saved else { preconditionFailure("backward of a fusion without its forward") }
    let arena = workspace.arena
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
    queryBackward(ds, saved, into: dQuery, workspace)
    for (n, core) in cores.enumerated() {
      core.backward(du.columns(n * width..<(n + 1) * width), into: dz, accumulate: true, workspace)
    }
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
}
