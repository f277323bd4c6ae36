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

extension Failure {
  /// The failure that any error is.
  init(describing error: any Error) {
    self = error as? Failure ?? Failure(.other, String(describing: error))
  }
}
