internal import Collectives
internal import Failures
internal import Glibc

/// A rank's threads: the calling thread and `count − 1` that sleep between pieces of work.
///
/// The workers of a rank are replicas in small: each runs whole passes over reviews of its own, so everything runs on
/// every core, products and the rest alike; within a pass they meet for the gradients of matrices alone (`JointGradients`).
package final class WorkerPool: @unchecked Sendable {
  /// How many workers, the calling thread among them.
  package let count: Int

  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private let changed = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
  private var threads: [pthread_t] = []
  // All of these are read and written under the mutex.
  private var generation = 0
  private var running = 0
  private var isClosing = false
  private var work: (pointer: UnsafeRawPointer, kind: any Work.Type)?

  /// Work for each worker, wherever it lies.
  private protocol Work {
    static func run(_ pointer: UnsafeRawPointer, _ worker: Int)
  }

  /// Some values, and what each worker does with them.
  private struct WorkWith<Values>: Work {
    let values: Values
    let body: (Values, Int) -> Void

    // A call of its own, so that no reference to the work outlives it on another thread: it does not escape `run`.
    @inline(never)
    static func run(_ pointer: UnsafeRawPointer, _ worker: Int) {
      let work = pointer.assumingMemoryBound(to: WorkWith<Values>.self)
      work.pointee.body(work.pointee.values, worker)
    }
  }

  /// Some values, and what is done with them for each part of a range. Not a tuple: taking a closure out of one of any
  /// type makes an object.
  private struct RangeWork<Values> {
    let pool: WorkerPool
    let total: Int
    let values: Values
    let body: (Values, Range<Int>) -> Void
  }

  /// Starts the threads.
  /// - Throws: `Failure(.other)` where the system gives no more.
  package init(count: Int) throws {
    precondition(count >= 1, "a pool has at least one worker")
    self.count = count
    pthread_mutex_init(mutex, nil)
    pthread_cond_init(changed, nil)
    for index in 1..<max(count, 1) {
      do { try start(index) } catch {
        close()
        throw error
      }
    }
  }

  // Threads hold on to the pool, so they have ended.
  deinit {
    pthread_mutex_destroy(mutex)
    pthread_cond_destroy(changed)
    mutex.deallocate()
    changed.deallocate()
  }

  /// Ends the threads; no work is under way then.
  package func close() {
    pthread_mutex_lock(mutex)
    isClosing = true
    pthread_cond_broadcast(changed)
    pthread_mutex_unlock(mutex)
    for thread in threads { pthread_join(thread, nil) }
    threads = []
  }

  /// Runs `work` once for each worker's number and returns when all are done; the caller is worker 0.
  package func run(_ work: (Int) -> Void) {
    guard count > 1 else { return work(0) }
    withoutActuallyEscaping(work) { run(with: $0) { work, worker in work(worker) } }
  }

  /// Runs `work` once for each worker's number, with some values, and returns when all are done. Where it captures
  /// nothing else, this allocates nothing.
  package func run<Values>(with values: Values, _ work: @escaping (Values, Int) -> Void) {
    guard count > 1 else { return work(values, 0) }
    withUnsafePointer(to: WorkWith(values: values, body: work)) { pointer in
      pthread_mutex_lock(mutex)
      self.work = (UnsafeRawPointer(pointer), WorkWith<Values>.self)
      generation += 1
      running = count - 1
      pthread_cond_broadcast(changed)
      pthread_mutex_unlock(mutex)
      work(values, 0)
      pthread_mutex_lock(mutex)
      while running > 0 { pthread_cond_wait(changed, mutex) }
      self.work = nil
      pthread_mutex_unlock(mutex)
    }
  }

  /// Runs `work` over `0..<total` cut into one contiguous range a worker; the cut depends on the counts alone.
  package func runRanges(_ total: Int, _ work: (Int, Range<Int>) -> Void) {
    run { worker in
      let range = part(worker, of: total)
      if !range.isEmpty { work(worker, range) }
    }
  }

  /// The same with some values; as `run(with:_:)`, it allocates nothing.
  package func runRanges<Values>(_ total: Int, with values: Values, _ work: @escaping (Values, Range<Int>) -> Void) {
    run(with: RangeWork(pool: self, total: total, values: values, body: work)) { work, worker in
      let range = work.pool.part(worker, of: work.total)
      if !range.isEmpty { work.body(work.values, range) }
    }
  }

  private func part(_ worker: Int, of total: Int) -> Range<Int> {
    total * worker / count..<total * (worker + 1) / count
  }

  private final class Start {
    let pool: WorkerPool
    let index: Int
    init(_ pool: WorkerPool, _ index: Int) {
      self.pool = pool
      self.index = index
    }
  }

  private func start(_ index: Int) throws {
    var thread = pthread_t()
    let argument = Unmanaged.passRetained(Start(self, index)).toOpaque()
    let status = pthread_create(
      &thread, nil,
      { argument in
        guard let argument else { return nil }
        let start = Unmanaged<Start>.fromOpaque(argument).takeRetainedValue()
        start.pool.serve(start.index)
        return nil
      }, argument)
    guard status == 0 else {
      Unmanaged<Start>.fromOpaque(argument).release()
      throw Failure(
        .other,
        "the system gives no thread for worker \(index + 1) of \(count) (\(String(cString: strerror(status)))); take fewer --threads, or raise the limit (ulimit -u)."
      )
    }
    threads.append(thread)
  }

  private func serve(_ index: Int) {
    let hasTaken = HandlerStack.take()
    defer { if hasTaken { HandlerStack.giveBack() } }
    var seen = 0
    while true {
      pthread_mutex_lock(mutex)
      while generation == seen, !isClosing { pthread_cond_wait(changed, mutex) }
      if isClosing {
        pthread_mutex_unlock(mutex)
        return
      }
      seen = generation
      let work = self.work
      pthread_mutex_unlock(mutex)
      if let work { work.kind.run(work.pointer, index) }
      pthread_mutex_lock(mutex)
      running -= 1
      if running == 0 { pthread_cond_broadcast(changed) }
      pthread_mutex_unlock(mutex)
    }
  }
}
