internal import Glibc
internal import Synchronization

/// Tells where the threads' time goes inside passes, when somebody asks (`bert-ddp-bench`): to matrix products, to
/// attention with its own small products, to the optimiser, or to all else.
///
/// Off, it costs a look at one flag a product. On, two readings of the clock.
package enum KernelClock {
  /// What a kernel belongs to.
  package enum Part: Int, CaseIterable, Sendable {
    /// Products outside attention.
    case products
    /// Attention from its scores to its context, and back.
    case attention
    /// The optimiser, where it goes on inside passes.
    case optimizer
  }

  /// Whether anybody asks; set while no kernel runs.
  nonisolated(unsafe) package static var isOn = false

  private static let nanoseconds: [Counter] = Part.allCases.map { _ in Counter() }
  private static let countedOperations = Counter()

  private final class Counter: Sendable {
    let value = Atomic<Int>(0)
  }

  /// Threads that are in attention: products that it calls are part of it.
  private static let inAttention: pthread_key_t = {
    var key = pthread_key_t()
    pthread_key_create(&key, nil)
    return key
  }()

  /// Runs a kernel and counts its time.
  /// - Parameters:
  ///   - part: What it belongs to.
  ///   - operations: How many floating-point operations a product is.
  ///   - kernel: The work.
  @inline(__always)
  package static func time(_ part: Part, operations: @autoclosure () -> Int = 0, _ kernel: () -> Void) {
    if isOn { measure(part, operations(), kernel) } else { kernel() }
  }

  @inline(never)
  private static func measure(_ part: Part, _ operations: Int, _ kernel: () -> Void) {
    if pthread_getspecific(inAttention) != nil { return kernel() }
    if part == .attention { pthread_setspecific(inAttention, UnsafeRawPointer(bitPattern: 1)) }
    let start = now()
    kernel()
    nanoseconds[part.rawValue].value.wrappingAdd(now() - start, ordering: .relaxed)
    countedOperations.value.wrappingAdd(operations, ordering: .relaxed)
    if part == .attention { pthread_setspecific(inAttention, nil) }
  }

  /// The floating-point operations of products outside attention since the start of the program, over all threads.
  package static var operations: Double { Double(countedOperations.value.load(ordering: .relaxed)) }

  /// The seconds of a part since the start of the program, over all threads.
  package static func seconds(_ part: Part) -> Double {
    Double(nanoseconds[part.rawValue].value.load(ordering: .relaxed)) * 1e-9
  }

  private static func now() -> Int {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return time.tv_sec * 1_000_000_000 + time.tv_nsec
  }
}
