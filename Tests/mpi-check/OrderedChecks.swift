import Collectives

/// Numbers of very different sizes: their sum depends on its order in nearly every element.
private func part(_ part: Int, count: Int) -> [Float] {
  (0..<count).map { index in
    let exponent = Float(Int(scrambled(part, index) % 12) - 6)
    var power: Float = 1
    for _ in 0..<Int(abs(exponent)) { power *= exponent < 0 ? 0.1 : 10 }
    return scrambledFloat(part + 100, index) * power
  }
}

/// Adds up some parts along a tree.
private func nodes(_ tree: SumTree, _ parts: Range<Int>, count: Int) -> [(parts: Range<Int>, values: [Float])] {
  final class Values {
    var numbers: [Float]
    init(_ numbers: [Float]) { self.numbers = numbers }
  }
  var sums = PartialSums<Values>(tree)
  for index in parts {
    sums.append(index..<index + 1, Values(part(index, count: count))) { left, right in
      for i in 0..<count { left.numbers[i] += right.numbers[i] }
    }
  }
  return sums.nodes.map { ($0.parts, $0.values.numbers) }
}

/// Sums that do not depend on where their parts lie.
let orderedChecks: [Check] = [
  Check("the nodes of a tree cover each owner's parts, and join up to the whole") { _, findings in
    for partCount in [1, 2, 3, 5, 12, 13, 24] {
      let tree = SumTree(partCount: partCount)
      for owners in 1...16 {
        let lists = (0..<owners).map { tree.nodes(within: tree.parts(of: $0, among: owners)) }
        findings.expectEqual(
          lists.joined().flatMap { Array($0) }, Array(0..<partCount), "\(partCount) parts, \(owners) owners")
        var sums = PartialSums<Int>(tree)
        for node in lists.joined() { sums.append(node, 0) { _, _ in } }
        findings.expectEqual(sums.nodes.map(\.parts), [0..<partCount], "\(partCount) parts, \(owners) owners")
      }
    }
    let twelve = SumTree(partCount: 12)
    for (owners, most) in [(1, 1), (2, 1), (3, 2), (4, 1), (6, 2), (12, 1)] {
      let counts = (0..<owners).map { twelve.nodes(within: twelve.parts(of: $0, among: owners)).count }
      findings.expectEqual(counts.max(), most, "nodes of an owner among \(owners)")
    }
  },
  Check("an ordered sum has the bits of one process, whatever the size of its pieces") { world, findings in
    let tree = SumTree(partCount: 12)
    for (count, bytes) in [(0, 64), (1, 64), (5, 8), (1000, 256), (1000, 4 << 20), (70_001, 1 << 16)] {
      let own = nodes(tree, tree.parts(of: world.rank, among: world.size), count: count)
      let buffers = own.map { node in
        let buffer = UnsafeMutablePointer<Float>.allocate(capacity: max(1, count))
        for (index, value) in node.values.enumerated() { buffer[index] = value }
        return buffer
      }
      defer { for buffer in buffers { buffer.deallocate() } }
      var result = [Float](repeating: .nan, count: count)
      try withChunks(of: bytes, world) {
        try result.withUnsafeMutableBufferPointer { try world.orderedSum(buffers, along: tree, into: $0) }
      }
      let expected = nodes(tree, 0..<12, count: count)[0].values
      findings.expect(
        zip(result, expected).allSatisfy { $0.bitPattern == $1.bitPattern }, "\(count) floats in pieces of \(bytes)")
      findings.expect(
        buffers.allSatisfy { buffer in (0..<count).allSatisfy { buffer[$0] == 0 } }, "parts are not zero afterwards")
      var other = [Float](repeating: 0, count: count)
      for index in 0..<12 { for (i, value) in part(index, count: count).enumerated() { other[i] += value } }
      findings.expect(count < 100 || other != expected, "the order makes no difference, so this proves nothing")
    }
  },
]
