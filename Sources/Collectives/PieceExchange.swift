internal import CMPI

/// Sums over all ranks that are under way while other work goes on: each piece of a buffer goes to the rank that owns
/// it, is added up there in the order of ranks, and comes back to all, or stays.
///
/// The sum of a number is `((g₀ + g₁) + g₂) + …` over the ranks of a node, and the same over the sums of nodes, whatever
/// pieces the buffer is cut into, whoever owns them and whether sums come back: sharing out the optimiser or overlapping
/// changes no bit. On one node a rank sends and receives 2 (P − 1)/P of the buffer, as in a ring; over several, a node
/// sends as much to each other one as one rank would (`NodeLayout`). MPI moves data only while it is called: call `poke`
/// now and then.
///
/// All ranks add the same pieces in the same order. Between `add` and `finish` a buffer's pieces are neither read nor
/// written.
package final class PieceExchange {
  /// Which way a piece goes.
  package enum Route: Sendable {
    /// To its owner, who has the sum; others are left with zeros.
    case toOwner
    /// To its owner and back: all ranks have the sum.
    case toAll
    /// From its owner, whose numbers all ranks get; nothing is added up.
    case fromOwner
  }

  /// Told on its owner that the numbers of several ranks have been added up and lie in the buffer: the number that the
  /// piece was added under.
  package var summed: ((_ number: Int) -> Void)?

  private let communicator: Communicator
  private let longest: Int
  private var jobs: [Job] = []
  private var nextJob = 0
  private var slots: [Slot]
  private var openSlots = 0
  private var requests: [MPI_Request?] = []
  private var slotOfRequest: [Int] = []
  private var completed: [CInt] = []
  private var tag: CInt = 0

  private struct Job {
    let piece: Piece
    let number: Int
    let buffer: UnsafeMutablePointer<Float>
    let route: Route
  }

  /// Where this rank stands on a piece's way.
  private enum Stage {
    case gathering, sendingUp, awaiting, handingOut

    /// Whether sums come from the owner.
    var isDownward: Bool { self == .awaiting || self == .handingOut }
  }

  /// A piece under way: what others sent, then room for its own numbers end to end.
  private struct Slot {
    var job: Job?
    var tag: CInt = 0
    var openRequests = 0
    var stage = Stage.gathering
    let room: UnsafeMutablePointer<Float>
  }

  /// `[owners]`: this rank's place on the way to each.
  private let places: [NodeLayout.Place]
  /// The most messages that come in for a piece.
  private let mostChildren: Int

  /// An exchange between all ranks.
  /// - Parameters:
  ///   - communicator: All ranks.
  ///   - longest: The most numbers that a piece has.
  ///   - mostPieces: Room for so many before `finish`; more are as good, but memory is taken for them.
  ///   - layout: Which ranks sit on which node; as it is unless a test says otherwise.
  package init(_ communicator: Communicator, longest: Int, mostPieces: Int = 0, layout: NodeLayout? = nil) {
    let layout = layout ?? communicator.layout
    self.communicator = communicator
    self.longest = longest
    places = (0..<communicator.size).map { layout.place(of: communicator.rank, owner: $0) }
    let most = PieceExchange.mostChildren(places)
    mostChildren = most
    let count = communicator.size == 1 ? 0 : PieceExchange.slotCount(most, longest)
    slots = (0..<count).map { _ in Slot(room: .allocate(capacity: (most + 1) * longest)) }
    jobs.reserveCapacity(mostPieces)
    requests.reserveCapacity(count * max(1, most))
    slotOfRequest.reserveCapacity(count * max(1, most))
    completed.reserveCapacity(count * max(1, most))
  }

  /// How many pieces are under way at once: sixteen, and fewer where so many ranks send that these took more than 64 MiB.
  private static func slotCount(_ mostChildren: Int, _ longest: Int) -> Int {
    max(2, min(16, (64 << 20) / (4 * (mostChildren + 1) * max(1, longest))))
  }

  private static func mostChildren(_ places: [NodeLayout.Place]) -> Int { places.map(\.children.count).max() ?? 0 }

  /// Bytes that a rank takes for pieces under way.
  /// - Parameters:
  ///   - layout: Which ranks sit on which node.
  ///   - rank: The rank.
  ///   - longest: The most numbers that a piece has.
  /// - Returns: None where it is alone.
  package static func roomBytes(_ layout: NodeLayout, rank: Int, longest: Int) -> Int {
    let size = layout.nodes.joined().count
    guard size > 1 else { return 0 }
    let most = mostChildren((0..<size).map { layout.place(of: rank, owner: $0) })
    return slotCount(most, longest) * (most + 1) * longest * MemoryLayout<Float>.stride
  }

  deinit { for slot in slots { slot.room.deallocate() } }

  /// Hands pieces of a buffer over. Counted as one all-reduce of their numbers; handing out as parameters.
  /// - Parameters:
  ///   - pieces: The same on all ranks.
  ///   - first: The number of the first one; the others count on.
  ///   - buffer: What they are pieces of.
  ///   - route: Which way they go.
  /// - Throws: `Failure` when ranks cannot talk.
  package func add(
    _ pieces: ArraySlice<Piece>, numberedFrom first: Int = 0, of buffer: UnsafeMutablePointer<Float>, _ route: Route
  ) throws {
    let bytes = 4 * pieces.reduce(0) { $0 + $1.count }
    try communicator.counted(route == .fromOwner ? .parameters : .allReduceFloats, bytes: bytes) {
      if communicator.size == 1 { return }
      for (index, piece) in pieces.enumerated() {
        precondition(piece.count <= longest, "a piece is too long for its room")
        jobs.append(Job(piece: piece, number: first + index, buffer: buffer, route: route))
      }
      try startJobs()
    }
  }

  /// Whether nothing is under way on this rank.
  package var isIdle: Bool { openSlots == 0 }

  /// Moves things on, as far as they go without waiting.
  package func poke() throws {
    if openSlots == 0 { return }
    let start = Communicator.now()
    defer { communicator.addSeconds(since: start, .allReduceFloats) }
    // A call of MPI moves a limited number of fragments; a few in vain say that there is nothing to move.
    var vain = 0
    while openSlots > 0, vain < 4 { vain = try complete(waits: false) ? 0 : vain + 1 }
  }

  /// Returns when all pieces have arrived.
  package func finish() throws {
    let start = Communicator.now()
    defer { communicator.addSeconds(since: start, .allReduceFloats) }
    while openSlots > 0 { _ = try complete(waits: true) }
  }

  // MARK: The way of a piece

  private func startJobs() throws {
    for slot in slots.indices where nextJob < jobs.count && slots[slot].job == nil { try start(slot) }
    if nextJob == jobs.count, openSlots == 0 {
      jobs.removeAll(keepingCapacity: true)
      nextJob = 0
    }
  }

  private func start(_ slot: Int) throws {
    let job = jobs[nextJob]
    nextJob += 1
    openSlots += 1
    tag = (tag + 2) & 0x3FFE
    (slots[slot].job, slots[slot].tag) = (job, tag)
    let own = values(slot, job)
    let isOwner = places[job.piece.owner].parent == nil
    if job.piece.ranges.count > 1, isOwner || job.route != .fromOwner { job.piece.pack(job.buffer, into: own) }
    guard job.route != .fromOwner else { return try isOwner ? handOut(slot, job) : awaitSum(slot, job) }
    slots[slot].stage = .gathering
    var room = slots[slot].room
    for child in places[job.piece.owner].children {
      try receive(slot, room, job.piece.count, from: child)
      room += longest
    }
    if slots[slot].openRequests == 0 { try sendUp(slot, job) }
  }

  /// Where a piece's numbers lie end to end: where they are, or at the end of the slot's room.
  private func values(_ slot: Int, _ job: Job) -> UnsafeMutablePointer<Float> {
    job.piece.place(in: job.buffer) ?? slots[slot].room + mostChildren * longest
  }

  /// All messages of a stage of a piece's way have arrived.
  private func advance(_ slot: Int) throws {
    guard let job = slots[slot].job else { return }
    switch slots[slot].stage {
    case .gathering:
      addUp(slot, job)
      try sendUp(slot, job)
    case .sendingUp:
      if job.route == .toAll { return try awaitSum(slot, job) }
      job.piece.clear(job.buffer)
      release(slot)
    case .awaiting:
      if job.piece.ranges.count > 1 { job.piece.unpack(values(slot, job), into: job.buffer) }
      try handOut(slot, job)
    case .handingOut: release(slot)
    }
  }

  /// Sends the sum of this rank and of those that it gathers from on to the owner, who has all of it.
  private func sendUp(_ slot: Int, _ job: Job) throws {
    if let parent = places[job.piece.owner].parent {
      slots[slot].stage = .sendingUp
      return try send(slot, values(slot, job), job.piece.count, to: parent)
    }
    if job.piece.ranges.count > 1 { job.piece.unpack(values(slot, job), into: job.buffer) }
    summed?(job.number)
    if job.route == .toAll { try handOut(slot, job) } else { release(slot) }
  }

  private func awaitSum(_ slot: Int, _ job: Job) throws {
    guard let parent = places[job.piece.owner].parent else { return }
    slots[slot].stage = .awaiting
    try receive(slot, values(slot, job), job.piece.count, from: parent)
  }

  private func handOut(_ slot: Int, _ job: Job) throws {
    slots[slot].stage = .handingOut
    for child in places[job.piece.owner].children {
      try send(slot, values(slot, job), job.piece.count, to: child)
    }
    if slots[slot].openRequests == 0 { release(slot) }
  }

  private func release(_ slot: Int) {
    slots[slot].job = nil
    openSlots -= 1
  }

  /// Adds up the node in the order of its ranks, then, on the owner, the nodes in theirs.
  private func addUp(_ slot: Int, _ job: Job) {
    let (place, own) = (places[job.piece.owner], values(slot, job))
    let room = slots[slot].room
    addInOrder(room, place.neighbourCount, before: place.neighboursBefore, to: own, job.piece.count)
    let nodes = room + place.neighbourCount * longest
    addInOrder(nodes, place.gathererCount, before: place.gatherersBefore, to: own, job.piece.count)
  }

  /// Adds lists that lie `longest` apart to the own one, which comes after some of them; where it is the second summand
  /// it may as well be the first.
  private func addInOrder(
    _ lists: UnsafeMutablePointer<Float>, _ listCount: Int, before: Int, to own: UnsafeMutablePointer<Float>,
    _ count: Int
  ) {
    for index in 1..<max(before, 1) { addNumbers(lists + index * longest, to: lists, count) }
    if before > 0 { addNumbers(lists, to: own, count) }
    for index in before..<listCount { addNumbers(lists + index * longest, to: own, count) }
  }

  // MARK: Messages

  private func send(_ slot: Int, _ values: UnsafeMutablePointer<Float>, _ count: Int, to rank: Int) throws {
    try message(slot, "MPI_Isend", count) { MPI_Isend(values, $0, CMPI_float(), CInt(rank), $1, $2, &$3) }
  }

  private func receive(_ slot: Int, _ values: UnsafeMutablePointer<Float>, _ count: Int, from rank: Int) throws {
    try message(slot, "MPI_Irecv", count) { MPI_Irecv(values, $0, CMPI_float(), CInt(rank), $1, $2, &$3) }
  }

  private func message(
    _ slot: Int, _ function: StaticString, _ count: Int,
    _ begin: (_ count: CInt, _ tag: CInt, _ world: MPI_Comm, inout MPI_Request?) -> CInt
  ) throws {
    var request: MPI_Request? = CMPI_requestNull()
    guard let world = communicator.world else { return }
    let tag = slots[slot].tag + (slots[slot].stage.isDownward ? 1 : 0)
    try check(begin(try cCount(count, function), tag, world, &request), function)
    requests.append(request)
    slotOfRequest.append(slot)
    slots[slot].openRequests += 1
  }

  /// Lets MPI complete what it can, or at least one message, and takes the pieces concerned further.
  /// - Returns: Whether any message was completed.
  private func complete(waits: Bool) throws -> Bool {
    var count: CInt = 0
    while completed.count < requests.count { completed.append(0) }
    let open = try cCount(requests.count, "MPI_Waitsome")
    if waits {
      try check(MPI_Waitsome(open, &requests, &count, &completed, CMPI_statusesIgnore()), "MPI_Waitsome")
    } else {
      try check(MPI_Testsome(open, &requests, &count, &completed, CMPI_statusesIgnore()), "MPI_Testsome")
    }
    guard count > 0 else { return false }
    for index in completed.prefix(Int(count)) { slots[slotOfRequest[Int(index)]].openRequests -= 1 }
    var kept = 0
    for index in requests.indices where requests[index] != CMPI_requestNull() {
      requests[kept] = requests[index]
      slotOfRequest[kept] = slotOfRequest[index]
      kept += 1
    }
    requests.removeLast(requests.count - kept)
    slotOfRequest.removeLast(slotOfRequest.count - kept)
    for slot in slots.indices where slots[slot].job != nil && slots[slot].openRequests == 0 { try advance(slot) }
    try startJobs()
    return true
  }
}

/// `target[i] += values[i]`.
@inline(never)
private func addNumbers(
  _ values: UnsafePointer<Float>, to target: UnsafeMutablePointer<Float>, _ count: Int
) {
  for index in 0..<count { target[index] += values[index] }
}
