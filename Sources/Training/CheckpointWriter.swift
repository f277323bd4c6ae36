internal import Checkpoints
internal import Collectives
internal import Failures
internal import Glibc
internal import Synchronization
internal import Tensors

/// Writes checkpoints on rank 0 while training goes on: what is saved is copied first, where memory allows, and a
/// thread writes the copy.
///
/// One checkpoint is written at a time, and no other thread uses libhdf5 meanwhile: whoever wants to read or write such
/// a file calls `finish` before.
final class CheckpointWriter: @unchecked Sendable {
  private let checkpoint: TrainingCheckpoint
  private let directory: String
  private let keep: Int
  private var thread: pthread_t?
  /// Set by the thread before it ends.
  private var failure: (any Error)?
  private let failed = Atomic<Bool>(false)
  private let ended = Atomic<Bool>(false)
  /// Knows on every rank that one is under way, so that the loss of a rank does not cut it off.
  private let watch: Watch
  /// Trained numbers and moments, end to end.
  private var copy: UnsafeMutableBufferPointer<Float>?
  private var work: (() throws -> Void)?
  /// The step of the newest checkpoint that was begun.
  private(set) var newestStep: Int?
  /// The step of the last one that was begun, on every rank.
  private(set) var begunStep: Int?
  /// When the last one was begun, or this was made, in monotonic seconds.
  private(set) var begun = monotonicSeconds()
  /// How long the last one took, in ms.
  private let milliseconds = Atomic<Int>(0)

  init(_ checkpoint: TrainingCheckpoint, directory: String, keep: Int, _ watch: Watch) {
    (self.checkpoint, self.directory, self.keep, self.watch) = (checkpoint, directory, keep, watch)
  }

  deinit {
    if let thread { pthread_join(thread, nil) }
    watch.isWriting = false
    copy?.deallocate()
  }

  /// Whether the one under way has failed; `finish` says why.
  var hasFailed: Bool { failed.load(ordering: .acquiring) }

  /// Whether the last one is over on rank 0 and the others have not heard of it; `tell` does that.
  var hasNews: Bool { ended.load(ordering: .acquiring) }

  /// Lets all ranks know whether rank 0 still writes; collective.
  func tell(_ communicator: Communicator) throws {
    let isWriting = communicator.isFirst && watch.isWriting
    guard try communicator.maximum(of: isWriting ? 1 : 0) == 0 else { return }
    watch.isWriting = false
    ended.store(false, ordering: .releasing)
  }

  /// Seconds that another one may take, for somebody who has to be done in time.
  func estimate(_ model: ModelState) -> Double {
    let last = Double(milliseconds.load(ordering: .relaxed)) / 1000
    // A slow disk, until one has been measured.
    return 2 * max(last, Double(12 * model.store.table.trainableCount) / 50e6)
  }

  /// Begins to write a checkpoint on rank 0; that of a step which has one already is left out. Collective: moments that
  /// ranks share out come from all of them.
  /// - Throws: The same `Failure` on all ranks, when the one before could not be written, or this one, where there is no
  ///   memory for a copy.
  func begin(
    _ state: RunState, _ model: ModelState, _ optimizer: Optimizer, _ communicator: Communicator
  ) throws {
    (begun, begunStep) = (monotonicSeconds(), state.step)
    let isFirst = communicator.isFirst
    let isNew = isFirst && newestStep != state.step
    if !isFirst { watch.isWriting = true }
    let copy = try communicator.collectively(where: isFirst) {
      try finish()
      // The thread of the one before has taken it back.
      watch.isWriting = true
      ended.store(false, ordering: .releasing)
      return isNew ? copyNumbers(model.store.table.trainableCount, model, optimizer) : nil
    }.flatMap { $0 }
    let numbers =
      copy
      ?? TrainingCheckpoint.Numbers(
        store: model.store, first: optimizer.firstMoments, second: optimizer.secondMoments)
    try optimizer.collectMoments(on: communicator, into: numbers)
    try communicator.collectively(where: isNew) {
      try write(state, numbers, model.absentFromBase, isCopied: copy != nil)
    }
    if copy == nil { optimizer.forgetOthersMoments() }
    if isFirst, thread == nil { isOver() }
  }

  private func write(
    _ state: RunState, _ numbers: TrainingCheckpoint.Numbers, _ absent: [ParameterTable.Entry], isCopied: Bool
  ) throws {
    let path = CheckpointFiles(in: directory).path(step: state.step)
    newestStep = state.step
    let write = { [self] in
      let start = monotonicSeconds()
      try checkpoint.write(to: path, state, numbers, absent)
      _ = try CheckpointFiles(in: directory).rotate(
        keeping: keep, pinned: state.pinnedSteps, passing: Set(state.passingSteps ?? []), knownValid: state.step)
      milliseconds.store(Int(1000 * (monotonicSeconds() - start)), ordering: .relaxed)
    }
    guard isCopied, start(write) else {
      do {
        return try write()
      } catch {
        newestStep = nil
        throw error
      }
    }
  }

  /// Waits for the one under way.
  /// - Throws: `Failure` when it could not be written.
  func finish() throws {
    if let thread { pthread_join(thread, nil) }
    thread = nil
    guard let failure else { return }
    self.failure = nil
    failed.store(false, ordering: .releasing)
    newestStep = nil
    throw failure
  }

  /// A copy of everything that training changes; nil where there is no memory for it.
  private func copyNumbers(
    _ count: Int, _ model: ModelState, _ optimizer: Optimizer
  ) -> TrainingCheckpoint.Numbers? {
    if copy == nil {
      guard availableMemory > 12 * count + 256 << 20 else { return nil }
      copy = .allocate(capacity: max(1, 3 * count))
    }
    guard let start = copy?.baseAddress else { return nil }
    start.initialize(from: model.store.trainable, count: count)
    if let m = optimizer.firstMoments.baseAddress, let v = optimizer.secondMoments.baseAddress {
      (start + count).initialize(from: m, count: count)
      (start + 2 * count).initialize(from: v, count: count)
    }
    return TrainingCheckpoint.Numbers(
      store: ParameterStore(
        table: model.store.table, frozen: model.store.frozen, trainable: start, rounded: model.store.rounded),
      first: UnsafeMutableBufferPointer(start: start + count, count: count),
      second: UnsafeMutableBufferPointer(start: start + 2 * count, count: count))
  }

  private func start(_ work: @escaping () throws -> Void) -> Bool {
    self.work = work
    var thread = pthread_t()
    let argument = Unmanaged.passUnretained(self).toOpaque()
    let status = pthread_create(
      &thread, nil,
      { argument in
        guard let argument else { return nil }
        Unmanaged<CheckpointWriter>.fromOpaque(argument).takeUnretainedValue().run()
        return nil
      }, argument)
    if status == 0 { self.thread = thread }
    return status == 0
  }

  private func run() {
    do {
      try work?()
    } catch {
      failure = error
      failed.store(true, ordering: .releasing)
    }
    work = nil
    isOver()
  }

  /// What rank 0's neighbours see at once, and other nodes hear of after the next step.
  private func isOver() {
    ended.store(true, ordering: .releasing)
    watch.isWriting = false
  }
}
