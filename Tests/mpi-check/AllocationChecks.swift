import Collectives
import FineTuning
import Training

// This program's own allocator: the C library's, and a count of what is asked of it.

/// Counted while it is set; what two threads ask for at once may count once, which is as good where nothing is to be.
nonisolated(unsafe) private var isCounting = false
nonisolated(unsafe) private var count = 0

@_silgen_name("__libc_malloc")
private func allocate(_ size: Int) -> UnsafeMutableRawPointer?
@_silgen_name("__libc_calloc")
private func allocateZeros(_ count: Int, _ size: Int) -> UnsafeMutableRawPointer?
@_silgen_name("__libc_realloc")
private func reallocate(_ memory: UnsafeMutableRawPointer?, _ size: Int) -> UnsafeMutableRawPointer?
@_silgen_name("__libc_memalign")
private func allocateAligned(_ alignment: Int, _ size: Int) -> UnsafeMutableRawPointer?

/// `malloc`, which everything in this process calls, libraries too.
@_cdecl("malloc")
public func countedAllocate(_ size: Int) -> UnsafeMutableRawPointer? {
  if isCounting { count += 1 }
  return allocate(size)
}

/// `calloc`.
@_cdecl("calloc")
public func countedAllocateZeros(_ number: Int, _ size: Int) -> UnsafeMutableRawPointer? {
  if isCounting { count += 1 }
  return allocateZeros(number, size)
}

/// `realloc`.
@_cdecl("realloc")
public func countedReallocate(_ memory: UnsafeMutableRawPointer?, _ size: Int) -> UnsafeMutableRawPointer? {
  if isCounting { count += 1 }
  return reallocate(memory, size)
}

/// `posix_memalign`.
@_cdecl("posix_memalign")
public func countedAllocateAligned(
  _ memory: UnsafeMutablePointer<UnsafeMutableRawPointer?>, _ alignment: Int, _ size: Int
) -> CInt {
  if isCounting { count += 1 }
  memory.pointee = allocateAligned(alignment, size)
  // ENOMEM.
  return memory.pointee == nil ? 12 : 0
}

/// Counts what steps ask the allocator for.
enum Allocations {
  /// Begins to count, or goes on.
  static func begin() { isCounting = true }

  /// Stops counting.
  static func end() { isCounting = false }

  /// What was counted since the last time.
  static func take() -> Int {
    defer { count = 0 }
    return count
  }
}

/// That a step does not allocate.
let allocationChecks: [Check] =
  [
    Check("what is allocated is counted, on any thread, and nothing else") { _, findings in
      let pool = WorkerPool(count: 2)
      defer { pool.close() }
      typealias Slots = UnsafeMutablePointer<UnsafeMutableRawPointer?>
      let slots = Slots.allocate(capacity: 2)
      defer { slots.deallocate() }
      let cases: [(own: [Int], expected: Int?)] = [([], nil), ([], 0), ([0], 1), ([1], 1)]
      for (own, expected) in cases {
        slots.initialize(repeating: nil, count: 2)
        Allocations.begin()
        pool.run(with: (slots, own)) { values, worker in
          if values.1.contains(worker) { values.0[worker] = .allocate(byteCount: 100, alignment: 16) }
        }
        Allocations.end()
        let found = Allocations.take()
        // The first time is the type system's.
        if let expected { findings.expectEqual(found, expected, "allocations on threads \(own)") }
        for slot in 0..<2 { slots[slot]?.deallocate() }
      }
    }
  ]
  + [1, 2].map { threads in
    Check("steps after the first allocate nothing, \(threads == 1 ? "one thread" : "two threads") a rank") {
      world, findings in
      for name in ["full", "lora", "adapter", "linear-probe", "bitfit", "ia3", "prefix-tuning"] {
        try countAllocations(try TrialRun(name, reviews: 45), name, threads, world, findings)
      }
      for trial in methodTrials where trial.method == "fusion" {
        try countAllocations(try TrialRun(trial, reviews: 45), trial.name, threads, world, findings)
      }
    }
  }

/// Fourteen steps of two and more epochs, the last of each short, reviews of all lengths in any order.
private func countAllocations(
  _ trial: TrialRun, _ name: String, _ threads: Int, _ world: Communicator, _ findings: Findings
) throws {
  for isSharded in world.size > 1 ? [false, true] : [false] {
    _ = try trial.train(
      steps: 14, threads: threads, sharesOptimizer: isSharded, reviewsPerPass: 6, countsAllocations: true, world)
    let found = Allocations.take()
    findings.expect(found == 0, "\(name)\(isSharded ? ", sharded" : ""): \(found) allocations in 13 steps")
  }
}
