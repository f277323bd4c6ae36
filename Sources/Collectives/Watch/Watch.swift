internal import Failures
internal import Glibc
internal import Synchronization

/// What the ranks are doing, for the sentence about one that is missing.
package enum Activity: Int, Sendable {
  /// Before training: files are read, the model is filled.
  case preparing
  /// Forward and backward passes of a step.
  case computing
  /// Adding up gradients over all ranks.
  case summing
  /// Passes of an evaluation.
  case evaluating
  /// Writing a checkpoint.
  case saving
  /// After training: results are written.
  case finishing

  /// Disks may be slow without anything being wrong, and in an evaluation ranks hear of each other only at its end: a host
  /// that is done with its share waits for a slower one.
  var isPatient: Bool { self == .preparing || self == .evaluating || self == .saving || self == .finishing }

  var words: String {
    switch self {
    case .preparing: "preparing"
    case .computing: "the passes"
    case .summing: "the sum of gradients"
    case .evaluating: "the evaluation"
    case .saving: "the checkpoint"
    case .finishing: "writing results"
    }
  }
}

/// A rank's look at itself and its neighbours, on a thread of its own, ten times a second.
///
/// It turns signals into a wish to stop that training asks for after each step, and ends the job when a neighbour is gone or
/// nothing moves any more: Open MPI itself waits for ever for a rank that is stopped or stuck.
package final class Watch: @unchecked Sendable {
  /// What a signal does.
  package enum Response: Int, Sendable {
    /// There is nothing to save: the job ends at once.
    case ends
    /// The work under way asks `wantsStop` and ends in good order.
    case asks
  }

  /// How often it looks, in seconds.
  static let interval = 0.1
  /// How much longer than otherwise files and evaluations may take.
  package static let patience = 6.0
  /// Signals within so many seconds are one wish to stop: Slurm sends SIGTERM to ranks itself, to what started them, which
  /// passes it on, and with preemption all of it twice.
  static let burst = 5.0

  let board: Board
  /// When the program began, in seconds of the clock that only goes forward.
  package let began = Communicator.now()
  private let limit = Atomic<Int>(600)
  private let response = Atomic<Int>(0)
  private let stops = Atomic<Int>(0)
  private let advice = Mutex("--resume auto")
  private let isOver = Atomic<Bool>(false)
  private var thread: pthread_t?

  /// Why the time limit of this rank ends the run, or a test does; set once.
  private let ownReason = Atomic<Int>(0)

  init(_ board: Board) { self.board = board }

  // MARK: What the work tells

  /// Seconds without progress after which the job ends; 0 for never.
  package var stallTimeout: Int {
    get { limit.load(ordering: .relaxed) }
    set { limit.store(newValue, ordering: .relaxed) }
  }

  /// What a person adds to the command line to go on, for the sentences that end a job; from any thread.
  package var resumeAdvice: String {
    get { advice.withLock { $0 } }
    set { advice.withLock { $0 = newValue } }
  }

  /// What a signal does from here on.
  package func respond(_ how: Response) { response.store(how.rawValue, ordering: .releasing) }

  /// Says what comes now; step 0 is outside training.
  package func enter(_ activity: Activity, step: Int = 0) {
    board[board.own, .step] = step
    board[board.own, .activity] = activity.rawValue
    board.count(.beats)
  }

  /// Whether rank 0 writes a checkpoint beside the steps, as far as this rank knows; from any thread. A rank that is gone
  /// does not end the job then before the checkpoint had its time.
  package var isWriting: Bool {
    get { board[board.own, .writing] == 1 }
    set { board[board.own, .writing] = newValue ? 1 : 0 }
  }

  /// Says that work goes on; from any thread.
  package func beat() { board.count(.beats) }

  /// Says that this rank has come to a collective.
  func arrives() { board.count(.collectives) }

  // MARK: What the work asks

  /// Whether a signal, or the time limit, asks this rank or a neighbour on its node to stop.
  package var wantsStop: Bool {
    stops.load(ordering: .acquiring) > 0 || (0..<board.lineCount).contains { board[$0, .ending] == 1 }
  }

  /// Why this rank is to stop: `SIGTERM`, `--max-minutes`; nil when it was not itself asked to.
  package var stopReason: String? {
    guard stops.load(ordering: .acquiring) > 0 else { return nil }
    return ownReason.load(ordering: .acquiring) == 1 ? "--max-minutes" : Signals.firstArrival?.name
  }

  /// Asks for the stop as a signal does, because the time is up.
  package func timeIsUp() {
    ownReason.store(1, ordering: .releasing)
    askForStop()
  }

  private func askForStop() {
    stops.store(1, ordering: .releasing)
    board[board.own, .ending] = max(1, board[board.own, .ending])
  }

  // MARK: The thread

  /// Begins to look; once.
  func start(_ job: Job) {
    Signals.install()
    // A process alone waits for nobody: until it trains, it may take as long as it takes.
    if job.size == 1 { stallTimeout = 0 }
    final class Start {
      let watch: Watch
      let job: Job
      init(_ watch: Watch, _ job: Job) { (self.watch, self.job) = (watch, job) }
    }
    var thread = pthread_t()
    let argument = Unmanaged.passRetained(Start(self, job)).toOpaque()
    let status = pthread_create(
      &thread, nil,
      { argument in
        guard let argument else { return nil }
        let start = Unmanaged<Start>.fromOpaque(argument).takeRetainedValue()
        start.watch.look(start.job)
        return nil
      }, argument)
    if status == 0 { self.thread = thread } else { Unmanaged<Start>.fromOpaque(argument).release() }
  }

  /// Ends the thread: what comes now is MPI's own end.
  func stop() {
    board[board.own, .ending] = 3
    isOver.store(true, ordering: .releasing)
    if let thread { pthread_join(thread, nil) }
    thread = nil
  }

  private func look(_ job: Job) {
    var seen = 0
    var firstSignal: Double?
    var stall = Stall(board)
    var last = Communicator.now()
    while !isOver.load(ordering: .acquiring) {
      usleep(UInt32(Watch.interval * 1e6))
      board.count(.ticks)
      let now = Communicator.now()
      // A job that was suspended as a whole wakes up to a clock that jumped; that is no stall.
      stall.pass(seconds: min(now - last, 1))
      last = now
      let arrived = Signals.arrivalCount
      if arrived > seen {
        heed(job, since: now - (firstSignal ?? now))
        firstSignal = firstSignal ?? now
      }
      seen = arrived
      if let sentence = stall.loss(ranks: job.size, advice: resumeAdvice) { job.end(Failure(.stopped, sentence)) }
      let timeout = stallTimeout
      if timeout > 0,
        let sentence = stall.sentence(after: Double(timeout), ranks: job.size, advice: resumeAdvice)
      {
        job.end(Failure(.stopped, sentence))
      }
    }
  }

  /// Acts on a signal.
  /// - Parameters:
  ///   - job: The job, which it may end.
  ///   - since: Seconds since the first one.
  private func heed(_ job: Job, since: Double) {
    guard let first = Signals.firstArrival else { return }
    // mpirun sends SIGTERM when it ends the job, because it was told to or because a rank is lost.
    func isLaunchersEnd(_ arrival: Signals.Arrival?) -> Bool {
      arrival.map { $0.number == SIGTERM && LauncherProcess.current?.process == $0.sender } ?? false
    }
    if since > Watch.burst {
      if isLaunchersEnd(first) { return }
      job.end(
        Failure(.stopped, "stopped at once by a second signal; go on from the last checkpoint with \(resumeAdvice)."))
    }
    // mpirun may have been told beside its ranks.
    let isLaunchersEnd = isLaunchersEnd(Signals.latestTermination)
    guard Response(rawValue: response.load(ordering: .acquiring)) == .asks else {
      // Whoever told mpirun needs no sentence, and a lost rank has had one.
      if isLaunchersEnd {
        board[board.own, .ending] = 2
        _exit(Failure.Kind.stopped.rawValue)
      }
      job.end(Failure(.stopped, "stopped by \(first.name) before there was anything to save; start again."))
    }
    if isLaunchersEnd, !job.hasOtherHosts, neighboursLive { LauncherHold.begin() }
    askForStop()
  }

  /// Whether no rank of the node is lost or ending the job.
  private var neighboursLive: Bool {
    (0..<board.lineCount).allSatisfy {
      board[$0, .ending] != 2 && ProcessState.of(board[$0, .process]) == .running
    }
  }
}
