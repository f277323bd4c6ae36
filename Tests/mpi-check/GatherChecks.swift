import Collectives

/// What a rank contributes: uneven, and nothing from every third rank.
private func contribution(_ rank: Int) -> [Int32] {
  rank % 3 == 1 ? [] : (0..<(5 * rank + 1)).map { Int32(1000 * rank + $0) }
}

/// Values that go from one rank to all, from all to one, from all to all.
let gatherChecks: [Check] = [
  Check("uneven and empty contributions are gathered on every rank") { world, findings in
    let expected = (0..<world.size).map(contribution)
    findings.expectEqual(try world.allGather(contribution(world.rank)), expected, "gathered")
    for bytes in [1, 4, 12] {
      let pieces = try withChunks(of: bytes, world) { try world.allGather(contribution(world.rank)) }
      findings.expectEqual(pieces, expected, "gathered \(bytes) bytes at a time")
    }
    findings.expectEqual(try world.allGather([Double]()), world.size.times([]), "nothing from anybody")
  },
  Check("gathering on one rank gives the others nothing") { world, findings in
    for root in 0..<world.size {
      let found = try withChunks(of: 8, world) { try world.gather(contribution(world.rank), to: root) }
      let expected = world.rank == root ? (0..<world.size).map(contribution) : []
      findings.expectEqual(found, expected, "gathered on \(root)")
    }
  },
  Check("many losses and predictions arrive unchanged") { world, findings in
    let losses = (0..<20_000).map { Double(scrambledFloat(world.rank, $0)) / 3 }
    for (rank, found) in try world.gather(losses).enumerated() {
      let expected = (0..<20_000).map { Double(scrambledFloat(rank, $0)) / 3 }
      findings.expect(found == expected, "losses of rank \(rank) have changed")
    }
    let bytes = try world.allGather([UInt8(world.rank), 255])
    findings.expectEqual(bytes, (0..<world.size).map { [UInt8($0), 255] }, "bytes")
  },
  Check("one rank's values reach all, whatever their number") { world, findings in
    for root in 0..<world.size {
      for count in [0, 1, 1000] {
        let mine = world.rank == root ? (0..<count).map { Float($0) } : [-1]
        let found = try withChunks(of: 12, world) { try world.broadcast(mine, from: root) }
        findings.expectEqual(found, (0..<count).map { Float($0) }, "\(count) floats from \(root)")
      }
    }
    let text = try world.shared { Array("리뷰".utf8) }
    findings.expectEqual(String(decoding: text, as: UTF8.self), "리뷰", "text")
  },
  Check("a buffer is overwritten in place") { world, findings in
    var numbers = (0..<777).map { Int64($0) * Int64(world.rank + 1) }
    try withChunks(of: 100, world) {
      try numbers.withUnsafeMutableBufferPointer { try world.broadcast($0, from: world.size - 1) }
    }
    findings.expectEqual(numbers, (0..<777).map { Int64($0) * Int64(world.size) }, "numbers")
  },
]

extension Int {
  fileprivate func times<Element>(_ element: Element) -> [Element] { Array(repeating: element, count: self) }
}
