import Collectives

/// What is handed to collectives is counted exactly.
let countingChecks: [Check] = [
  Check("a step of LoRA hands over 4 bytes for each trainable parameter") { world, findings in
    // r = 16 on query and value of 12 layers of 768, and a classifier of two classes.
    let trainable = 12 * 2 * 2 * 16 * 768 + 2 * 768 + 2
    let gradients = UnsafeMutableBufferPointer<Float>.allocate(capacity: trainable)
    defer { gradients.deallocate() }
    gradients.update(repeating: 1)
    for bytes in [1 << 20, 4 << 20] {
      let before = world.statistics
      try withChunks(of: bytes, world) { try world.allReduceSum(gradients) }
      _ = try world.sum(of: 0.5)
      let step = world.statistics - before
      findings.expectEqual(step[.allReduceFloats].bytes, 4 * trainable, "bytes of gradients")
      findings.expectEqual(step[.allReduceFloats].calls, 1, "calls")
      findings.expectEqual(step[.allReduceDoubles].bytes, 8, "bytes of the loss")
      findings.expectEqual(step.total.bytes, 4 * trainable + 8, "bytes in all")
      findings.expect(step.total.seconds >= 0, "seconds")
    }
  },
  Check("every kind counts its calls and this rank's bytes") { world, findings in
    let before = world.statistics
    _ = try world.sum(of: 3)
    _ = try world.broadcast([Int32](repeating: 1, count: 6))
    _ = try world.gather([Float](repeating: 1, count: world.rank))
    _ = try world.allGather([Double](repeating: 1, count: 2))
    try world.barrier()
    try world.collectively {}
    let step = world.statistics - before
    let expected: [CollectiveStatistics.Kind: (calls: Int, bytes: Int)] = [
      .allReduceFloats: (0, 0), .allReduceDoubles: (0, 0), .allReduceIntegers: (1, 8), .broadcast: (1, 24),
      .gather: (2, 4 * world.rank + 16), .barrier: (1, 0), .agreement: (1, 8), .window: (0, 0),
      .parameters: (0, 0),
    ]
    for kind in CollectiveStatistics.Kind.allCases {
      findings.expectEqual(step[kind].calls, expected[kind]?.calls, "calls of \(kind)")
      findings.expectEqual(step[kind].bytes, expected[kind]?.bytes, "bytes of \(kind)")
    }
  },
]
