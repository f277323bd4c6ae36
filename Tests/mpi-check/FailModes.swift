import Collectives
import Failures
import Glibc

/// Work on a thread beside the one that calls collectives, as a watchdog is.
private func afterwards(seconds: Double, _ work: @escaping @Sendable () -> Void) {
  final class Box: Sendable {
    let seconds: Double
    let work: @Sendable () -> Void
    init(_ seconds: Double, _ work: @escaping @Sendable () -> Void) {
      (self.seconds, self.work) = (seconds, work)
    }
  }
  var thread = pthread_t()
  pthread_create(
    &thread, nil,
    { box in
      guard let box else { return nil }
      let job = Unmanaged<Box>.fromOpaque(box).takeRetainedValue()
      usleep(UInt32(job.seconds * 1e6))
      job.work()
      return nil
    }, Unmanaged.passRetained(Box(seconds, work)).toOpaque())
}

/// One rank of a working job fails in a chosen way; the others go on to a barrier where they would wait for ever.
func fail(_ words: ArraySlice<String>, on world: Communicator) throws {
  guard let rank = words.first.flatMap({ Int($0) }), let kind = words.dropFirst().first, rank < world.size
  else {
    throw Failure(.usage, "mpi-check fail RANK KIND")
  }
  let isIt = world.rank == rank
  let failure = Failure(.badContent, "train.tsv, line 3: the label is 'x', expected 0 or 1")
  _ = try world.sum(of: 1)
  switch kind {
  case "throw": if isIt { throw failure }
  case "throw-all": throw failure
  case "agreed": try world.collectively { if isIt { throw failure } }
  case "agreed-one": try world.collectively(where: isIt) { throw failure }
  case "disagree": try world.agree(on: ["seed": isIt ? "1" : "0"])
  case "stubborn":
    for number in [SIGTERM, SIGINT] { signal(number) { _ in } }
    if isIt { throw failure }
    while true { sleep(60) }
  case "talkative":
    if isIt {
      for line in 0..<100_000 { print("line \(line)") }
      throw failure
    }
  case "watchdog-away":
    // The rank never comes; its own watchdog says so.
    let job = world.job
    if isIt {
      afterwards(seconds: 0.5) { job.end(Failure(.stopped, "no progress in step 7")) }
      while true { sleep(60) }
    }
  case "watchdog-inside":
    // The rank waits in a collective for another that never comes; its watchdog says so.
    let job = world.job
    if isIt { afterwards(seconds: 0.5) { job.end(Failure(.stopped, "no progress in step 7")) } }
    if world.rank == (rank + 1) % world.size { while true { sleep(60) } }
  case "slow-evaluation":
    // Its share takes it longer than the stall timeout; then it comes.
    world.watch.stallTimeout = 1
    world.watch.enter(.evaluating)
    if isIt { sleep(3) }
    try world.barrier()
    try world.collectively(where: isIt) { throw failure }
  case "signals":
    let wrong = try isIt ? productsBesideSignals(world) : 0
    try world.collectively(where: isIt) { throw wrong == 0 ? failure : Failure(.other, "\(wrong) products are wrong") }
  default: try failByHand(kind, isIt, world)
  }
  try world.barrier()
  while true { sleep(60) }
}

/// Ways that no error goes: the process just ends.
private func failByHand(_ kind: String, _ isIt: Bool, _ world: Communicator) throws {
  switch kind {
  case "hang": break
  case "exit-3": if isIt { exit(3) }
  case "exit-0": if isIt { _exit(0) }
  case "kill": if isIt { kill(getpid(), SIGKILL) }
  case "term": if isIt { kill(getpid(), SIGTERM) }
  case "write-frozen":
    let window = try SharedWindow<Float>(count: 1000, on: world)
    try window.fill { $0.update(repeating: 1) }
    if isIt { UnsafeMutablePointer(mutating: window.pointer.baseAddress)?.pointee = 2 }
  case "big-window":
    // Not a failure of ours: more is asked for than the shared memory of a container has.
    try fillWindow(world, mebibytes: 200)
  case "window":
    try fillWindow(world, mebibytes: 40)
  default: throw Failure(.usage, "mpi-check fail: there is no '\(kind)'")
  }
}

/// Fills a window, says how that went, and stops.
private func fillWindow(_ world: Communicator, mebibytes: Int) throws {
  let window = try SharedWindow<Float>(count: mebibytes << 18, on: world)
  try window.fill { $0.update(repeating: 1) }
  let wrong = try world.sum(of: window.pointer.allSatisfy { $0 == 1 } ? 0 : 1)
  let how = window.isShared ? "shared" : "copied"
  if world.isFirst { print("\(how), \(wrong) wrong, \(window.note ?? "no note")") }
  throw Failure(.stopped, "done")
}
