internal import Kernels
internal import Synchronization

/// The part of an optimiser step that goes on beside the next step's forward: that of the encoder's matrices, layer by
/// layer just before each is read.
///
/// AdamW waits for memory and products wait for the processor, so each takes less time beside the other than beside its
/// own kind. A worker steps along its part of each matrix of a layer while others are in products: every other worker
/// does so before a layer, the rest in the middle of the layer, a layer ahead of where it is read. The numbers are those
/// of a step done at once, bit for bit, since each is stepped along on its own.
///
/// It takes a rank that is alone and has several workers: more ranks exchange parameters after their steps, and one
/// worker has nobody to work beside.
final class DeferredUpdate: @unchecked Sendable {
  private let optimizer: Optimizer
  /// `[layers]`: where a layer's matrices lie in the trainable block.
  private let layers: [Stretches]
  private let workerCount: Int
  /// `[layers]`: how many workers have stepped along their part.
  private let done: [Counter]
  /// `[workers]`: the layer whose part a worker steps along next; its own alone.
  private let next: UnsafeMutablePointer<Int>
  /// What is put off; nil where nothing is. Changes only while no worker is in a pass.
  private var update: Optimizer.Update?

  private final class Counter: Sendable {
    let value = Atomic<Int>(0)
  }

  /// - Parameters:
  ///   - optimizer: Whose steps they are.
  ///   - replica: Whose workers do it.
  init(_ optimizer: Optimizer, _ replica: Replica) {
    self.optimizer = optimizer
    layers = replica.matricesOfLayers
    workerCount = replica.workers.count
    done = layers.map { _ in Counter() }
    next = .allocate(capacity: workerCount)
    next.initialize(repeating: layers.count, count: workerCount)
  }

  deinit { next.deallocate() }

  /// Puts a step's update of the encoder's matrices off.
  func putOff(_ update: Optimizer.Update) {
    precondition(self.update == nil, "an update is put off before the one before it is done")
    for layer in layers.indices { done[layer].value.store(0, ordering: .relaxed) }
    next.update(repeating: 0, count: workerCount)
    self.update = update
  }

  /// Says, on a worker's thread, how far its pass has come: returns when all that it reads next is up to date.
  /// - Parameters:
  ///   - halfLayer: As `Workspace.reached` says it.
  ///   - worker: Which one.
  func reach(_ halfLayer: Int, by worker: Int) {
    guard update != nil else { return }
    // A layer ahead: workers of even numbers at the start of a layer, of odd ones in its middle, so that they do not want
    // the memory at the same time.
    let layer = halfLayer / 2
    let isAhead = worker % 2 == 0 || halfLayer % 2 == 1
    catchUp(to: isAhead ? layer + 1 : layer, by: worker)
    spin(until: done[layer].value, reaches: workerCount)
  }

  /// Does what is left of a worker's parts, on its thread; a worker without a pass has them all.
  func finish(_ worker: Int) {
    guard update != nil else { return }
    catchUp(to: layers.count - 1, by: worker)
  }

  /// Takes note that all workers have finished.
  func settle() { update = nil }

  /// Does what is left, on all workers.
  func settle(_ pool: WorkerPool) {
    guard update != nil else { return }
    pool.run(with: self) { deferred, worker in deferred.finish(worker) }
    settle()
  }

  private func catchUp(to layer: Int, by worker: Int) {
    guard let update else { return }
    while next[worker] <= min(layer, layers.count - 1) {
      let stretches = layers[next[worker]]
      let part = stretches.count * worker / workerCount..<stretches.count * (worker + 1) / workerCount
      KernelClock.time(.optimizer) { optimizer.apply(update, to: part, of: stretches) }
      done[next[worker]].value.add(1, ordering: .acquiringAndReleasing)
      next[worker] += 1
    }
  }
}
