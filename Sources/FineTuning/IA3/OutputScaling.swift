internal import BERT
internal import Kernels
internal import Tensors

/// (IA)³'s branch: multiplies each output of a projection, bias included, by a number of its own.
final class OutputScaling: ProjectionBranch {
  private let scales: Parameter  // [out, 1]
  /// The output before it was scaled, `[rows, out]`.
  private var unscaled: Matrix?

  init(_ scales: Parameter) { self.scales = scales }

  var needsBias: Bool { true }
  /// The output before it was scaled.
  var floatsPerRow: Int { scales.count }
  var isTrainable: Bool { scales.isTrainable }

  func forward(_ x: Matrix, into y: Matrix, _ rows: Rows, _ workspace: Workspace) {
    if workspace.isTraining {
      let copy = workspace.arena.matrix(y.rows, y.columns)
      copy.copy(from: y)
      unscaled = copy
    }
    scaleColumns(y, by: workspace[scales].base)
  }

  /// `dl += Σ_rows dy ∘ (W x + b)`, and `dy` becomes `dy ∘ l`.
  func backward(_ dy: Matrix, _ x: Matrix, dx: Matrix?, _ rows: Rows, _ workspace: Workspace) {
    guard let unscaled else { preconditionFailure("backward of a scaling without its forward") }
    if let dScales = workspace.gradient(of: scales)?.base { sumProducts(dy, unscaled, addingTo: dScales) }
    scaleColumns(dy, by: workspace[scales].base)
  }
}
