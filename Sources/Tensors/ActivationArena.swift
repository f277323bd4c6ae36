internal import Failures
internal import Glibc

/// A bump allocator for what a pass through the model needs: sized once, reset for every pass, never freed in between.
///
/// The memory is reserved, not touched: a page costs memory only from its first use on, so an arena may be sized for
/// the longest batch that can come. A block is 64-byte aligned and uninitialised.
package final class ActivationArena {
  /// A place in the arena to rewind to.
  package struct Mark: BitwiseCopyable { let offset: Int }

  private let base: UnsafeMutableRawPointer
  /// How many bytes there are in all.
  package let capacity: Int
  private var offset = 0
  /// The most bytes ever in use at once.
  package private(set) var peak = 0
  /// Whether `reset` and `rewind` fill what they give back with NaN, so that a stale view shows up at once.
  package var poisons = false

  /// Reserves `capacity` bytes.
  /// - Throws: `Failure(.other)` where the process may not have so much address space.
  package init(capacity: Int) throws {
    let page = 4096
    self.capacity = (capacity + page - 1) / page * page
    guard
      let memory = mmap(
        nil, max(self.capacity, page), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
        -1, 0),
      memory != MAP_FAILED
    else {
      throw Failure(
        .other,
        "the system gives no \(capacity >> 20) MiB of address space for activations; raise the limit (ulimit -v), or take fewer --threads."
      )
    }
    useHugePages(memory, self.capacity)
    base = memory
  }

  deinit { munmap(base, max(capacity, 4096)) }

  /// `count` elements of a trivial type, uninitialised.
  package func allocate<T: BitwiseCopyable>(_ type: T.Type, _ count: Int) -> UnsafeMutablePointer<T> {
    let start = (offset + 63) & ~63
    let end = start + count * MemoryLayout<T>.stride
    precondition(end <= capacity, "the activation arena of \(capacity) bytes is full")
    offset = end
    peak = max(peak, end)
    return (base + start).bindMemory(to: type, capacity: count)
  }

  /// A matrix of `rows × columns`, uninitialised.
  package func matrix(_ rows: Int, _ columns: Int) -> Matrix {
    Matrix(allocate(Float.self, rows * columns), rows: rows, columns: columns)
  }

  /// A matrix of `rows × columns` in bfloat16, uninitialised.
  package func rounded(_ rows: Int, _ columns: Int) -> RoundedMatrix {
    RoundedMatrix(allocate(BFloat16.self, rows * columns), rows: rows, columns: columns)
  }

  /// Where the next block will go.
  package var mark: Mark { Mark(offset: offset) }

  /// Gives back everything allocated since `mark`.
  package func rewind(to mark: Mark) {
    precondition(mark.offset <= offset, "rewinding an arena forwards")
    if poisons {
      let start = (mark.offset + 63) & ~63
      if start < offset {
        (base + start).bindMemory(to: Float.self, capacity: (offset - start) / 4)
          .update(repeating: .nan, count: (offset - start) / 4)
      }
    }
    offset = mark.offset
  }

  /// Gives back everything.
  package func reset() { rewind(to: Mark(offset: 0)) }
}
