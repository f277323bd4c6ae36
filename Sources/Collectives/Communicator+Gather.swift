internal import CMPI
internal import Failures

extension Communicator {
  /// Overwrites the buffer on every rank with that of one.
  ///
  /// The corresponding C function is `MPI_Bcast`.
  /// - Parameters:
  ///   - buffer: As long on all ranks.
  ///   - root: The rank whose values all get.
  /// - Throws: `Failure` when MPI fails.
  package func broadcast<Element: BitwiseCopyable>(
    _ buffer: UnsafeMutableBufferPointer<Element>, from root: Int = 0
  ) throws {
    let bytes = UnsafeMutableRawBufferPointer(buffer)
    try counted(.broadcast, bytes: bytes.count) {
      if let world { try send(bytes, to: world, from: root) }
    }
  }

  /// One rank's values, on every rank.
  /// - Parameters:
  ///   - values: What the root has; what others pass is not looked at.
  ///   - root: The rank whose values all get.
  /// - Returns: The root's values.
  /// - Throws: `Failure` when MPI fails.
  package func broadcast<Element: BitwiseCopyable>(
    _ values: [Element], from root: Int = 0
  ) throws -> [Element] {
    guard let world else {
      return counted(.broadcast, bytes: values.count * MemoryLayout<Element>.stride) { values }
    }
    var count = Int64(values.count)
    try check(MPI_Bcast(&count, 1, CMPI_int64(), try cCount(root, "MPI_Bcast"), world), "MPI_Bcast")
    if rank == root {
      var copy = values
      try copy.withUnsafeMutableBufferPointer { try broadcast($0, from: root) }
      return copy
    }
    return try Array(unsafeUninitializedCapacity: Int(count)) { storage, filled in
      try broadcast(UnsafeMutableBufferPointer(rebasing: storage[..<Int(count)]), from: root)
      filled = Int(count)
    }
  }

  /// Every rank's values on one rank.
  ///
  /// Ranks may contribute different counts, also none. The corresponding C function is `MPI_Gatherv`.
  /// - Parameters:
  ///   - values: This rank's.
  ///   - root: Where they are wanted.
  /// - Returns: On the root an array for each rank, in their order; elsewhere nothing.
  /// - Throws: `Failure` when MPI fails.
  package func gather<Element: BitwiseCopyable>(
    _ values: [Element], to root: Int = 0
  ) throws -> [[Element]] {
    try gathered(values, root: root)
  }

  /// Every rank's values on every rank.
  ///
  /// Ranks may contribute different counts, also none. The corresponding C function is `MPI_Allgatherv`.
  /// - Returns: An array for each rank, in their order.
  package func allGather<Element: BitwiseCopyable>(_ values: [Element]) throws -> [[Element]] {
    try gathered(values, root: nil)
  }

  /// Sends bytes from one rank to all of a communicator.
  func send(_ bytes: UnsafeMutableRawBufferPointer, to ranks: MPI_Comm, from root: Int) throws {
    guard let base = bytes.baseAddress else { return }
    try forEachChunk(of: bytes.count, stride: 1) { start, count in
      try check(
        MPI_Bcast(
          base + start, try cCount(count, "MPI_Bcast"), CMPI_byte(), try cCount(root, "MPI_Bcast"), ranks),
        "MPI_Bcast")
    }
  }

  private func gathered<Element: BitwiseCopyable>(_ values: [Element], root: Int?) throws -> [[Element]] {
    let stride = MemoryLayout<Element>.stride
    return try counted(.gather, bytes: values.count * stride) {
      guard let world else { return [values] }
      var mine = Int64(values.count)
      var counts = [Int64](repeating: 0, count: size)
      try check(MPI_Allgather(&mine, 1, CMPI_int64(), &counts, 1, CMPI_int64(), world), "MPI_Allgather")
      let isWanted = root == nil || root == rank
      var results = counts.map { count in
        var result: [Element] = []
        if isWanted { result.reserveCapacity(Int(count)) }
        return result
      }
      // In rounds: displacements are C ints too, so all that arrives at once stays below 2 GiB.
      let perRound = max(1, min(chunkBytes, Int(CInt.max) / size) / stride)
      let longest = Int(counts.max() ?? 0)
      for start in Swift.stride(from: 0, to: longest, by: perRound) {
        let lengths = counts.map { max(0, min(perRound, Int($0) - start)) }
        let arrived = try round(
          values[min(start, values.count)..<min(start + perRound, values.count)], lengths, root, world)
        guard isWanted else { continue }
        var position = 0
        for (index, length) in lengths.enumerated() {
          results[index] += arrived[position..<position + length]
          position += length
        }
      }
      return isWanted ? results : []
    }
  }

  /// One round: everybody's next few elements, end to end, where they are wanted.
  private func round<Element: BitwiseCopyable>(
    _ mine: ArraySlice<Element>, _ lengths: [Int], _ root: Int?, _ world: MPI_Comm
  ) throws -> [Element] {
    let stride = MemoryLayout<Element>.stride
    let counts = try lengths.map { try cCount($0 * stride, "MPI_Gatherv") }
    var displacements: [CInt] = []
    var end: CInt = 0
    for count in counts {
      displacements.append(end)
      end += count
    }
    let total = root == nil || root == rank ? lengths.reduce(0, +) : 0
    return try Array(unsafeUninitializedCapacity: total) { storage, filled in
      let bytes = try cCount(mine.count * stride, "MPI_Gatherv")
      try mine.withUnsafeBytes { sent in
        if let root {
          try check(
            MPI_Gatherv(
              sent.baseAddress, bytes, CMPI_byte(), storage.baseAddress, counts, displacements, CMPI_byte(),
              try cCount(root, "MPI_Gatherv"), world),
            "MPI_Gatherv")
        } else {
          try check(
            MPI_Allgatherv(
              sent.baseAddress, bytes, CMPI_byte(), storage.baseAddress, counts, displacements, CMPI_byte(),
              world),
            "MPI_Allgatherv")
        }
      }
      filled = total
    }
  }
}
