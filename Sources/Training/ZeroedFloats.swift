internal import Failures
internal import Glibc
internal import Tensors

/// Memory that is zero and that the system gives page by page as it is first written: rows that no gradient reaches take
/// none. To be given back with `free`.
/// - Parameters:
///   - count: How many.
///   - isSparse: Whether much of it is never written: then pages are small, so that it takes no memory.
/// - Returns: The memory.
/// - Throws: `Failure(.other)` where the system has no more.
func zeroedFloats(_ count: Int, isSparse: Bool = false) throws -> UnsafeMutableBufferPointer<Float> {
  guard let memory = calloc(max(1, count), MemoryLayout<Float>.stride) else {
    throw Failure(
      .other,
      "the system gives no \(count >> 18) MiB for \(count) trained numbers; raise the limit (ulimit -v), or choose a method that trains less or fewer --threads."
    )
  }
  if isSparse {
    let page = Int(sysconf(CInt(_SC_PAGESIZE)))
    let first = (Int(bitPattern: memory) + page - 1) / page * page
    let last = (Int(bitPattern: memory) + 4 * count) / page * page
    if first < last { madvise(UnsafeMutableRawPointer(bitPattern: first), last - first, MADV_NOHUGEPAGE) }
  } else {
    useHugePages(memory, 4 * count)
  }
  return UnsafeMutableBufferPointer(start: memory.bindMemory(to: Float.self, capacity: max(1, count)), count: count)
}
