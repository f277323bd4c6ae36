internal import Glibc
internal import Tensors

/// Memory that is zero and that the system gives page by page as it is first written: rows that no gradient reaches take
/// none. To be given back with `free`.
/// - Parameters:
///   - count: How many.
///   - isSparse: Whether much of it is never written: then pages are small, so that it takes no memory.
/// - Returns: The memory.
func zeroedFloats(_ count: Int, isSparse: Bool = false) -> UnsafeMutableBufferPointer<Float> {
  guard let memory = calloc(max(1, count), MemoryLayout<Float>.stride) else {
    preconditionFailure("the system gives no \(4 * count) bytes")
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
