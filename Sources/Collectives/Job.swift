internal import CMPI
package import Failures
internal import Glibc
internal import Synchronization

/// The running job as seen by one rank: how to end all of it at once, from any thread.
///
/// A rank that fails must not finalise MPI: it would wait for ranks that wait for it. It says one sentence and calls
/// `MPI_Abort`, which ends every rank and becomes mpirun's own exit status.
package struct Job: Sendable {
  /// The name that the sentence starts with.
  package let program: String
  /// This process among all.
  package let rank: Int
  /// How many processes there are.
  package let size: Int
  let usesMPI: Bool
  /// Whether ending the job has to reach other hosts, which takes longer.
  let hasOtherHosts: Bool
  /// Where the node's ranks see that this one is ending the job.
  let board: Board

  private static let isEnding = Atomic<Bool>(false)
  private static let lastResort = Atomic<Int32>(1)

  /// Says one sentence on standard error and ends every rank of the job; safe on any thread, also while another one
  /// is inside a collective (MPI is initialised with `MPI_THREAD_MULTIPLE`).
  ///
  /// Ranks above 0 name themselves and hold their tongue for a moment: when all meet the same error at the same time,
  /// rank 0 says it and ends them before they repeat it.
  /// - Parameter failure: Its exit status becomes that of mpirun.
  package func end(_ failure: Failure) -> Never {
    let patience = rank == 0 ? 0 : (hasOtherHosts ? 3 : 1.5) + 0.05 * Double(min(rank, 14))
    stop(failure, sentence: rank > 0 ? "rank \(rank): \(failure.message)" : failure.message, after: patience)
  }

  /// Ends the job for a failure that every rank knows and is about to end the job for: rank 0 says it.
  func end(agreed failure: Failure) -> Never {
    // The others leave it to rank 0; they are still here after five seconds only if it cannot, or waits for the checkpoint
    // that it writes.
    let patience = board[board.own, .writing] == 1 ? Stall.mourningInSave : 5
    stop(failure, sentence: failure.message, after: rank == 0 ? 0 : patience)
  }

  private func stop(_ failure: Failure, sentence: String, after seconds: Double) -> Never {
    // One thread ends the job; another that comes meanwhile waits to be ended with it.
    if Job.isEnding.exchange(true, ordering: .acquiringAndReleasing) { while true { sleep(60) } }
    board[board.own, .ending] = 2
    // From here on a signal of mpirun, which is how the others are ended, ends this rank at once.
    for signalNumber in [SIGTERM, SIGINT, SIGUSR1, SIGHUP] { signal(signalNumber, SIG_DFL) }
    usleep(UInt32(seconds * 1e6))
    // `MPI_Abort(256)` would tell mpirun that all is well.
    let status = (1...125).contains(failure.exitStatus) ? failure.exitStatus : 1
    // A terminal that is held (Ctrl-S) takes no sentence.
    Job.leaveAnyway(status: status, after: 10)
    Job.say("\(program): \(sentence)")
    fflush(nil)
    LauncherHold.end()
    if hasOtherHosts { LauncherHold.endSoon() }
    if usesMPI {
      Job.muteBanner()
      MPI_Abort(CMPI_commWorld(), status)
    }
    _exit(status)
  }

  /// Writes one line to standard error, whole, without the locks of stdio (another thread may hold them).
  static func say(_ line: String) {
    var rest = Array((line + "\n").utf8)[...]
    while !rest.isEmpty {
      let written = rest.withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress, $0.count) }
      if written < 0 && errno == EINTR { continue }
      guard written > 0 else { return }
      rest = rest.dropFirst(written)
    }
  }

  /// Should writing, flushing or `MPI_Abort` hang, this process still leaves.
  private static func leaveAnyway(status: Int32, after seconds: UInt32) {
    lastResort.store(status, ordering: .releasing)
    var action = sigaction()
    action.__sigaction_handler.sa_handler = { _ in _exit(Job.lastResort.load(ordering: .acquiring)) }
    action.sa_flags = SA_ONSTACK
    sigaction(SIGALRM, &action, nil)
    alarm(seconds)
  }

  /// Keeps Open MPI from adding six lines of "MPI_ABORT was invoked" to our sentence.
  ///
  /// It is what `mpirun --quiet` sets, but from here on only, so that what Open MPI has to say earlier is heard.
  private static func muteBanner() {
    guard getenv("OMPI_MCA_orte_execute_quiet") == nil else { return }
    dlsym(nil, "orte_execute_quiet")?.storeBytes(of: true, as: Bool.self)
  }
}
