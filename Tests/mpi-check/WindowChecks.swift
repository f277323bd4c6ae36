import Collectives
import Failures
import Glibc

/// This process's share of physical memory in bytes: a page of n processes counts 1/n.
private func proportionalBytes() -> Int {
  smallFile("/proc/self/smaps_rollup").lazy.compactMap(proportionalBytes).first ?? 0
}

/// The same of the mappings that lie in a range of addresses.
private func proportionalBytes(in range: Range<UInt>) -> Int {
  var isInside = false
  var sum = 0
  for line in smallFile("/proc/self/smaps") {
    if let mapping = addresses(line) {
      isInside = mapping.overlaps(range)
    } else if isInside, let bytes = proportionalBytes(line) {
      sum += bytes
    }
  }
  return sum
}

/// The figure of a line such as "Pss:      1024 kB".
private func proportionalBytes(_ line: Substring) -> Int? {
  guard line.hasPrefix("Pss:") else { return nil }
  return line.split(separator: " ").dropFirst().first.flatMap { Int($0) }.map { $0 * 1024 }
}

/// The range of a line such as "7f00-7f08 r--s …".
private func addresses(_ line: Substring) -> Range<UInt>? {
  let ends = line.prefix { $0 != " " }.split(separator: "-").compactMap { UInt($0, radix: 16) }
  return ends.count == 2 && ends[0] < ends[1] ? ends[0]..<ends[1] : nil
}

/// The lines of a file of the system.
private func smallFile(_ path: String) -> [Substring] {
  guard let file = fopen(path, "r") else { return [] }
  defer { fclose(file) }
  var bytes: [UInt8] = []
  while true {
    let byte = getc(file)
    if byte == EOF { break }
    bytes.append(UInt8(truncatingIfNeeded: byte))
  }
  return String(decoding: bytes, as: UTF8.self).split(separator: "\n")
}

/// The rights of the mapping that holds an address, as `/proc/self/maps` has them.
private func rights(at address: UInt) -> Substring? {
  for line in smallFile("/proc/self/maps") where addresses(line)?.contains(address) == true {
    return line.split(separator: " ").dropFirst().first
  }
  return nil
}

/// What the windows of the checks hold: it must fit into the 64 MB that containers often give.
private let windowBytes = 32 << 20

/// Makes a window, fills and reads it all, and counts how often the node has it in memory.
private func expectCopies(
  _ expected: Int, _ world: Communicator, _ findings: Findings, availableBytes: Int?
) throws {
  try world.barrier()
  let before = proportionalBytes()
  let window = try SharedWindow<Float>(count: windowBytes / 4, on: world, availableBytes: availableBytes)
  try window.fill { values in for index in values.indices { values[index] = Float(index & 0xFFFF) } }
  let isRight = window.pointer.indices.allSatisfy { window.pointer[$0] == Float($0 & 0xFFFF) }
  findings.expect(isRight, "the values are not those written")
  findings.expectEqual(window.isShared, availableBytes == nil && world.localSize > 1, "shared")
  // All ranks have the note of a node that has several, one that is alone on its own as well.
  findings.expectEqual(window.note != nil, availableBytes != nil && world.nodeCount < world.size, "a note")
  if let note = window.note {
    findings.expect(note.contains("room for") && note.contains("--shm-size"), note)
  }
  try world.barrier()
  let start = UInt(bitPattern: window.pointer.baseAddress)
  let held = proportionalBytes(in: start..<start + UInt(windowBytes))
  let grown = proportionalBytes() - before
  try world.barrier()
  try window.free()
  // The window itself, exactly but for huge pages at its ends; and no second copy anywhere else.
  let copies = Double(try world.sum(of: held)) / Double(windowBytes)
  let deviation = abs(copies - Double(expected)) / Double(expected)
  findings.expect(deviation < 0.13, "\(copies) copies, not \(expected)")
  let growth = Double(try world.sum(of: grown)) / Double(windowBytes)
  findings.expect(growth < 1.5 * Double(expected), "memory grew by \(growth) windows")
}

/// One copy of frozen weights on a node.
let windowChecks: [Check] = [
  Check("a node holds one copy of what its ranks share") { world, findings in
    try expectCopies(world.nodeCount, world, findings, availableBytes: nil)
  },
  Check("without room to share each rank has a copy and a note says why") { world, findings in
    try expectCopies(world.size, world, findings, availableBytes: 1 << 20)
  },
  Check("what is filled is read-only, starts at a page and can be filled again") { world, findings in
    let window = try SharedWindow<UInt16>(count: 5001, on: world)
    findings.expect(window.pointer.allSatisfy { $0 == 0 }, "not zero at first")
    for round in 1...3 {
      // Nobody reads while another writes.
      try world.barrier()
      try window.fill { values in values.update(repeating: UInt16(round)) }
      findings.expect(window.pointer.allSatisfy { $0 == UInt16(round) }, "round \(round)")
      let address = UInt(bitPattern: window.pointer.baseAddress)
      findings.expectEqual(address % 4096, 0, "offset in its page")
      findings.expectEqual(rights(at: address)?.prefix(3), "r--", "rights")
    }
    findings.expectEqual(window.count, 5001, "count")
    // Not freed: the end of the session does it.
  },
  Check("filling that fails, fails alike on all ranks and writes no sentence twice") { world, findings in
    let window = try SharedWindow<Float>(count: 10, on: world)
    let failure = findings.failure("filling fails") {
      try window.fill { _ in throw Failure(.badContent, "base.h5 is damaged") }
    }
    findings.expectEqual(failure, Failure(.badContent, "base.h5 is damaged"), "failure")
    try window.free()
    try window.free()
  },
  Check("an empty window and several at once work") { world, findings in
    let windows = try (0..<4).map { try SharedWindow<Double>(count: $0 * 1000, on: world) }
    for (number, window) in windows.enumerated() {
      try window.fill { $0.update(repeating: Double(number)) }
    }
    for (number, window) in windows.enumerated() {
      findings.expectEqual(window.pointer.count, number * 1000, "count")
      findings.expect(window.pointer.allSatisfy { $0 == Double(number) }, "window \(number)")
    }
    try world.barrier()
    for window in windows.reversed() { try window.free() }
  },
]
