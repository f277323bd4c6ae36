internal import CMPI
internal import Failures
internal import Glibc

/// MPI from start to end around the work of a command.
package enum MPISession {
  /// Runs the work on every rank and finalises MPI when it is done.
  ///
  /// A process that nothing launched runs alone, without starting MPI. Thread level `MPI_THREAD_MULTIPLE`: one
  /// thread calls collectives, another may end the job (`Communicator.job`).
  /// - Parameters:
  ///   - program: The name that sentences on standard error start with.
  ///   - contactPatience: After how many seconds without a word from other ranks a sentence says so.
  ///   - body: The work of one rank.
  /// - Returns: What the work returns.
  /// - Throws: What the work throws when the process runs alone. Under a launcher the error is said once on standard
  ///   error, the job ends with its exit status, and this does not return.
  package static func run<Result>(
    program: String = "bert-ddp", contactPatience: Int = 60, _ body: (Communicator) throws -> Result
  ) throws -> Result {
    guard let launcher = Launcher.current, !launcher.isAlone else {
      let alone = Communicator(program: program)
      alone.watch.start(alone.job)
      defer { alone.watch.stop() }
      return try body(alone)
    }
    if !launcher.connects { refuse(launcher, size: 1, program: program) }
    let world = try start(program: program, contactPatience)
    refuse(launcher, size: world.size, program: program)
    world.watch.start(world.job)
    do {
      let result = try body(world)
      world.watch.stop()
      try world.settle()
      try check(MPI_Finalize(), "MPI_Finalize")
      return result
    } catch {
      end(world, error)
    }
  }

  /// `MPI_Init_thread`, and the communicator of all ranks.
  private static func start(program: String, _ contactPatience: Int) throws -> Communicator {
    SharedMemory.copyThroughBuffers()
    Cores.yieldWhenCrowded()
    Signals.survivesFileSizeLimit()
    let contact = FirstContact(program: program, patience: CInt(contactPatience))
    defer { contact.stands() }
    var provided: CInt = 0
    try check(MPI_Init_thread(nil, nil, CInt(MPI_THREAD_MULTIPLE), &provided), "MPI_Init_thread")
    // Otherwise MPI ends the process itself and no error ever reaches Swift.
    try check(MPI_Comm_set_errhandler(CMPI_commWorld(), CMPI_errorsReturn()), "MPI_Comm_set_errhandler")
    return try Communicator(world: CMPI_commWorld(), program: program)
  }

  private static func end(_ world: Communicator, _ error: any Error) -> Never {
    let failure = Failure(describing: error)
    if failure == world.agreedFailure { world.job.end(agreed: failure) }
    world.job.end(failure)
  }

  /// Ends processes that are not connected: each by itself, only the first one speaks.
  private static func refuse(_ launcher: Launcher, size: Int, program: String) {
    guard let failure = launcher.mismatch(size: size) else { return }
    if (launcher.rank ?? 0) == 0 { Job.say("\(program): \(failure.message)") }
    _exit(failure.exitStatus)
  }
}

/// Says so when ranks do not reach each other: nothing else looks at the first messages between hosts, and MPI waits for
/// them for ever.
private final class FirstContact {
  private var thread: pthread_t?
  /// Closed when there is nothing to say any more.
  private var writeEnd: CInt = -1

  /// Begins to wait, on the first rank.
  /// - Parameters:
  ///   - program: Who speaks.
  ///   - patience: Seconds that a start may take without a word.
  init(program: String, patience: CInt) {
    var ends: [CInt] = [-1, -1]
    guard (Launcher.current?.rank ?? 0) == 0, pipe(&ends) == 0 else { return }
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    final class Start {
      let readEnd: CInt
      let patience: CInt
      let sentence: String
      init(_ readEnd: CInt, _ patience: CInt, _ sentence: String) {
        (self.readEnd, self.patience, self.sentence) = (readEnd, patience, sentence)
      }
    }
    let sentence =
      "\(program): ranks have not reached each other for \(patience) s; if hosts have several networks, name the right one with --mca btl_tcp_if_include NETWORK (under srun OMPI_MCA_btl_tcp_if_include=NETWORK in the environment)."
    let argument = Unmanaged.passRetained(Start(ends[0], patience, sentence)).toOpaque()
    var thread = pthread_t()
    let status = pthread_create(
      &thread, nil,
      { argument in
        guard let argument else { return nil }
        let start = Unmanaged<Start>.fromOpaque(argument).takeRetainedValue()
        var end = pollfd(fd: start.readEnd, events: 0, revents: 0)
        var count: CInt
        repeat { count = poll(&end, 1, start.patience * 1000) } while count < 0 && errno == EINTR
        if count == 0 { Job.say(start.sentence) }
        close(start.readEnd)
        return nil
      }, argument)
    if status == 0 {
      (self.thread, writeEnd) = (thread, ends[1])
    } else {
      Unmanaged<Start>.fromOpaque(argument).release()
      for end in ends { close(end) }
    }
  }

  /// Ends the waiting: the ranks have reached each other, or know that they cannot.
  func stands() {
    guard let thread else { return }
    close(writeEnd)
    pthread_join(thread, nil)
    self.thread = nil
  }
}

extension Failure {
  /// The failure that any error is.
  init(describing error: any Error) {
    self = error as? Failure ?? Failure(.other, String(describing: error))
  }
}
