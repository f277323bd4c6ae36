internal import CMPI
internal import Failures
internal import Glibc

/// All ranks of the job and what they do together.
///
/// The same class serves a single process without MPI: then every collective is a no-op that is counted all the same.
/// Every method that is not marked otherwise is a collective: all ranks call it, in the same order, on one thread.
package final class Communicator {
  /// This process among all, from 0.
  package let rank: Int
  /// How many processes there are.
  package let size: Int
  /// This process among those of its node, from 0.
  package let localRank: Int
  /// How many processes its node has.
  package let localSize: Int
  /// Its node among all, from 0, in the order of their first ranks.
  package let nodeIndex: Int
  /// How many nodes there are.
  package let nodeCount: Int
  /// Which ranks sit on which node.
  package let layout: NodeLayout
  /// Ends the job, from any thread.
  package let job: Job
  /// Looks after signals and stalls.
  package let watch: Watch

  /// What this rank has handed to collectives so far.
  package internal(set) var statistics = CollectiveStatistics()
  /// Buffers go to MPI in pieces of this many bytes. 2 MiB is three to nine times as fast as one piece of 85 MB:
  /// Open MPI allocates a scratch buffer of the same size, and beyond 32 MB fresh pages for it at every call.
  /// It also keeps every count far below the limit of a C `int`. The same on all ranks.
  package var chunkBytes = 2 << 20

  /// Told of each collective when this rank is through with it: what it was, when it began and ended in seconds of the
  /// clock that only goes forward, and bytes. For traces.
  package var observer: ((_ kind: CollectiveStatistics.Kind, _ began: Double, _ ended: Double, _ bytes: Int) -> Void)?

  /// nil where there is nobody else.
  let world: MPI_Comm?
  let node: MPI_Comm?
  /// The failure that all ranks have just agreed on.
  var agreedFailure: Failure?
  /// Frees what is still held at the end, by number of the window.
  var openWindows: [Int: () throws -> Void] = [:]
  private var windowsOpened = 0

  /// A process on its own, without MPI.
  /// - Parameter program: The name that sentences on standard error start with.
  package init(program: String) {
    (rank, size, localRank, localSize, nodeIndex, nodeCount) = (0, 1, 0, 1, 0, 1)
    (world, node, layout) = (nil, nil, NodeLayout([[0]]))
    let board = Board(rank: 0)
    watch = Watch(board)
    job = Job(program: program, rank: 0, size: 1, usesMPI: false, hasOtherHosts: false, board: board)
  }

  /// All ranks of an initialised MPI.
  init(world: MPI_Comm, program: String) throws {
    let (rank, size) = try Communicator.place(in: world)
    var split: MPI_Comm?
    try check(
      MPI_Comm_split_type(world, CInt(MPI_COMM_TYPE_SHARED), CInt(rank), CMPI_infoNull(), &split),
      "MPI_Comm_split_type")
    guard let node = split else { throw Failure(.other, "MPI_Comm_split_type gave no communicator") }
    try check(MPI_Comm_set_errhandler(node, CMPI_errorsReturn()), "MPI_Comm_set_errhandler")
    (localRank, localSize) = try Communicator.place(in: node)

    // A node is known by the world's rank of its first process.
    var first = Int64(rank)
    try check(MPI_Bcast(&first, 1, CMPI_int64(), 0, node), "MPI_Bcast")
    var firsts = [Int64](repeating: 0, count: size)
    try check(MPI_Allgather(&first, 1, CMPI_int64(), &firsts, 1, CMPI_int64(), world), "MPI_Allgather")
    let layout = NodeLayout(nodeOfRank: firsts.map { Int($0) })
    nodeIndex = layout.nodes.firstIndex { $0.contains(rank) } ?? 0
    nodeCount = layout.nodes.count
    self.layout = layout

    (self.rank, self.size) = (rank, size)
    self.world = size > 1 ? world : nil
    self.node = localSize > 1 ? node : nil
    let board =
      localSize > 1
      ? try Board(rank: rank, node: node, localRank: localRank, localSize: localSize) : Board(rank: rank)
    watch = Watch(board)
    job = Job(
      program: program, rank: rank, size: size, usesMPI: true, hasOtherHosts: nodeCount > 1, board: board)
  }

  /// Whether this rank is the one that speaks, evaluates and writes.
  package var isFirst: Bool { rank == 0 }

  /// Returns when every rank has called it.
  package func barrier() throws {
    try counted(.barrier, bytes: 0) {
      if let world { try check(MPI_Barrier(world), "MPI_Barrier") }
    }
  }

  /// Runs a collective and counts it.
  func counted<Result>(
    _ kind: CollectiveStatistics.Kind, bytes: Int, _ body: () throws -> Result
  ) rethrows -> Result {
    let start = Communicator.now()
    watch.arrives()
    defer {
      let end = Communicator.now()
      statistics[kind].calls += 1
      statistics[kind].bytes += bytes
      statistics[kind].seconds += end - start
      observer?(kind, start, end, bytes)
    }
    return try body()
  }

  /// Counts time spent inside a collective that was counted when it was begun.
  func addSeconds(since start: Double, _ kind: CollectiveStatistics.Kind) {
    let end = Communicator.now()
    statistics[kind].seconds += end - start
    observer?(kind, start, end, 0)
  }

  /// Calls the body for each piece of a buffer.
  /// - Parameters:
  ///   - count: Elements of the buffer.
  ///   - stride: Bytes of an element.
  ///   - body: Gets the first element of the piece and how many there are.
  func forEachChunk(
    of count: Int, stride: Int, _ body: (_ start: Int, _ count: Int) throws -> Void
  ) rethrows {
    let step = max(1, min(chunkBytes, Int(CInt.max)) / stride)
    var start = 0
    while start < count {
      try body(start, min(step, count - start))
      start += step
    }
  }

  /// Takes charge of a window until it is freed.
  /// - Returns: Its number.
  func adopt(_ free: @escaping () throws -> Void) -> Int {
    windowsOpened += 1
    openWindows[windowsOpened] = free
    return windowsOpened
  }

  /// Frees what is still held, in the same order on all ranks, so that MPI can be finalised.
  func settle() throws {
    for (_, free) in openWindows.sorted(by: { $0.key < $1.key }) { try free() }
  }

  /// Seconds of a clock that only goes forward.
  static func now() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + 1e-9 * Double(time.tv_nsec)
  }

  private static func place(in communicator: MPI_Comm) throws -> (rank: Int, size: Int) {
    var (rank, size): (CInt, CInt) = (0, 0)
    try check(MPI_Comm_rank(communicator, &rank), "MPI_Comm_rank")
    try check(MPI_Comm_size(communicator, &size), "MPI_Comm_size")
    return (Int(rank), Int(size))
  }
}
