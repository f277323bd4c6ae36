internal import BERT
internal import Kernels
internal import Tensors

/// A stage of one adapter: `out = n(dropout(a(z))) + residual`, with n a normalisation or nothing, or
/// `n(dropout(a(z)) + residual)`; a parallel adapter's residual is added after the last stage.
final class SingleAdapter: AdapterStage {
  private var entry: StageEntry
  private let core: Bottleneck
  private let normAfter: LayerNorm?
  private let dropoutSite: UInt32
  private var mask: Mask?
  private var normCache: NormCache?

  private var configuration: AdapterConfiguration { entry.configuration }

  init(
    _ core: Bottleneck, normAfter: LayerNorm?, _ configuration: AdapterConfiguration, dropoutSite: UInt32,
    mayOverwrite: Bool
  ) {
    self.core = core
    self.normAfter = normAfter
    self.dropoutSite = dropoutSite
    entry = StageEntry(configuration, mayOverwrite: mayOverwrite)
  }

  var isTrainable: Bool { core.isTrainable }
  var floatsPerRow: Int { core.floatsPerRow + 12 * hiddenSize }
  var operationsPerRow: BranchOperations { core.operationsPerRow }
  private var hiddenSize: Int { core.hiddenSize }

  func forward(
    _ x: Matrix, residual: Matrix, _ norm: LayerNorm, _ rows: Rows, _ workspace: Workspace
  ) -> Matrix {
    let input = entry.read(x, residual: residual, norm, workspace)
    mask = workspace.mask(
      rows, columns: x.columns, probability: configuration.dropout, site: dropoutSite)
    let addsResidual = !configuration.isParallel
    if mask == nil, normAfter == nil, addsResidual {
      let out = entry.sumOnto(input, x, workspace)
      core.forward(input.z, into: out, accumulate: true, workspace)
      return out
    }
    var out = workspace.arena.matrix(x.rows, x.columns)
    core.forward(input.z, into: out, accumulate: false, workspace)
    if let mask { applyMask(mask, out, into: out) }
    let before = addsResidual && configuration.addsResidualBeforeNorm
    if before { add(input.residual, to: out) }
    if let normAfter {
      let cache = NormCache(
        normAfter, overwriting: out, nil, into: workspace.arena.matrix(x.rows, x.columns), workspace)
      normCache = cache
      out = cache.output
    }
    if addsResidual, !before { add(input.residual, to: out) }
    return out
  }

  func backward(_ g: Matrix, dResidual: Matrix, _ workspace: Workspace) {
    let arena = workspace.arena
    let mark = arena.mark
    defer { arena.rewind(to: mark) }
    let dz = arena.matrix(g.rows, g.columns)
    var dUp = g
    if let normCache {
      if configuration.addsResidualBeforeNorm {
        normCache.backward(g, into: g, workspace)
      } else {
        dUp = arena.matrix(g.rows, g.columns)
        normCache.backward(g, into: dUp, workspace)
      }
    }
    if let mask {
      let masked = arena.matrix(g.rows, g.columns)
      applyMask(mask, dUp, into: masked)
      dUp = masked
    }
    core.backward(dUp, into: dz, accumulate: false, workspace)
    if configuration.isParallel {
      add(dz, to: dResidual)
      g.fill(0)
    } else {
      entry.readBackward(dz, g, dResidual: dResidual, workspace)
    }
  }
}
