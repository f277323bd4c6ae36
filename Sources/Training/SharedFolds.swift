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
  /// `[folds]`: how many workers have got how far.
  private let counters: [Counters]
  /// `[workers]`: how many folds, in their order, a worker is done with; its own alone.
  private let done: UnsafeMutablePointer<Progress>

  private final class Counters: Sendable {
    /// Workers whose passes will not add to their gradients of the folded matrices any more.
    let completed = Atomic<Int>(0)
    /// Workers who have summed their part of all workers' gradients.
    let summed = Atomic<Int>(0)
  }

  private struct Progress {
    var completed = 0
    var summed = 0
    var unfolded = 0
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
    done = .allocate(capacity: workerCount)
    done.initialize(repeating: Progress(), count: workerCount)
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
    done.update(repeating: Progress(), count: workerCount)
    for counter in counters {
      counter.completed.store(0, ordering: .relaxed)
      counter.summed.store(0, ordering: .relaxed)
    }
  }

  /// Folds what a step's passes read, before they start.
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
    var progress = done[worker]
    defer { done[worker] = progress }
    while progress.completed < folds.count, stages[progress.completed] <= stage {
      counters[progress.completed].completed.add(1, ordering: .acquiringAndReleasing)
      progress.completed += 1
    }
    while progress.summed < progress.completed, isThere(counters[progress.summed].completed, waits: waits) {
      folds[progress.summed].sum(part: worker)
      counters[progress.summed].summed.add(1, ordering: .acquiringAndReleasing)
      progress.summed += 1
    }
    while progress.unfolded < progress.summed, isThere(counters[progress.unfolded].summed, waits: waits) {
      folds[progress.unfolded].unfold(part: worker, store, into: rank, own: own)
      progress.unfolded += 1
    }
    return progress.unfolded < progress.completed ? min(stage, stages[progress.unfolded] - 1) : stage
  }

  /// Whether all workers have counted.
  private func isThere(_ counter: borrowing Atomic<Int>, waits: Bool) -> Bool {
    if waits { spin(until: counter, reaches: workerCount) }
    return counter.load(ordering: .acquiring) == workerCount
  }
}
