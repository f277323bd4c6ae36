internal import BERT
internal import Kernels
internal import Tensors

/// DoRA's branch as AdapterHub's library computes it: `y = g ∘ (W x + b + s B A x)` with `g = m / ‖W + B A‖`.
///
/// The lengths leave s out and have a gradient, and the bias is scaled: not the numbers of PEFT's DoRA.
final class JointlyDecomposedUpdate: ProjectionBranch {
  private let weight: Parameter  // [out, in]
  private let magnitude: Parameter  // [1, out]
  private let update: LowRankUpdate
  private var scales: RowScales?
  /// `W x + b + s B A x`, `[rows, out]`.
  private var product: Matrix?

  init(_ projection: Projection, magnitude: Parameter, _ update: LowRankUpdate) {
    weight = projection.weight
    self.magnitude = magnitude
    self.update = update
  }

  var needsBias: Bool { true }
  var floatsPerRow: Int { update.floatsPerRow + weight.rows }
  var isTrainable: Bool { magnitude.isTrainable || update.isTrainable }
  /// The lengths of rows and their gradients are found once a step.
  var operationsPerRow: BranchOperations { update.operationsPerRow }

  func forward(_ x: Matrix, into y: Matrix, _ rows: Rows, _ workspace: Workspace) {
    let scales = RowScales(update.rows(of: weight, scale: 1, workspace), magnitude, workspace)
    update.forward(x, into: y, rows, workspace)
    let product = workspace.arena.matrix(y.rows, y.columns)
    product.copy(from: y)
    scales.scale(y)
    self.scales = scales
    self.product = product
  }

  func backward(_ dy: Matrix, _ x: Matrix, dx: Matrix?, _ rows: Rows, _ workspace: Workspace) {
    guard let scales, let product else {
      preconditionFailure("backward of a decomposed update without its forward")
    }
    let arena = workspace.arena
    let mark = arena.mark
    let dFactors = scales.factorGradient(dy, product, arena)
    if let dMagnitude = workspace.gradient(of: magnitude) {
      for i in 0..<scales.count where scales.norms[i] > 0 {
        dMagnitude.base[i] += dFactors[i] / scales.norms[i]
      }
    }
    addNormGradients(dFactors, scales, workspace)
    arena.rewind(to: mark)
    scales.scale(dy)
    update.backward(dy, x, dx: dx, rows, workspace)
  }

  /// With `C = W + B A` and `n = ‖C‖`: `dC = −dg · m / n² · C / n` for each row, then `dB += dC Aᵀ`, `dA += Bᵀ dC`.
  private func addNormGradients(
    _ dFactors: UnsafeMutablePointer<Float>, _ scales: RowScales, _ workspace: Workspace
  ) {
    let rows = update.rows(of: weight, scale: 1, workspace)
    rows.forEachBlock(workspace.arena) { range, block in
      for r in 0..<block.rows {
        let (i, row) = (range.lowerBound + r, block.row(r))
        let norm = scales.norms[i]
        let factor = norm > 0 ? -dFactors[i] * scales.factors[i] / (norm * norm) : 0
        for c in 0..<block.columns { row[c] *= factor }
      }
      update.addGradients(ofRows: range, block, workspace)
    }
  }
}
