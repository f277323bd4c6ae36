import Collectives

/// Sums every float over the ranks and compares with sums in `Double`.
private func expectSums(of count: Int, _ world: Communicator, _ findings: Findings) throws {
  var values = (0..<count).map { scrambledFloat(world.rank, $0) }
  try values.withUnsafeMutableBufferPointer { try world.allReduceSum($0) }
  for index in 0..<count {
    let terms = (0..<world.size).map { Double(scrambledFloat($0, index)) }
    // W terms in any order: at most W - 1 roundings, each of at most half an ulp of the sum of magnitudes.
    let bound = Double(world.size - 1) * 0x1p-24 * terms.reduce(0) { $0 + abs($1) }
    let error = abs(Double(values[index]) - terms.reduce(0, +))
    findings.expect(error <= bound, "element \(index) of \(count): error \(error), bound \(bound)")
  }
}

/// Runs work with buffers cut into pieces of so many bytes.
func withChunks<Result>(of bytes: Int, _ world: Communicator, _ work: () throws -> Result) rethrows -> Result {
  let usual = world.chunkBytes
  world.chunkBytes = bytes
  defer { world.chunkBytes = usual }
  return try work()
}

/// Sums, least and greatest over the ranks.
let sumChecks: [Check] = [
  Check("sums of floats agree with Double, from 0 to 300,000 elements") { world, findings in
    for count in [0, 1, 2, 1000, 4097, 300_000] { try expectSums(of: count, world, findings) }
  },
  Check("a buffer larger than a chunk is summed whole, at every remainder") { world, findings in
    for count in [15, 16, 17, 31, 32, 33, 1001] {
      try withChunks(of: 64, world) { try expectSums(of: count, world, findings) }
    }
    try withChunks(of: 1, world) { try expectSums(of: 5, world, findings) }
  },
  Check("sums have the same bits on all ranks and when repeated") { world, findings in
    for count in [3, 5000, 2_000_000] {
      let runs = try (0..<2).map { _ in
        var values = (0..<count).map { scrambledFloat(world.rank, $0) }
        try values.withUnsafeMutableBufferPointer { try world.allReduceSum($0) }
        return values.reduce(into: UInt64(0)) { $0 = ($0 ^ UInt64($1.bitPattern)) &* 0x100_0000_01B3 }
      }
      findings.expectEqual(runs[1], runs[0], "digest of the second sum of \(count)")
      findings.expectEqual(Set(try world.allGather([runs[0]])).count, 1, "different results for \(count)")
    }
  },
  Check("whole numbers are summed and compared exactly") { world, findings in
    let all = (0..<world.size).map { rank in
      (0..<100).map { Int64(scrambled(rank, $0) >> 8) * ($0 % 2 == 0 ? 1 : -1) }
    }
    let mine = all[world.rank]
    func reduced(_ work: (UnsafeMutableBufferPointer<Int64>) throws -> Void) throws -> [Int64] {
      var values = mine
      try withChunks(of: 80, world) { try values.withUnsafeMutableBufferPointer { try work($0) } }
      return values
    }
    func expected(_ work: ([Int64]) -> Int64?) -> [Int64] {
      (0..<100).map { index in work(all.map { $0[index] }) ?? 0 }
    }
    findings.expectEqual(try reduced { try world.allReduceSum($0) }, expected { $0.reduce(0, &+) }, "sums")
    findings.expectEqual(try reduced { try world.allReduceMin($0) }, expected { $0.min() }, "least")
    findings.expectEqual(try reduced { try world.allReduceMax($0) }, expected { $0.max() }, "greatest")
  },
  Check("single values: sums, least, greatest") { world, findings in
    let last = world.size - 1
    findings.expectEqual(try world.sum(of: world.rank + 1), (last + 1) * (last + 2) / 2, "sum of ranks")
    findings.expectEqual(try world.sum(of: 0.5), 0.5 * Double(world.size), "sum of halves")
    findings.expectEqual(try world.minimum(of: 7 - world.rank), 7 - last, "least")
    findings.expectEqual(try world.maximum(of: -world.rank), 0, "greatest")
    findings.expectEqual(try world.maximum(of: Double(world.rank) - 0.25), Double(last) - 0.25, "a Double")
  },
  Check("sums of Double keep what floats would lose") { world, findings in
    var values = [1e16, 1.0].map { world.rank == 0 ? $0 : 2.0 }
    try values.withUnsafeMutableBufferPointer { try world.allReduceSum($0) }
    let others = 2.0 * Double(world.size - 1)
    findings.expectEqual(values, [1e16 + others, 1.0 + others], "sums")
  },
]
