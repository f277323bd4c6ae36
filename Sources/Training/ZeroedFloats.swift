internal import Glibc
internal import Tensors

/// Memory that is zero and that the system gives page by page as it is first written: rows that no gradient reaches take
/// none. To be given back with `free`.
func zeroedFloats(_ count: Int) -> UnsafeMutableBufferPointer<Float> {
  guard let memory = calloc(max(1, count), MemoryLayout<Float>.stride) else {
    preconditionFailure("the system gives no \(4 * count) bytes")
  }
  useHugePages(memory, 4 * count)
  return UnsafeMutableBufferPointer(start: memory.bindMemory(to: Float.self, capacity: max(1, count)), count: count)
}
