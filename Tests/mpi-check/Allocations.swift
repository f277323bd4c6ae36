// This program's own allocator: the C library's, and a count of what is asked of it. The linker gives these functions the
// names of the library's (Package.swift); under those the compiler would take them for the library's and leave out what
// they do beside.

/// Counted while it is set; what two threads ask for at once may count once, which is as good where nothing is to be.
nonisolated(unsafe) private var isCounting = false
nonisolated(unsafe) private var count = 0

@_silgen_name("__libc_malloc")
private func allocate(_ size: Int) -> UnsafeMutableRawPointer?
@_silgen_name("__libc_calloc")
private func allocateZeros(_ count: Int, _ size: Int) -> UnsafeMutableRawPointer?
@_silgen_name("__libc_realloc")
private func reallocate(_ memory: UnsafeMutableRawPointer?, _ size: Int) -> UnsafeMutableRawPointer?
@_silgen_name("__libc_memalign")
private func allocateAligned(_ alignment: Int, _ size: Int) -> UnsafeMutableRawPointer?

/// `malloc`, which everything in this process calls, libraries too.
@_cdecl("counted_malloc")
public func countedAllocate(_ size: Int) -> UnsafeMutableRawPointer? {
  if isCounting { countUnlessOfBLAS() }
  return allocate(size)
}

/// `calloc`.
@_cdecl("counted_calloc")
public func countedAllocateZeros(_ number: Int, _ size: Int) -> UnsafeMutableRawPointer? {
  if isCounting { countUnlessOfBLAS() }
  return allocateZeros(number, size)
}

/// `realloc`.
@_cdecl("counted_realloc")
public func countedReallocate(_ memory: UnsafeMutableRawPointer?, _ size: Int) -> UnsafeMutableRawPointer? {
  if isCounting { countUnlessOfBLAS() }
  return reallocate(memory, size)
}

/// `posix_memalign`.
@_cdecl("counted_posix_memalign")
public func countedAllocateAligned(
  _ memory: UnsafeMutablePointer<UnsafeMutableRawPointer?>, _ alignment: Int, _ size: Int
) -> CInt {
  if isCounting { countUnlessOfBLAS() }
  memory.pointee = allocateAligned(alignment, size)
  // ENOMEM.
  return memory.pointee == nil ? 12 : 0
}

/// oneDNN asks for the memory that it packs factors into, OpenBLAS's kernels for small products on processors with AVX-512
/// do so too.
private func countUnlessOfBLAS() {
  isCounting = false
  if !isCalledByBLAS() { count += 1 }
  isCounting = true
}

// MPI's own allocations are MPI's: its profiling interface lets a program put itself in front of a function.

private func uncounted(_ call: () -> CInt) -> CInt {
  let wasCounting = isCounting
  isCounting = false
  defer { isCounting = wasCounting }
  return call()
}

@_silgen_name("PMPI_Allreduce")
private func allReduce(
  _ own: UnsafeRawPointer?, _ sum: UnsafeMutableRawPointer?, _ count: CInt, _ type: OpaquePointer?,
  _ operation: OpaquePointer?, _ ranks: OpaquePointer?
) -> CInt
@_silgen_name("PMPI_Isend")
private func send(
  _ values: UnsafeRawPointer?, _ count: CInt, _ type: OpaquePointer?, _ rank: CInt, _ tag: CInt,
  _ ranks: OpaquePointer?, _ request: UnsafeMutableRawPointer?
) -> CInt
@_silgen_name("PMPI_Irecv")
private func receive(
  _ values: UnsafeMutableRawPointer?, _ count: CInt, _ type: OpaquePointer?, _ rank: CInt, _ tag: CInt,
  _ ranks: OpaquePointer?, _ request: UnsafeMutableRawPointer?
) -> CInt
@_silgen_name("PMPI_Waitsome")
private func wait(
  _ count: CInt, _ requests: UnsafeMutableRawPointer?, _ done: UnsafeMutablePointer<CInt>?,
  _ indices: UnsafeMutablePointer<CInt>?, _ statuses: UnsafeMutableRawPointer?
) -> CInt
@_silgen_name("PMPI_Testsome")
private func test(
  _ count: CInt, _ requests: UnsafeMutableRawPointer?, _ done: UnsafeMutablePointer<CInt>?,
  _ indices: UnsafeMutablePointer<CInt>?, _ statuses: UnsafeMutableRawPointer?
) -> CInt

/// `MPI_Allreduce`, its allocations left out.
@_cdecl("MPI_Allreduce")
public func uncountedAllReduce(
  _ own: UnsafeRawPointer?, _ sum: UnsafeMutableRawPointer?, _ count: CInt, _ type: OpaquePointer?,
  _ operation: OpaquePointer?, _ ranks: OpaquePointer?
) -> CInt { uncounted { allReduce(own, sum, count, type, operation, ranks) } }

/// `MPI_Isend`, its allocations left out.
@_cdecl("MPI_Isend")
public func uncountedSend(
  _ values: UnsafeRawPointer?, _ count: CInt, _ type: OpaquePointer?, _ rank: CInt, _ tag: CInt,
  _ ranks: OpaquePointer?, _ request: UnsafeMutableRawPointer?
) -> CInt { uncounted { send(values, count, type, rank, tag, ranks, request) } }

/// `MPI_Irecv`, its allocations left out.
@_cdecl("MPI_Irecv")
public func uncountedReceive(
  _ values: UnsafeMutableRawPointer?, _ count: CInt, _ type: OpaquePointer?, _ rank: CInt, _ tag: CInt,
  _ ranks: OpaquePointer?, _ request: UnsafeMutableRawPointer?
) -> CInt { uncounted { receive(values, count, type, rank, tag, ranks, request) } }

/// `MPI_Waitsome`, its allocations left out.
@_cdecl("MPI_Waitsome")
public func uncountedWait(
  _ count: CInt, _ requests: UnsafeMutableRawPointer?, _ done: UnsafeMutablePointer<CInt>?,
  _ indices: UnsafeMutablePointer<CInt>?, _ statuses: UnsafeMutableRawPointer?
) -> CInt { uncounted { wait(count, requests, done, indices, statuses) } }

/// `MPI_Testsome`, its allocations left out.
@_cdecl("MPI_Testsome")
public func uncountedTest(
  _ count: CInt, _ requests: UnsafeMutableRawPointer?, _ done: UnsafeMutablePointer<CInt>?,
  _ indices: UnsafeMutablePointer<CInt>?, _ statuses: UnsafeMutableRawPointer?
) -> CInt { uncounted { test(count, requests, done, indices, statuses) } }

/// Counts what steps ask the allocator for.
enum Allocations {
  /// Begins to count, or goes on.
  static func begin() { isCounting = true }

  /// Stops counting.
  static func end() { isCounting = false }

  /// What was counted since the last time.
  static func take() -> Int {
    defer { count = 0 }
    return count
  }
}
