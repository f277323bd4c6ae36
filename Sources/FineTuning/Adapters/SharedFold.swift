package import BERT
internal import Kernels
package import Tensors

/// A fusion's folded matrices (`FusionFold`) that the workers of a rank compute together, once a step, and the gradients
/// of the fusion's own matrices, once a step as well.
///
/// A step goes: every worker folds its part; passes read the folded matrices and add to the worker's gradients of them;
/// when the passes of all are over, every worker sums its part of these gradients, and when all have, computes its part
/// of those of query, key and value. Whoever calls sees to the order.
package final class SharedFold: @unchecked Sendable {
  private let fold: FusionFold
  private let count: Int
  private let memory: UnsafeMutablePointer<Float>
  let factors: FusionFold.Factors
  private let dA: Matrix
  /// `[workers]`: the gradients of the folded matrices. The first one's gets the sum.
  private let gradients: [UnsafeMutablePointer<Float>]
  /// `[workers]`: whether a pass of the step has written any.
  private let isWritten: UnsafeMutablePointer<Bool>

  /// The fold of one fusion, which all workers' models have; from here on their training passes use it.
  private init(_ fusions: [FoldedFusion], _ fold: FusionFold) {
    self.fold = fold
    count = fusions.count
    let square = fold.rows * fold.width
    let total = fold.factorCount + square + count * fold.gradientCount
    let memory = UnsafeMutablePointer<Float>.allocate(capacity: total)
    useHugePages(memory, 4 * total)
    self.memory = memory
    factors = fold.factors(in: memory)
    dA = Matrix(memory + fold.factorCount, rows: fold.rows, columns: fold.width)
    gradients = (0..<fusions.count).map { memory + fold.factorCount + square + $0 * fold.gradientCount }
    isWritten = .allocate(capacity: count)
    isWritten.initialize(repeating: false, count: count)
    for (worker, fusion) in fusions.enumerated() { fusion.shared = (self, worker) }
  }

  deinit {
    memory.deallocate()
    isWritten.deallocate()
  }

  /// Shares the fusions of a layer among workers, where that takes fewer operations than not to fold.
  /// - Parameters:
  ///   - layer: Which one.
  ///   - models: Each worker's.
  ///   - rows: How many rows the layer's ends have in a step, in the passes of all workers.
  /// - Returns: The folds, none where there is no fusion or too few rows.
  package static func all(layer: Int, of models: [any TaskModel], rows: Int) -> [SharedFold] {
    guard let first = models.first else { return [] }
    return worthwhile(layer: layer, of: first, rows: rows).map { index, fold in
      SharedFold(models.compactMap { fusions(of: $0, layer: layer)[index].folded }, fold)
    }
  }

  /// How many numbers the folds of a layer keep with so many workers, and how many gradients workers need not have of
  /// their own.
  package static func sizes(
    layer: Int, of model: any TaskModel, rows: Int, workers: Int
  ) -> (kept: Int, together: Int) {
    worthwhile(layer: layer, of: model, rows: rows).reduce((0, 0)) { total, item in
      let fold = item.fold
      let kept = fold.factorCount + fold.rows * fold.width + workers * fold.gradientCount
      return (total.0 + kept, total.1 + ranges(fold).reduce(0) { $0 + $1.count })
    }
  }

  private static func fusions(of model: any TaskModel, layer: Int) -> [FusedAdapters] {
    model.encoder.layers[layer].blockOutputs.flatMap { ($0.branch as? AdapterBranch)?.fusions ?? [] }
  }

  /// The fusions of a layer that are folded, by their number in it.
  private static func worthwhile(layer: Int, of model: any TaskModel, rows: Int) -> [(index: Int, fold: FusionFold)] {
    fusions(of: model, layer: layer).enumerated().compactMap { index, fusion in
      guard let fold = fusion.fold, fold.trains, fusion.order(rows: rows, isTraining: true) == .folded else {
        return nil
      }
      return (index, fold)
    }
  }

  /// Where the gradients lie in the trainable block that `unfold` adds to, and no pass does.
  package var ranges: [Range<Int>] { SharedFold.ranges(fold) }

  private static func ranges(_ fold: FusionFold) -> [Range<Int>] {
    let places = fold.places
    let all = [places.query.weight, places.query.bias, places.key.weight, places.key.bias, places.value].compactMap {
      $0
    }
    return all.filter(\.isTrainable).map { $0.offset..<$0.offset + $0.count }
  }

  /// Forgets the gradients of the step before.
  package func begin() { setNumbers(isWritten, count, to: false) }

  /// Folds a worker's part.
  package func fold(part worker: Int, _ parameters: ParameterStore) {
    let part = workerPart(worker, of: count, total: fold.rows)
    if !part.isEmpty { fold.fold(part, into: factors, parameters) }
  }

  /// Where a worker's passes add, and whether one has; the first one overwrites.
  func gradients(of worker: Int) -> (FusionFold.Gradients, isWritten: Bool) {
    defer { isWritten[worker] = true }
    return (fold.gradients(in: gradients[worker]), isWritten[worker])
  }

  /// Sums a worker's part of all workers' gradients.
  package func sum(part worker: Int) {
    let part = workerPart(worker, of: count, total: fold.gradientCount)
    let sum = gradients[0] + part.lowerBound
    if !isWritten[0] { setNumbers(sum, part.count, to: 0) }
    for other in 1..<max(1, count) where isWritten[other] {
      let values = gradients[other] + part.lowerBound
      for i in 0..<part.count { sum[i] += values[i] }
    }
  }

  /// Adds a worker's part of the gradients of query, key and value, and of up-projections what comes of it.
  /// - Parameters:
  ///   - worker: Which one.
  ///   - parameters: The fusion's matrices.
  ///   - rank: The rank's gradients, in the layout of the trainable block.
  ///   - own: The worker's.
  package func unfold(
    part worker: Int, _ parameters: ParameterStore, into rank: UnsafeMutablePointer<Float>,
    own: UnsafeMutablePointer<Float>
  ) {
    let part = workerPart(worker, of: count, total: fold.width)
    guard !part.isEmpty else { return }
    fold.unfold(part, factors, fold.gradients(in: gradients[0]), dA: dA, parameters, fusion: rank, adapters: own)
  }
}
