import Collectives
import Glibc
import Kernels
import Synchronization
import Tensors
import Training

/// Multiplies on all threads of this rank while signals arrive on each of them, thousands of times.
/// - Returns: How many products differ from what they are without.
func productsBesideSignals(_ world: Communicator, seconds: Double = 1.5) throws -> Int {
  world.watch.respond(.asks)
  let pool = try WorkerPool(count: 2)
  defer { pool.close() }
  let trial = SignalTrial(pool.count)
  pool.run { trial.begin($0) }
  var sender = pthread_t()
  pthread_create(
    &sender, nil,
    { trial in
      if let trial { Unmanaged<SignalTrial>.fromOpaque(trial).takeUnretainedValue().sendSignals() }
      return nil
    }, Unmanaged.passUnretained(trial).toOpaque())
  let end = monotonicSeconds() + seconds
  while monotonicSeconds() < end { pool.run { trial.multiplies($0) } }
  trial.isOver.store(true, ordering: .releasing)
  pthread_join(sender, nil)
  return trial.wrong.load(ordering: .relaxed)
}

private final class SignalTrial: @unchecked Sendable {
  let isOver = Atomic<Bool>(false)
  let wrong = Atomic<Int>(0)
  private let threads: UnsafeMutableBufferPointer<pthread_t>
  /// Of each thread: two factors, their product without signals and with.
  private let numbers: UnsafeMutablePointer<Float>
  private static let sizes = [64, 256, 400]
  private static let capacity = 400 * 400

  init(_ count: Int) {
    threads = .allocate(capacity: count)
    threads.initialize(repeating: pthread_self())
    numbers = .allocate(capacity: count * 4 * SignalTrial.capacity)
    for i in 0..<count * 4 * SignalTrial.capacity { numbers[i] = Float(i * 7 % 13) - 6 }
  }

  deinit {
    threads.deallocate()
    numbers.deallocate()
  }

  func begin(_ worker: Int) { threads[worker] = pthread_self() }

  func multiplies(_ worker: Int) {
    let base = numbers + 4 * worker * SignalTrial.capacity
    func matrix(_ index: Int, _ rows: Int, _ columns: Int, _ orientation: Orientation = .plain) -> Matrix {
      let (rows, columns) = orientation == .plain ? (rows, columns) : (columns, rows)
      return Matrix(base + index * SignalTrial.capacity, rows: rows, columns: columns)
    }
    for m in SignalTrial.sizes {
      for n in SignalTrial.sizes {
        for k in SignalTrial.sizes {
          for (a, b) in [(Orientation.plain, Orientation.plain), (.plain, .transposed), (.transposed, .plain)] {
            let (first, second) = (matrix(0, m, k, a), matrix(1, k, n, b))
            let (expected, found) = (matrix(2, m, n), matrix(3, m, n))
            // Whole numbers: every order of their sums is exact.
            multiply(first, a, second, b, into: expected, by: .openBLAS)
            multiply(first, a, second, b, into: found)
            if memcmp(expected.base, found.base, 4 * m * n) != 0 { wrong.wrappingAdd(1, ordering: .relaxed) }
          }
        }
      }
    }
  }

  func sendSignals() {
    while !isOver.load(ordering: .acquiring) {
      for thread in threads { pthread_kill(thread, SIGUSR1) }
      usleep(50)
    }
  }
}
