internal import CMPI
internal import Failures

/// Throws when an MPI call reports an error, with MPI's own words for it.
///
/// Open MPI mostly ends the job itself when a process or a link is gone; what arrives here is what it leaves to us.
/// - Parameters:
///   - status: What the call returned.
///   - call: The name of the C function.
/// - Throws: `Failure` of kind `other`.
func check(_ status: CInt, _ call: StaticString) throws {
  guard status != MPI_SUCCESS else { return }
  var length: CInt = 0
  let words = withUnsafeTemporaryAllocation(of: CChar.self, capacity: Int(MPI_MAX_ERROR_STRING) + 1) { text in
    guard let base = text.baseAddress, MPI_Error_string(status, base, &length) == MPI_SUCCESS else {
      return "error \(status)"
    }
    return String(decoding: text[..<Int(length)].map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
  throw Failure(
    .other,
    "\(call) failed (\(words)); if a rank or a host of the job is gone, start again with --resume auto")
}

/// A count as MPI wants it, a C `int`.
/// - Throws: `Failure` when it does not fit; callers cut buffers into chunks so that it does.
func cCount(_ count: Int, _ call: StaticString) throws -> CInt {
  guard let narrow = CInt(exactly: count) else {
    throw Failure(.other, "\(call) was given \(count) elements at once, more than a C int counts")
  }
  return narrow
}
