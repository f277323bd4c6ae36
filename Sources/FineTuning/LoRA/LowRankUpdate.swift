internal import BERT
internal import Kernels
internal import Tensors

/// LoRA's branch: adds `s · B(A(dropout(x)))` to the output of a projection.
final class LowRankUpdate: ProjectionBranch {
  private let a: Parameter  // [r, in]
  private let b: Parameter  // [out, r]
  private let scale: Float
  private let dropout: Float
  private let site: UInt32
  private var mask: Mask?
  private var reduced: Matrix?

  init(a: Parameter, b: Parameter, scale: Float, dropout: Float, site: UInt32) {
    self.a = a
    self.b = b
    self.scale = scale
    self.dropout = dropout
    self.site = site
  }

  var needsBias: Bool { false }
  var changesOutputGradient: Bool { false }
  /// `reduced` and its gradient, the mask, and the input after dropout.
  var floatsPerRow: Int { 2 * a.rows + (a.columns + 128) / 4 + a.columns }
  var isTrainable: Bool { a.isTrainable || b.isTrainable }
  /// Forward `A` and `B`; backward `dB`, `dA` and `t = dy B`; then `t A`.
  var operationsPerRow: BranchOperations {
    let (down, up) = (2 * Double(a.count), 2 * Double(b.count))
    return isTrainable
      ? BranchOperations(forward: down + up, gradients: 2 * up + down, inputGradient: down)
      : BranchOperations(forward: down + up, inputGradient: up + down)
  }

  /// `y += s · (drop(x) Aᵀ) Bᵀ`; keeps `drop(x) Aᵀ`, `[rows, r]`, and the mask.
  func forward(_ x: Matrix, into y: Matrix, _ rows: Rows, _ workspace: Workspace) {
    let arena = workspace.arena
    let reduced = arena.matrix(rows.count, a.rows)
    mask = workspace.mask(rows, columns: x.columns, probability: dropout, site: site)
    let mark = arena.mark
    multiply(dropped(x, workspace), .plain, workspace[a], .transposed, into: reduced)
    arena.rewind(to: mark)
    multiply(reduced, .plain, workspace[b], .transposed, into: y, alpha: scale, beta: 1)
    self.reduced = reduced
  }

  /// `dB += s · dyᵀ reduced`; with `t = s · dy B`: `dA += tᵀ drop(x)`, `dx += drop(t A)`.
  func backward(_ dy: Matrix, _ x: Matrix, dx: Matrix?, _ rows: Rows, _ workspace: Workspace) {
    guard let reduced else { preconditionFailure("backward of a low-rank update without its forward") }
    let arena = workspace.arena
    let mark = arena.mark
    defer { arena.rewind(to: mark) }
    let dReduced = arena.matrix(rows.count, a.rows)
    multiply(dy, .plain, workspace[b], .plain, into: dReduced, alpha: scale)
    if let dB = workspace.gradient(of: b) {
      multiply(dy, .transposed, reduced, .plain, into: dB, alpha: scale, beta: 1)
    }
    if let dA = workspace.gradient(of: a) {
      multiply(dReduced, .transposed, dropped(x, workspace), .plain, into: dA, beta: 1)
    }
    guard let dx else { return }
    guard let mask else {
      multiply(dReduced, .plain, workspace[a], .plain, into: dx, beta: 1)
      return
    }
    let share = arena.matrix(rows.count, a.columns)
    multiply(dReduced, .plain, workspace[a], .plain, into: share)
    addMasked(mask, share, to: dx)
  }

  /// The rows of `W + s B A`, with the update's own s or another.
  func rows(of weight: Parameter, scale: Float? = nil, _ workspace: Workspace) -> UpdatedRows {
    UpdatedRows(
      parameters: workspace.parameters, weight: weight, a: workspace[a], b: workspace[b], scale: scale ?? self.scale)
  }

  /// Adds the gradients of A and B from that of some rows of the product `B A`.
  func addGradients(ofRows range: Range<Int>, _ dProduct: Matrix, _ workspace: Workspace) {
    if let dB = workspace.gradient(of: b) {
      multiply(dProduct, .plain, workspace[a], .transposed, into: dB.rows(range), beta: 1)
    }
    if let dA = workspace.gradient(of: a) {
      multiply(workspace[b].rows(range), .transposed, dProduct, .plain, into: dA, beta: 1)
    }
  }

  private func dropped(_ x: Matrix, _ workspace: Workspace) -> Matrix {
    guard let mask else { return x }
    let y = workspace.arena.matrix(x.rows, x.columns)
    applyMask(mask, x, into: y)
    return y
  }
}
