package import BERT
internal import Kernels
package import Tensors

/// The adapters at a block's end: the stages of a stack, then what the last adapter's configuration says of the
/// block's own residual and normalisation.
package final class AdapterBranch: BlockOutputBranch {
  private let stages: [any AdapterStage]
  private let last: AdapterConfiguration
  private var normCache: NormCache?

  init(_ stages: [any AdapterStage], last: AdapterConfiguration) {
    self.stages = stages
    self.last = last
  }

  /// Whether anything of the branch is trained.
  package var isTrainable: Bool { stages.contains { $0.isTrainable } }
  /// How many floats of arena a row takes, in forward and backward together.
  package var floatsPerRow: Int { stages.reduce(0) { $0 + $1.floatsPerRow } }
  /// Gradients go through a stage to reach what is trained before it.
  package var operationsPerRow: BranchOperations {
    var total = BranchOperations()
    var trainsBefore = false
    for stage in stages {
      let own = stage.operationsPerRow
      total.forward += own.forward
      total.gradients += own.gradients + (trainsBefore ? own.inputGradient : 0)
      total.inputGradient += trainsBefore ? 0 : own.inputGradient
      trainsBefore = trainsBefore || stage.isTrainable
    }
    return total
  }
  /// The shares of the fused adapters in the last forward, `[rows, N]`; nil without a fusion.
  package var fusionShares: Matrix? { fusion?.shares }
  /// In which order the fusion of the last forward multiplied; nil without a fusion. Set, it is the order of every pass
  /// from then on where it is right and workers do not fold together, so that one can be tested against the other.
  package var fusionOrder: FusionOrder? {
    get { fusion?.order }
    set { fusion?.requestedOrder = newValue }
  }
  private var fusion: FusedAdapters? { fusions.first }
  /// The fusions of the stack.
  var fusions: [FusedAdapters] { stages.compactMap { $0 as? FusedAdapters } }

  /// Runs the stages.
  package func forward(
    _ d: Matrix, residual: Matrix, _ norm: LayerNorm, into y: Matrix, _ rows: Rows, _ workspace: Workspace
  ) {
    var out = d
    for stage in stages { out = stage.forward(out, residual: residual, norm, rows, workspace) }
    if last.isParallel { add(d, to: out) }
    if last.originalNormAfter {
      normCache = NormCache(norm, overwriting: out, residual, into: y, workspace)
    } else {
      y.copy(from: out)
    }
  }

  /// Runs the stages backward.
  package func backward(
    _ dy: Matrix, _ norm: LayerNorm, dd: Matrix, dResidual: Matrix, _ rows: Rows, _ workspace: Workspace
  ) {
    if last.originalNormAfter, let normCache {
      normCache.backward(dy, into: dResidual, workspace)
      dd.copy(from: dResidual)
    } else {
      dd.copy(from: dy)
      dResidual.fill(0)
    }
    let mark = workspace.arena.mark
    var beside: Matrix?
    if last.isParallel {
      let copy = workspace.arena.matrix(dd.rows, dd.columns)
      copy.copy(from: dd)
      beside = copy
    }
    for stage in stages.reversed() { stage.backward(dd, dResidual: dResidual, workspace) }
    if let beside { add(beside, to: dd) }
    workspace.arena.rewind(to: mark)
  }
}
