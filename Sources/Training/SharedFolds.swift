internal import BERT
internal import FineTuning
internal import Synchronization
internal import Tensors

/// Fusions whose matrices a rank's workers fold together once a step, and whose gradients they compute together when the
/// passes of all are over: layer by layer while backward goes on below, so that they can be sent meanwhile.
///
/// A worker that finds a layer not complete yet goes on with its pass, and comes back to it after its next layer.
final class SharedFolds: @unchecked Sendable {
  /// Where the gradients lie that are computed together, in order.
  let ranges: [Range<Int>]
  private let folds: [SharedFold]
  /// `[folds]`: the stage of backward that each belongs to, in order.
  private let stages: [Int]
  private let workerCount: Int
  /// `[folds]`: how many workers have completed a stage, have summed their part, and have done all.
  private let counters: [Counters]
  /// `[workers, 3]`: how many folds a worker has done each of these for; its own alone.
  private let done: UnsafeMutablePointer<Int>

  private final class Counters: Sendable {
    let completed = Atomic<Int>(0)
    let summed = Atomic<Int>(0)
  }

  /// The folds of workers' models; nil where there are none worth it.
  /// - Parameters:
  ///   - models: Each worker's.
  ///   - share: What the rank has of a step.
  init?(_ models: [any TaskModel], _ share: Replica.StepShare) {
    var (folds, stages): ([SharedFold], [Int]) = ([], [])
    let layerCount = models.first?.encoder.layers.count ?? 0
    for layer in (0..<layerCount).reversed() {
      for fold in SharedFold.all(layer: layer, of: models, rows: share.rows(layer: layer, of: layerCount)) {
        folds.append(fold)
        stages.append(BackwardStages.layer(layer, of: layerCount))
      }
    }
    if folds.isEmpty { return nil }
    (self.folds, self.stages) = (folds, stages)
    ranges = folds.flatMap(\.ranges).sorted { $0.lowerBound < $1.lowerBound }
    workerCount = models.count
    counters = folds.map { _ in Counters() }
    done = .allocate(capacity: 3 * workerCount)
    done.initialize(repeating: 0, count: 3 * workerCount)
  }

  deinit { done.deallocate() }

  /// How many numbers the folds of a model keep with so many workers, and how many gradients workers need not have of
  /// their own.
  static func sizes(_ model: any TaskModel, _ share: Replica.StepShare, workers: Int) -> (kept: Int, together: Int) {
    let layers = model.encoder.layers.indices
    return layers.reduce((0, 0)) { total, layer in
      let rows = share.rows(layer: layer, of: layers.count)
      let own = SharedFold.sizes(layer: layer, of: model, rows: rows, workers: workers)
      return (total.0 + own.kept, total.1 + own.together)
    }
  }

  /// Before the workers start.
  func begin() {
    setNumbers(done, 3 * workerCount, to: 0)
    for counter in counters {
      counter.completed.store(0, ordering: .relaxed)
      counter.summed.store(0, ordering: .relaxed)
    }
  }

  /// Folds what a step's passes read; on no worker's thread.
  func fold(_ store: ParameterStore, _ pool: WorkerPool) {
    for fold in folds { fold.begin() }
    pool.run(with: (folds, store)) { values, worker in
      for fold in values.0 { fold.fold(part: worker, values.1) }
    }
  }

  /// A worker's passes will not change anything up to a stage any more: does what can be done of what all have
  /// completed, on its thread.
  /// - Parameters:
  ///   - stage: Which one.
  ///   - worker: Which one.
  ///   - waits: Whether to wait for the others, and do all of it.
  ///   - store: The parameters.
  ///   - rank: The rank's gradients.
  ///   - own: The worker's.
  /// - Returns: The last stage up to which this worker has nothing left to do.
  func complete(
    _ stage: Int, by worker: Int, waits: Bool, _ store: ParameterStore, into rank: UnsafeMutablePointer<Float>,
    own: UnsafeMutablePointer<Float>
  ) -> Int {
    let done = done + 3 * worker
    while done[0] < folds.count, stages[done[0]] <= stage {
      counters[done[0]].completed.add(1, ordering: .acquiringAndReleasing)
      done[0] += 1
    }
    while done[1] < done[0], isThere(counters[done[1]].completed, waits: waits) {
      folds[done[1]].sum(part: worker)
      counters[done[1]].summed.add(1, ordering: .acquiringAndReleasing)
      done[1] += 1
    }
    while done[2] < done[1], isThere(counters[done[2]].summed, waits: waits) {
      folds[done[2]].unfold(part: worker, store, into: rank, own: own)
      done[2] += 1
    }
    return done[2] < done[0] ? min(stage, stages[done[2]] - 1) : stage
  }

  /// Whether all workers have counted.
  private func isThere(_ counter: borrowing Atomic<Int>, waits: Bool) -> Bool {
    if waits { spin(until: counter, reaches: workerCount) }
    return counter.load(ordering: .acquiring) == workerCount
  }
}
