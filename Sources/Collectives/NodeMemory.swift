internal import CMPI
internal import Failures
internal import Glibc

/// Pages that a node's ranks share, or a private copy of them: the untyped part of `SharedWindow`.
final class NodeMemory {
  /// Whole pages, at least as many bytes as asked for.
  private(set) var pages: UnsafeMutableRawBufferPointer
  let isShared: Bool
  let note: String?
  private var window: MPI_Win?

  private static let pageBytes = max(4096, sysconf(Int32(_SC_PAGESIZE)))

  init(bytes: Int, on communicator: Communicator, availableBytes: Int?) throws {
    let length = max(1, (bytes + NodeMemory.pageBytes - 1) / NodeMemory.pageBytes) * NodeMemory.pageBytes
    var reason: String?
    var shared: (pages: UnsafeMutableRawBufferPointer, window: MPI_Win)?
    if let node = communicator.node {
      let isLeader = communicator.localRank == 0
      let lock = isLeader ? DirectoryLock(SharedMemory.directory) : nil
      defer { _ = lock }
      if isLeader {
        reason = NodeMemory.shortage(length, ranks: communicator.localSize, availableBytes: availableBytes)
      }
      // All ranks of the node go the same way: where MPI cannot allocate, only the first one is told.
      if try NodeMemory.agree(reason == nil, on: node) {
        shared = try NodeMemory.allocateShared(length, on: node, isLeader: isLeader)
        if shared == nil && isLeader { reason = "shared memory ran out while \(length >> 20) MiB were taken" }
      }
    }
    let sharedPages = shared?.pages
    pages = try communicator.collectively { try sharedPages ?? NodeMemory.allocatePrivate(length) }
    window = shared?.window
    isShared = shared != nil

    guard let first = try communicator.lowestRank(where: reason != nil) else {
      note = nil
      return
    }
    note = try communicator.broadcastText(
      "\(reason ?? ""): each of the \(communicator.localSize) ranks of its node keeps a copy of its own; "
        + "a container gets more by `--shm-size=\(max(1, (2 * length) >> 30 + 1))g`", from: first)
  }

  /// Lets one rank of each node write, then takes the right to write from all.
  func fill(on communicator: Communicator, bytes: Int, _ work: () throws -> Void) throws {
    let isLeader = communicator.localRank == 0
    // A stray write into frozen weights then ends in a fault instead of in wrong numbers.
    mprotect(pages.baseAddress, pages.count, PROT_READ | PROT_WRITE)
    defer { mprotect(pages.baseAddress, pages.count, PROT_READ) }
    try communicator.collectively(where: isLeader, work)
    try communicator.counted(.window, bytes: bytes) {
      if let window {
        try check(MPI_Win_fence(0, window), "MPI_Win_fence")
      } else if let node = communicator.node {
        try communicator.send(UnsafeMutableRawBufferPointer(rebasing: pages[..<bytes]), to: node, from: 0)
      }
    }
  }

  /// Gives the pages back, once.
  func free() throws {
    let held = pages
    pages = UnsafeMutableRawBufferPointer(start: nil, count: 0)
    if window != nil {
      try check(MPI_Win_free(&window), "MPI_Win_free")
    } else if let base = held.baseAddress {
      munmap(base, held.count)
    }
  }

  /// Why there is no room to share, if so.
  private static func shortage(_ length: Int, ranks: Int, availableBytes: Int?) -> String? {
    let directory = SharedMemory.directory
    let available = availableBytes ?? SharedMemory.available(in: directory, ranks: ranks)
    // One page more to align, one for MPI's own notes.
    guard available < length + 2 * pageBytes else { return nil }
    return
      "shared memory (\(directory)) has room for \(available >> 20) MiB and \(length >> 20) MiB are needed"
  }

  /// The first rank of the node allocates all, the others map the same pages.
  /// - Returns: nil on all ranks when the pages could not be had after all.
  private static func allocateShared(
    _ length: Int, on node: MPI_Comm, isLeader: Bool
  ) throws -> (pages: UnsafeMutableRawBufferPointer, window: MPI_Win)? {
    var (base, opened): (UnsafeMutableRawPointer?, MPI_Win?) = (nil, nil)
    // Open MPI starts the memory 264 bytes into a page; ours starts at the next one, on all ranks alike.
    try check(
      MPI_Win_allocate_shared(isLeader ? length + pageBytes : 0, 1, CMPI_infoNull(), node, &base, &opened),
      "MPI_Win_allocate_shared")
    var (size, unit): (MPI_Aint, CInt) = (0, 0)
    guard let window = opened else { throw Failure(.other, "MPI_Win_allocate_shared gave no window") }
    try check(MPI_Win_shared_query(window, 0, &size, &unit, &base), "MPI_Win_shared_query")
    guard let start = base?.alignedUp(toMultipleOf: pageBytes) else {
      throw Failure(.other, "MPI_Win_shared_query gave no address")
    }
    let pages = UnsafeMutableRawBufferPointer(start: start, count: length)
    adviseHugePages(pages)
    if try agree(!isLeader || SharedMemory.reserve(pages), on: node) { return (pages, window) }
    try check(MPI_Win_free(&opened), "MPI_Win_free")
    return nil
  }

  private static func allocatePrivate(_ length: Int) throws -> UnsafeMutableRawBufferPointer {
    let pages = mmap(nil, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
    guard let pages, pages != MAP_FAILED else {
      throw Failure(.other, "there is no memory for \(length >> 20) MiB more; use fewer ranks on this node")
    }
    let held = UnsafeMutableRawBufferPointer(start: pages, count: length)
    adviseHugePages(held)
    return held
  }

  /// Fewer address translations where the system gives huge pages on request; elsewhere nothing happens.
  private static func adviseHugePages(_ pages: UnsafeMutableRawBufferPointer) {
    madvise(pages.baseAddress, pages.count, MADV_HUGEPAGE)
  }

  /// What the first rank of a node finds, on all of them.
  private static func agree(_ isSo: Bool, on node: MPI_Comm) throws -> Bool {
    var answer: Int64 = isSo ? 1 : 0
    try check(MPI_Bcast(&answer, 1, CMPI_int64(), 0, node), "MPI_Bcast")
    return answer == 1
  }
}
