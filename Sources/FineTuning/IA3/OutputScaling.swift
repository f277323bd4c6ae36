internal import BERT
internal import Tensors

/// (IA)³'s branch: multiplies each output of a projection, bias included, by a number of its own.
final class OutputScaling: ProjectionBranch {
  private let scales: Parameter  // [out, 1]
  /// The output before it was scaled, `[rows, out]`.
  private var unscaled: Matrix?

  init(_ scales: Parameter) { self.scales = scales }

  var needsBias: Bool { true }
  var isTrainable: Bool { scales.isTrainable }

  func forward(_ x: Matrix, into y: Matrix, _ rows: Rows, _ workspace: Workspace) {
    if workspace.isTraining {
      let copy = workspace.arena.matrix(y.rows, y.columns)
      copy.copy(from: y)
      unscaled = copy
    }
    scale(y, workspace)
  }

  /// `dl += Σ_rows dy ∘ (W x + b)`, and `dy` becomes `dy ∘ l`.
  func backward(_ dy: Matrix, _ x: Matrix, dx: Matrix?, _ rows: Rows, _ workspace: Workspace) {
    guard let unscaled else { preconditionFailure("backward of a scaling without its forward") }
    if let dScales = workspace.gradient(of: scales)?.base {
      for r in 0..<dy.rows {
        let (d, y) = (dy.row(r), unscaled.row(r))
        for i in 0..<dy.columns { dScales[i] += d[i] * y[i] }
      }
    }
    scale(dy, workspace)
  }

  private func scale(_ y: Matrix, _ workspace: Workspace) {
    let factors = workspace[scales].base
    for r in 0..<y.rows {
      let row = y.row(r)
      for i in 0..<y.columns { row[i] *= factors[i] }
    }
  }
}
