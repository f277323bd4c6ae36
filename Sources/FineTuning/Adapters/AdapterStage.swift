internal import BERT
internal import Kernels
internal import Tensors

/// What an adapter, or a fusion of them, reads, and the residual that its output is added to.
struct StageInput {
  /// What the core reads.
  let z: Matrix
  /// What its output is added to.
  let residual: Matrix
  /// What the block's own normalisation left, when it was applied first.
  let norm: NormCache?
}

/// What an adapter or a fusion of them does with the output of the one before it, or of the block: one step of a stack.
protocol AdapterStage: AnyObject {
  var isTrainable: Bool { get }
  /// How many floats of arena a row takes, in forward and backward together.
  var floatsPerRow: Int { get }
  /// What its products cost.
  var operationsPerRow: BranchOperations { get }
  /// - Parameters:
  ///   - x: The output of the stage before, or of the block, `[rows, H]`.
  ///   - residual: The block's input.
  ///   - norm: The block's own normalisation.
  ///   - rows: Which tokens the rows are.
  ///   - workspace: Parameters, memory, dropout.
  /// - Returns: `[rows, H]`.
  func forward(
    _ x: Matrix, residual: Matrix, _ norm: LayerNorm, _ rows: Rows, _ workspace: Workspace
  ) -> Matrix
  /// Turns `g` from the gradient of the output into that of `x`, in place, and adds to that of the block's input.
  func backward(_ g: Matrix, dResidual: Matrix, _ workspace: Workspace)
}

/// The first step of a stage, which one adapter's configuration decides: its own, or that of the last one fused.
struct StageEntry {
  let configuration: AdapterConfiguration
  /// Whether the stage's input may be overwritten.
  let mayOverwrite: Bool
  private var input: StageInput?

  init(_ configuration: AdapterConfiguration, mayOverwrite: Bool) {
    self.configuration = configuration
    self.mayOverwrite = mayOverwrite
  }

  mutating func read(_ x: Matrix, residual: Matrix, _ norm: LayerNorm, _ workspace: Workspace) -> StageInput {
    let input = prepare(x, residual: residual, norm, workspace)
    self.input = input
    return input
  }

  private func prepare(
    _ x: Matrix, residual: Matrix, _ norm: LayerNorm, _ workspace: Workspace
  ) -> StageInput {
    if configuration.isParallel { return StageInput(z: residual, residual: residual, norm: nil) }
    guard configuration.originalNormBefore else { return StageInput(z: x, residual: x, norm: nil) }
    let cache = NormCache(norm, of: x, residual, workspace)
    switch configuration.residual {
    case .blockOutput: return StageInput(z: cache.output, residual: x, norm: cache)
    case .coreInput: return StageInput(z: cache.output, residual: cache.output, norm: cache)
    case .sum:
      let sum = workspace.arena.matrix(x.rows, x.columns)
      sum.copy(from: x)
      add(residual, to: sum)
      return StageInput(z: cache.output, residual: sum, norm: cache)
    }
  }

  /// The backward of the first step.
  /// - Parameters:
  ///   - dz: The gradient of what the core read; overwritten.
  ///   - g: The gradient of the residual that was added; becomes that of `x`.
  ///   - dResidual: Where the gradient of the block's input is added.
  ///   - workspace: Where gradients go, memory.
  func readBackward(_ dz: Matrix, _ g: Matrix, dResidual: Matrix, _ workspace: Workspace) {
    guard let norm = input?.norm else { return add(dz, to: g) }
    if configuration.residual == .coreInput {
      add(g, to: dz)
      g.fill(0)
    }
    norm.backward(dz, into: dz, workspace)
    if configuration.residual == .sum {
      add(g, to: dResidual)
    }
    add(dz, to: g)
    add(dz, to: dResidual)
  }

  /// A matrix that holds the residual, to which the stage's output is added: `x` itself where nobody reads it again.
  func sumOnto(_ input: StageInput, _ x: Matrix, _ workspace: Workspace) -> Matrix {
    if mayOverwrite, input.norm != nil, input.residual.base == x.base { return x }
    let sum = workspace.arena.matrix(x.rows, x.columns)
    sum.copy(from: input.residual)
    return sum
  }
}
