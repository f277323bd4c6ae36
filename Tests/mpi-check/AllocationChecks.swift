import Collectives
import FineTuning
import Training

/// That a step does not allocate.
let allocationChecks: [Check] =
  [
    Check("what is allocated is counted, on any thread, and nothing else") { _, findings in
      let pool = try WorkerPool(count: 2)
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
      try countAllocations(
        try TrialRun("lora", reviews: 45, hidden: 192), "LoRA on a wider base", threads, world, findings)
      try countAllocations(try TrialRun.ofHiddenTokens(texts: 45), "pre-training", threads, world, findings)
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
