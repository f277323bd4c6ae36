internal import CMPI

/// A sum over all ranks that is under way while other work goes on.
///
/// The buffer may be neither read nor written until `wait()` has returned or `test()` has said true. MPI moves data
/// only while it is called: call `test()` now and then, between layers.
package struct PendingReduction {
  let communicator: Communicator
  /// Its requests, counted since the start of the job.
  let numbers: Range<Int>

  /// Moves things on.
  /// - Returns: Whether the sum has arrived.
  package func test() throws -> Bool {
    try communicator.progress(numbers, wait: false)
  }

  /// Returns when the sum has arrived.
  package func wait() throws {
    _ = try communicator.progress(numbers, wait: true)
  }
}

extension Communicator {
  /// Begins to replace every element by its sum over all ranks.
  ///
  /// All ranks begin theirs in the same order and complete each of them. Any number may be under way. The
  /// corresponding C function is `MPI_Iallreduce`.
  package func iAllReduceSum(_ buffer: UnsafeMutableBufferPointer<Float>) throws -> PendingReduction {
    let first = requestsDone + requests.count
    try counted(.allReduceFloats, bytes: buffer.count * 4) {
      guard let world, let base = buffer.baseAddress else { return }
      try forEachChunk(of: buffer.count, stride: 4) { start, count in
        var request: MPI_Request? = CMPI_requestNull()
        try check(
          MPI_Iallreduce(
            CMPI_inPlace(), base + start, try cCount(count, "MPI_Iallreduce"), CMPI_float(), CMPI_sum(),
            world,
            &request),
          "MPI_Iallreduce")
        requests.append(request)
      }
    }
    return PendingReduction(communicator: self, numbers: first..<requestsDone + requests.count)
  }

  /// Returns when no reduction is under way any more.
  package func waitForReductions() throws {
    _ = try progress(requestsDone..<requestsDone + requests.count, wait: true)
  }

  /// Lets MPI work on some of the requests under way.
  /// - Returns: Whether they are complete.
  fileprivate func progress(_ numbers: Range<Int>, wait: Bool) throws -> Bool {
    let start = Communicator.now()
    defer { statistics[.allReduceFloats].seconds += Communicator.now() - start }
    // Requests before these were complete together and are forgotten.
    let open = numbers.clamped(to: requestsDone..<requestsDone + requests.count)
    if open.isEmpty { return true }
    var isComplete: CInt = 1
    try requests.withUnsafeMutableBufferPointer { all in
      let first = all.baseAddress.map { $0 + (open.lowerBound - requestsDone) }
      let count = try cCount(open.count, "MPI_Waitall")
      if wait {
        try check(MPI_Waitall(count, first, CMPI_statusesIgnore()), "MPI_Waitall")
      } else {
        try check(MPI_Testall(count, first, &isComplete, CMPI_statusesIgnore()), "MPI_Testall")
      }
    }
    if isComplete != 0, requests.allSatisfy({ $0 == CMPI_requestNull() }) {
      requestsDone += requests.count
      requests.removeAll(keepingCapacity: true)
    }
    return isComplete != 0
  }
}
