internal import BERT
internal import Kernels
internal import Tensors

/// DoRA's branch as PEFT computes it: `y = g ∘ (W x + s B A x) + b` with `g = m / ‖W + s B A‖` of each row.
///
/// The lengths count as constants in backward. With dropout, what is added to `W x + b` is computed from the dropped
/// input `x̃` alone: `y = W x + b + (g − 1) ∘ W x̃ + g ∘ s B A x̃`.
/// - SeeAlso: Liu et al.: *DoRA*, ICML 2024, eq. 5 and §4.3.
final class DecomposedUpdate: ProjectionBranch {
  private let weight: Parameter  // [out, in]
  private let bias: Parameter  // [1, out]
  private let magnitude: Parameter  // [1, out]
  private let update: LowRankUpdate
  private let dropout: Float
  private let site: UInt32
  private var mask: Mask?
  private var scales: RowScales?
  /// `W x + s B A x` of the input that the update saw, `[rows, out]`.
  private var product: Matrix?

  init(_ projection: Projection, magnitude: Parameter, _ update: LowRankUpdate, dropout: Float) {
    weight = projection.weight
    bias = projection.bias
    self.magnitude = magnitude
    self.update = update
    self.dropout = dropout
    site = projection.branchSite
  }

  var needsBias: Bool { true }
  /// The product, its gradient and the difference; the input and its gradient after dropout, and the mask.
  var floatsPerRow: Int { update.floatsPerRow + 3 * weight.rows + 2 * weight.columns + (weight.columns + 128) / 4 }
  var isTrainable: Bool { magnitude.isTrainable || update.isTrainable }
  /// With dropout the base's product is taken of the dropped input too; the lengths of rows are found once a step.
  var operationsPerRow: BranchOperations {
    let again = dropout > 0 ? 2 * Double(weight.count) : 0
    return update.operationsPerRow + BranchOperations(forward: again, inputGradient: again)
  }

  func forward(_ x: Matrix, into y: Matrix, _ rows: Rows, _ workspace: Workspace) {
    let arena = workspace.arena
    let scales = RowScales(update.rows(of: weight, workspace), magnitude, workspace)
    let product = arena.matrix(rows.count, y.columns)
    mask = workspace.mask(rows, columns: x.columns, probability: dropout, site: site)
    if let mask {
      let dropped = arena.matrix(x.rows, x.columns)
      applyMask(mask, x, into: dropped)
      workspace.multiply(workspace.operand(Operand(dropped), weight.precision), transposed: weight, into: product)
      subtract(product, from: y)
      update.forward(dropped, into: product, rows, workspace)
      scales.addScaled(product, to: y)
    } else {
      update.forward(x, into: y, rows, workspace)
      let bias = workspace[bias].base
      for r in 0..<y.rows {
        let (out, kept) = (y.row(r), product.row(r))
        for i in 0..<y.columns {
          kept[i] = out[i] - bias[i]
          // At g = 1 this is the number itself, to the last bit: training starts from the base.
          out[i] = scales.factors[i] * out[i] + (1 - scales.factors[i]) * bias[i]
        }
      }
    }
    self.scales = scales
    self.product = product
  }

  func backward(_ dy: Matrix, _ x: Matrix, dx: Matrix?, _ rows: Rows, _ workspace: Workspace) {
    guard let scales, let product else {
      preconditionFailure("backward of a decomposed update without its forward")
    }
    let arena = workspace.arena
    let mark = arena.mark
    defer { arena.rewind(to: mark) }
    if let dMagnitude = workspace.gradient(of: magnitude) {
      scales.addMagnitudeGradient(dy, product, to: dMagnitude.base, arena)
    }
    guard let mask else {
      // The bias is not scaled: its gradient is what the projection will add from g ∘ dy, and the rest from here.
      if let dBias = workspace.gradient(of: bias) { sumRows(dy, addingTo: dBias.base) }
      scales.scale(dy)
      if let dBias = workspace.gradient(of: bias) { subtractRowSum(dy, from: dBias.base, arena) }
      return update.backward(dy, x, dx: dx, rows, workspace)
    }
    let dropped = arena.matrix(x.rows, x.columns)
    applyMask(mask, x, into: dropped)
    let dProduct = arena.matrix(dy.rows, dy.columns)
    dProduct.copy(from: dy)
    scales.scale(dProduct)
    guard let dx else { return update.backward(dProduct, dropped, dx: nil, rows, workspace) }
    let dDropped = arena.matrix(x.rows, x.columns)
    let difference = arena.matrix(dy.rows, dy.columns)
    difference.copy(from: dProduct)
    subtract(dy, from: difference)
    workspace.multiply(workspace.operand(Operand(difference), weight.precision), weight, into: dDropped)
    update.backward(dProduct, dropped, dx: dDropped, rows, workspace)
    addMasked(mask, dDropped, to: dx)
  }

  private func subtractRowSum(_ x: Matrix, from total: UnsafeMutablePointer<Float>, _ arena: ActivationArena) {
    let sums = arena.matrix(1, x.columns)
    sums.fill(0)
    sumRows(x, addingTo: sums.base)
    for i in 0..<x.columns { total[i] -= sums.base[i] }
  }
}
