internal import BERT
internal import Kernels
internal import Tensors

/// A stage of several adapters side by side, mixed for each token by attention over their outputs:
/// `p = softmax_n(dropout((W_q q + b_q) · (W_k u_n + b_k)))`, `out = W_v Σ_n p_n u_n + residual`.
///
/// Each pass takes the order of products that is cheaper for its number of tokens (`FusionShape`), unless the rank's workers
/// fold together (`SharedFold`).
/// - SeeAlso: Pfeiffer et al.: *AdapterFusion*, 2021, §3.
final class FusedAdapters: AdapterStage {
  private var entry: StageEntry
  private let cores: [Bottleneck]
  private let places: FusionPlaces
  private let fusion: FusionConfiguration
  private let dropout: (probability: Float, site: UInt32)
  private let shape: FusionShape
  private let plain: PlainFusion
  /// Its folded matrices; nil where only the plain order is right.
  let fold: FusionFold?
  /// Likewise.
  let folded: FoldedFusion?
  /// The order of the last forward.
  private(set) var order = FusionOrder.plain
  /// The order that tests ask for where both are right; chosen for each pass when nil.
  var requestedOrder: FusionOrder?

  private var configuration: AdapterConfiguration { entry.configuration }

  init(
    _ cores: [Bottleneck], last: AdapterConfiguration, _ places: FusionPlaces, _ fusion: FusionConfiguration,
    dropout: (probability: Float, site: UInt32), mayOverwrite: Bool
  ) {
    self.cores = cores
    self.places = places
    self.fusion = fusion
    self.dropout = dropout
    entry = StageEntry(last, mayOverwrite: mayOverwrite)
    shape = FusionShape(
      hiddenSize: places.query.weight.rows, count: cores.count, width: cores.reduce(0) { $0 + $1.width },
      trainedWidth: cores.reduce(0) { $0 + ($1.isTrainable ? $1.width : 0) }, hasValue: places.value != nil,
      trainsFusion: places.query.weight.isTrainable)
    plain = PlainFusion(cores, places)
    fold = FusionFold(cores, places)
    folded = fold.map(FoldedFusion.init)
  }

  var isTrainable: Bool {
    places.query.weight.isTrainable || cores.contains { $0.isTrainable }
  }
  /// Beside what either order takes there are the entry, the query, the output and the gradients of all three.
  var floatsPerRow: Int {
    let hidden = places.query.weight.rows
    return cores.reduce(10 * hidden + 128 + max(plain.floatsPerRow, folded?.floatsPerRow ?? 0)) { $0 + $1.floatsPerRow }
  }
  /// In the plain order, which is what runs where tokens are few: query, key and value forward; backward the same for
  /// the mixture and, where the fusion is trained, their own gradients; scores and mixtures of N candidates; and the
  /// candidates themselves. A pass that folds needs fewer.
  var operationsPerRow: BranchOperations {
    let (matrix, vector) = (2 * Double(places.query.weight.count), 2 * Double(places.query.weight.rows))
    let (count, value) = (Double(cores.count), places.value == nil ? 0 : matrix)
    var total = cores.reduce(BranchOperations()) { $0 + $1.operationsPerRow }
    total.forward += 2 * matrix + value + 2 * count * vector
    // Towards a candidate: the mixture's gradient, the scores' and their sum.
    let scores = value + count * vector
    let trainedCount = Double(cores.count { $0.isTrainable })
    let query = 2 * matrix + count * vector
    if places.query.weight.isTrainable {
      total.gradients += scores + count * vector + 2 * matrix + matrix + value + 2 * trainedCount * vector
      total.inputGradient += matrix + 2 * (count - trainedCount) * vector
    } else if trainedCount > 0 {
      total.gradients += scores + 2 * trainedCount * vector
      total.inputGradient += query + 2 * (count - trainedCount) * vector
    } else {
      total.inputGradient += scores + query + 2 * count * vector
    }
    return total
  }
  /// p of the last forward, `[rows, N]`.
  var shares: Matrix? { products.shares }
  /// Whoever ran forward last.
  private var products: any FusionProducts {
    if order == .folded, let folded { return folded }
    return plain
  }

  func forward(
    _ x: Matrix, residual: Matrix, _ norm: LayerNorm, _ rows: Rows, _ workspace: Workspace
  ) -> Matrix {
    let input = entry.read(x, residual: residual, norm, workspace)
    let query = readsQueryBefore ? copy(x, workspace) : input.z
    let mask = workspace.mask(
      rows, columns: cores.count, probability: dropout.probability, site: dropout.site)
    order = requestedOrder ?? order(rows: x.rows, isTraining: workspace.isTraining)
    if folded == nil { order = .plain }
    // The gradients of what is shared have one way only.
    if workspace.isTraining, folded?.shared != nil { order = .folded }
    let out = entry.sumOnto(input, x, workspace)
    products.forward(query: query, input.z, addingTo: out, mask, workspace)
    return out
  }

  /// The order that takes fewer operations.
  func order(rows: Int, isTraining: Bool) -> FusionOrder { shape.order(rows: rows, isTraining: isTraining) }

  /// Whether the query is not what the adapters read.
  private var readsQueryBefore: Bool { fusion.queryBeforeNorm && !configuration.isParallel }

  func backward(_ g: Matrix, dResidual: Matrix, _ workspace: Workspace) {
    let arena = workspace.arena
    let mark = arena.mark
    defer { arena.rewind(to: mark) }
    let dQuery = arena.matrix(g.rows, g.columns)
    var dz = dQuery
    if readsQueryBefore {
      dz = arena.matrix(g.rows, g.columns)
      dz.fill(0)
    }
    products.backward(g, dQuery: dQuery, addingTo: dz, workspace)
    if configuration.isParallel {
      add(dz, to: dResidual)
      add(g, to: dResidual)
      g.fill(0)
      return
    }
    entry.readBackward(dz, g, dResidual: dResidual, workspace)
    if readsQueryBefore { add(dQuery, to: g) }
  }

  private func copy(_ x: Matrix, _ workspace: Workspace) -> Matrix {
    let y = workspace.arena.matrix(x.rows, x.columns)
    y.copy(from: x)
    return y
  }
}
