internal import Kernels
package import Tensors

/// What a fine-tuning method does where a block ends, in the place of `LayerNorm(d + residual)`: bottleneck adapters,
/// stacks of them, their fusion.
package protocol BlockOutputBranch: Branch {
  /// How many floats of arena a row takes at most, in forward and backward together.
  var floatsPerRow: Int { get }
  /// - Parameters:
  ///   - d: The block's output after bias and dropout, `[rows, H]`; may be overwritten.
  ///   - residual: The block's input, `[rows, H]`.
  ///   - norm: The block's own layer normalisation.
  ///   - y: Where the output goes, `[rows, H]`.
  ///   - rows: Which tokens the rows are.
  ///   - workspace: Parameters, memory, dropout.
  func forward(
    _ d: Matrix, residual: Matrix, _ norm: LayerNorm, into y: Matrix, _ rows: Rows, _ workspace: Workspace)
  /// - Parameters:
  ///   - dy: The gradient of the output, `[rows, H]`.
  ///   - norm: The block's own layer normalisation.
  ///   - dd: Where the gradient of `d` goes, `[rows, H]`.
  ///   - dResidual: Where the gradient of the residual goes, `[rows, H]`.
  ///   - rows: Which tokens the rows are.
  ///   - workspace: Where gradients go, memory.
  func backward(
    _ dy: Matrix, _ norm: LayerNorm, dd: Matrix, dResidual: Matrix, _ rows: Rows, _ workspace: Workspace)
}

/// The parameters of a layer normalisation.
package struct LayerNorm: Sendable, BitwiseCopyable {
  /// γ, `[1, H]`.
  package let weight: Parameter
  /// β, `[1, H]`.
  package let bias: Parameter
  /// Added to the variance.
  package let epsilon: Float

  /// The normalisation whose tensors' names start with `name`.
  package init(_ name: String, _ table: ParameterTable, epsilon: Float) {
    weight = table[name + ".weight"]
    bias = table[name + ".bias"]
    self.epsilon = epsilon
  }

  /// Whether γ or β is trained.
  package var isTrainable: Bool { weight.isTrainable || bias.isTrainable }
}

/// The end of a block, `y = LayerNorm(dropout(d + bias) + residual)`, with an open site for a fine-tuning method.
package final class BlockOutput {
  /// The published name of the block's end, such as `bert.encoder.layer.0.attention.output`.
  package let name: String
  /// The block's layer normalisation.
  package let norm: LayerNorm
  /// What a fine-tuning method added.
  package var branch: (any BlockOutputBranch)?
  private let dropout: (probability: Float, site: UInt32)

  private var mask: Mask?
  private var normalized: Matrix?
  private var inverseDeviations: UnsafeMutablePointer<Float>?

  init(
    _ name: String, _ table: ParameterTable, epsilon: Float, dropout: (probability: Float, site: UInt32)
  ) {
    self.name = name
    norm = LayerNorm(name + ".LayerNorm", table, epsilon: epsilon)
    self.dropout = dropout
  }

  /// Whether anything here is trained.
  package var isTrainable: Bool { norm.isTrainable || branch?.isTrainable == true }

  /// - Parameters:
  ///   - d: The output of the block's last projection, `[rows, H]`; overwritten.
  ///   - bias: What is still to be added to it, or nil.
  ///   - residual: The block's input, `[rows, H]`.
  ///   - y: Where the output goes, `[rows, H]`.
  ///   - rows: Which tokens the rows are.
  ///   - workspace: Parameters, memory, dropout.
  func forward(
    _ d: Matrix, bias: UnsafePointer<Float>?, residual: Matrix, into y: Operand, _ rows: Rows,
    _ workspace: Workspace
  ) {
    let mask = workspace.mask(
      rows, columns: d.columns, probability: dropout.probability, site: dropout.site)
    self.mask = mask
    if let branch {
      if let bias { addToRows(d, bias) }
      if let mask { applyMask(mask, d, into: d) }
      branch.forward(d, residual: residual, norm, into: y.values, rows, workspace)
      y.rounded?.round(from: y.values)
      return
    }
    let deviations = workspace.arena.allocate(Float.self, rows.count)
    normalizeSum(
      d, bias: bias, mask: mask, residual: residual, gamma: workspace[norm.weight].base,
      beta: workspace[norm.bias].base, epsilon: norm.epsilon, into: y.values, rounded: y.rounded,
      inverseDeviations: deviations)
    normalized = d
    inverseDeviations = deviations
  }

  /// - Parameters:
  ///   - dy: The gradient of the output, `[rows, H]`.
  ///   - dd: Where the gradient of `d` goes, `[rows, H]`.
  ///   - dResidual: Where the gradient of the residual goes, `[rows, H]`; may be `dy`.
  ///   - rows: Which tokens the rows are.
  ///   - workspace: Where gradients go, memory.
  func backward(_ dy: Matrix, dd: Operand, dResidual: Matrix, _ rows: Rows, _ workspace: Workspace) {
    if let branch {
      branch.backward(dy, norm, dd: dd.values, dResidual: dResidual, rows, workspace)
      if let mask { applyMask(mask, dd.values, into: dd.values) }
      dd.rounded?.round(from: dd.values)
      return
    }
    guard let normalized, let inverseDeviations else {
      preconditionFailure("backward of \(name) without its forward")
    }
    normalizeBackward(
      dy, normalized: normalized, inverseDeviations: inverseDeviations, gamma: workspace[norm.weight].base,
      into: dResidual, dropout: (mask, dd.values, dd.rounded),
      dGamma: workspace.gradient(of: norm.weight)?.base,
      dBeta: workspace.gradient(of: norm.bias)?.base)
  }
}
