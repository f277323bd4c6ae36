internal import BERT
internal import Kernels
internal import Tensors

/// A layer normalisation's output, and what its backward needs.
struct NormCache {
  let output: Matrix
  private let norm: LayerNorm
  private let normalized: Matrix
  private let inverseDeviations: UnsafeMutablePointer<Float>

  /// Normalises `x + other`, neither of which is changed.
  init(_ norm: LayerNorm, of x: Matrix, _ other: Matrix?, _ workspace: Workspace) {
    let copy = workspace.arena.matrix(x.rows, x.columns)
    copy.copy(from: x)
    self.init(
      norm, overwriting: copy, other, into: workspace.arena.matrix(x.rows, x.columns), workspace)
  }

  /// Normalises `x + other` into `output`; `x` is overwritten.
  init(
    _ norm: LayerNorm, overwriting x: Matrix, _ other: Matrix?, into output: Matrix, _ workspace: Workspace
  ) {
    self.norm = norm
    self.output = output
    normalized = x
    inverseDeviations = workspace.arena.allocate(Float.self, x.rows)
    normalizeSum(
      x, bias: nil, mask: nil, residual: other, gamma: workspace[norm.weight].base,
      beta: workspace[norm.bias].base, epsilon: norm.epsilon, into: output,
      inverseDeviations: inverseDeviations)
  }

  /// Writes the gradient of the sum; `dx` may be `dy`.
  func backward(_ dy: Matrix, into dx: Matrix, _ workspace: Workspace) {
    normalizeBackward(
      dy, normalized: normalized, inverseDeviations: inverseDeviations,
      gamma: workspace[norm.weight].base, into: dx, dGamma: workspace.gradient(of: norm.weight)?.base,
      dBeta: workspace.gradient(of: norm.bias)?.base)
  }
}
