internal import CMPI

extension Communicator {
  /// Replaces every element by its sum over all ranks.
  ///
  /// The result has the same bits on all ranks, and the same from run to run at the same number of ranks; it differs
  /// between numbers of ranks as the order of summation does. The corresponding C function is `MPI_Allreduce`.
  package func allReduceSum(_ buffer: UnsafeMutableBufferPointer<Float>) throws {
    try allReduce(.init(buffer), of: CMPI_float(), CMPI_sum(), .allReduceFloats)
  }

  /// Replaces every element by its sum over all ranks.
  package func allReduceSum(_ buffer: UnsafeMutableBufferPointer<Double>) throws {
    try allReduce(.init(buffer), of: CMPI_double(), CMPI_sum(), .allReduceDoubles)
  }

  /// Replaces every element by its sum over all ranks.
  package func allReduceSum(_ buffer: UnsafeMutableBufferPointer<Int64>) throws {
    try allReduce(.init(buffer), of: CMPI_int64(), CMPI_sum(), .allReduceIntegers)
  }

  /// Replaces every element by its least value over all ranks.
  package func allReduceMin(_ buffer: UnsafeMutableBufferPointer<Int64>) throws {
    try allReduce(.init(buffer), of: CMPI_int64(), CMPI_min(), .allReduceIntegers)
  }

  /// Replaces every element by its greatest value over all ranks.
  package func allReduceMax(_ buffer: UnsafeMutableBufferPointer<Int64>) throws {
    try allReduce(.init(buffer), of: CMPI_int64(), CMPI_max(), .allReduceIntegers)
  }

  /// The sum of one value over all ranks.
  package func sum(of value: Double) throws -> Double {
    var value = value
    try withUnsafeMutablePointer(to: &value) { try allReduceSum(.init(start: $0, count: 1)) }
    return value
  }

  /// The sum of one value over all ranks.
  package func sum(of value: Int) throws -> Int {
    try single(value) { try allReduceSum($0) }
  }

  /// The least of one value over all ranks.
  package func minimum(of value: Int) throws -> Int {
    try single(value) { try allReduceMin($0) }
  }

  /// The greatest of one value over all ranks.
  package func maximum(of value: Int) throws -> Int {
    try single(value) { try allReduceMax($0) }
  }

  /// The greatest of one value over all ranks.
  package func maximum(of value: Double) throws -> Double {
    var value = value
    try withUnsafeMutableBytes(of: &value) {
      try allReduce($0, of: CMPI_double(), CMPI_max(), .allReduceDoubles)
    }
    return value
  }

  private func single(
    _ value: Int, _ reduce: (UnsafeMutableBufferPointer<Int64>) throws -> Void
  ) throws -> Int {
    var wide = Int64(value)
    try withUnsafeMutablePointer(to: &wide) { try reduce(.init(start: $0, count: 1)) }
    return Int(wide)
  }

  private func allReduce(
    _ buffer: UnsafeMutableRawBufferPointer, of type: MPI_Datatype, _ operation: MPI_Op,
    _ kind: CollectiveStatistics.Kind
  ) throws {
    try counted(kind, bytes: buffer.count) {
      guard let world, let base = buffer.baseAddress else { return }
      var bytes: CInt = 0
      try check(MPI_Type_size(type, &bytes), "MPI_Type_size")
      let stride = Int(bytes)
      try forEachChunk(of: buffer.count / stride, stride: stride) { start, count in
        try check(
          MPI_Allreduce(
            CMPI_inPlace(), base + start * stride, try cCount(count, "MPI_Allreduce"), type, operation, world),
          "MPI_Allreduce")
      }
    }
  }
}
