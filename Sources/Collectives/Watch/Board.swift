internal import CMPI
internal import Glibc
internal import Synchronization

/// What each rank of a node is doing, in a page that all of them see: how a rank that is missing is found.
///
/// A rank writes its own line and reads the others'; nothing is waited for. Where the node has no room for the page
/// every rank knows of itself only.
final class Board: @unchecked Sendable {
  /// The numbers of a line.
  enum Field: Int {
    /// The rank among all.
    case rank
    /// Its process.
    case process
    /// Counts the ticks of its watch: still while the process is stopped.
    case ticks
    /// Counts passes and whatever else shows that work goes on.
    case beats
    /// Counts the collectives it has come to.
    case collectives
    /// The optimiser step under way, counted from 1; 0 outside training.
    case step
    /// Its `Activity`.
    case activity
    /// 1 when it wants the run to stop, 2 when it is ending the job, 3 when its work is done.
    case ending
    /// 1 while rank 0 writes a checkpoint beside the steps, as far as this rank knows.
    case writing
  }

  /// How many ranks have a line.
  let lineCount: Int
  /// This rank's line.
  let own: Int
  private let cells: UnsafeMutablePointer<Atomic<Int>>
  /// Room for more, in whole cache lines.
  private static let fieldCount = 16

  /// A page that nobody else sees.
  init(rank: Int) {
    (lineCount, own) = (1, 0)
    cells = Board.cells(in: UnsafeMutableRawPointer.allocate(byteCount: Board.byteCount(1), alignment: 64))
    introduce(rank)
  }

  /// A page that the ranks of a node share; collective over the node.
  init(rank: Int, node: MPI_Comm, localRank: Int, localSize: Int) throws {
    let page = try Board.page(node, isLeader: localRank == 0, Board.byteCount(localSize))
    (lineCount, own) = page == nil ? (1, 0) : (localSize, localRank)
    cells = Board.cells(
      in: page ?? UnsafeMutableRawPointer.allocate(byteCount: Board.byteCount(1), alignment: 64))
    introduce(rank)
    // Nobody reads a line before it is written.
    try check(MPI_Barrier(node), "MPI_Barrier")
  }

  subscript(line: Int, field: Field) -> Int {
    get { cell(line, field).pointee.load(ordering: .relaxed) }
    set { cell(line, field).pointee.store(newValue, ordering: .relaxed) }
  }

  /// Adds one to a number of this rank.
  func count(_ field: Field) { cell(own, field).pointee.wrappingAdd(1, ordering: .relaxed) }

  private func cell(_ line: Int, _ field: Field) -> UnsafeMutablePointer<Atomic<Int>> {
    cells + (line * Board.fieldCount + field.rawValue)
  }

  private func introduce(_ rank: Int) {
    for field in 0..<Board.fieldCount { cells[own * Board.fieldCount + field].store(0, ordering: .relaxed) }
    self[own, .rank] = rank
    self[own, .process] = Int(getpid())
  }

  private static func byteCount(_ lines: Int) -> Int {
    lines * fieldCount * MemoryLayout<Atomic<Int>>.stride
  }

  private static func cells(in page: UnsafeMutableRawPointer) -> UnsafeMutablePointer<Atomic<Int>> {
    page.assumingMemoryBound(to: Atomic<Int>.self)
  }

  /// A page that the node's ranks map, its name gone again when they have; nil on all of them when one cannot.
  private static func page(
    _ node: MPI_Comm, isLeader: Bool, _ byteCount: Int
  ) throws -> UnsafeMutableRawPointer? {
    // Containers may share the memory and yet give the same numbers to processes, so the process alone is no name.
    var number = Int64(getpid()) << 32 | Int64.random(in: 0..<1 << 32)
    try check(MPI_Bcast(&number, 1, CMPI_int64(), 0, node), "MPI_Bcast")
    let name = "/bert-ddp-board-\(getuid())-\(number)"
    if isLeader { shm_unlink(name) }
    var page = isLeader ? map(name, O_RDWR | O_CREAT | O_EXCL, byteCount) : nil
    try check(MPI_Barrier(node), "MPI_Barrier")
    if !isLeader { page = map(name, O_RDWR, byteCount) }
    var lowest: Int64 = page == nil ? 0 : 1
    try check(MPI_Allreduce(CMPI_inPlace(), &lowest, 1, CMPI_int64(), CMPI_min(), node), "MPI_Allreduce")
    if isLeader { shm_unlink(name) }
    if lowest == 0, let mapped = page {
      munmap(mapped, byteCount)
      page = nil
    }
    return page
  }

  private static func map(_ name: String, _ flags: CInt, _ byteCount: Int) -> UnsafeMutableRawPointer? {
    let descriptor = shm_open(name, flags, 0o600)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    // Taken at once: a write to a page for which there is no room would end the process.
    if flags & O_CREAT != 0, posix_fallocate(descriptor, 0, off_t(byteCount)) != 0 { return nil }
    let page = mmap(nil, byteCount, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0)
    return page == MAP_FAILED ? nil : page
  }
}

/// A process of this host as the system sees it.
enum ProcessState: Equatable {
  case running
  /// Stopped by a signal or a debugger.
  case stopped
  /// Ended, perhaps not yet noticed by its parent.
  case gone

  /// The state of a process; the corresponding file is `/proc/PID/stat`.
  static func of(_ process: Int) -> ProcessState {
    guard let line = lines("/proc/\(process)/stat").first else { return .gone }
    // "4242 (a name that may hold anything) S 1 …"
    switch line.lastIndex(of: ")").flatMap({ line[$0...].dropFirst(2).first }) {
    case "T", "t": return .stopped
    case "Z", "X", nil: return .gone
    default: return .running
    }
  }
}
