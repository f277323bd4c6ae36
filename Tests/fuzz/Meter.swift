import Glibc
import Synchronization

// Every allocation of this process comes through here, from Swift, libhdf5 and the C library alike: Package.swift makes
// these functions the program's malloc, free and so on, which stand before the C library's; those do the work under their
// second names. The address sanitizer would count as well, but no coverage comes back from Swift code built with it.

/// Bytes that are allocated, and the most that there were at a time.
enum Meter {
  private static let now = Atomic(0)
  private static let peak = Atomic(0)

  /// The most since `begin`, above what there was then.
  static var peakBytes: Int { peak.load(ordering: .relaxed) }

  static func begin() {
    now.store(0, ordering: .relaxed)
    peak.store(0, ordering: .relaxed)
  }

  /// Without a comparison, which libFuzzer would take for one of the parser's.
  fileprivate static func add(_ byteCount: Int) {
    peak.max(now.add(byteCount, ordering: .relaxed).newValue, ordering: .relaxed)
  }
}

@_silgen_name("__libc_malloc") private func libraryMalloc(_ size: Int) -> UnsafeMutableRawPointer?
@_silgen_name("__libc_calloc") private func libraryCalloc(_ count: Int, _ size: Int) -> UnsafeMutableRawPointer?
@_silgen_name("__libc_memalign") private func libraryAlign(_ to: Int, _ size: Int) -> UnsafeMutableRawPointer?
@_silgen_name("__libc_free") private func libraryFree(_ memory: UnsafeMutableRawPointer?)
@_silgen_name("__libc_realloc")
private func libraryRealloc(_ memory: UnsafeMutableRawPointer?, _ size: Int) -> UnsafeMutableRawPointer?

@_silgen_name("malloc_usable_size") private func usableSize(_ memory: UnsafeMutableRawPointer?) -> Int

/// Counts what was allocated; nothing for nil.
private func counted(_ memory: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
  Meter.add(usableSize(memory))
  return memory
}

/// `malloc`, counted.
@_cdecl("metered_malloc")
public func meteredMalloc(_ size: Int) -> UnsafeMutableRawPointer? { counted(libraryMalloc(size)) }

/// `calloc`, counted.
@_cdecl("metered_calloc")
public func meteredCalloc(_ count: Int, _ size: Int) -> UnsafeMutableRawPointer? { counted(libraryCalloc(count, size)) }

/// `realloc`, counted.
@_cdecl("metered_realloc")
public func meteredRealloc(_ memory: UnsafeMutableRawPointer?, _ size: Int) -> UnsafeMutableRawPointer? {
  let before = usableSize(memory)
  let moved = libraryRealloc(memory, size)
  // Where there is no memory the old one stays.
  if moved != nil || size == 0 { Meter.add(-before) }
  return counted(moved)
}

/// `free`, counted.
@_cdecl("metered_free")
public func meteredFree(_ memory: UnsafeMutableRawPointer?) {
  Meter.add(-usableSize(memory))
  libraryFree(memory)
}

/// `memalign`, counted.
@_cdecl("metered_memalign")
public func meteredAlign(_ alignment: Int, _ size: Int) -> UnsafeMutableRawPointer? {
  counted(libraryAlign(alignment, size))
}

/// `aligned_alloc`, counted.
@_cdecl("metered_aligned_alloc")
public func meteredAlignedAlloc(_ alignment: Int, _ size: Int) -> UnsafeMutableRawPointer? {
  counted(libraryAlign(alignment, size))
}

/// `posix_memalign`, counted.
@_cdecl("metered_posix_memalign")
public func meteredPosixAlign(
  _ memory: UnsafeMutablePointer<UnsafeMutableRawPointer?>, _ alignment: Int, _ size: Int
) -> CInt {
  guard let aligned = counted(libraryAlign(alignment, size)) else { return ENOMEM }
  memory.pointee = aligned
  return 0
}
