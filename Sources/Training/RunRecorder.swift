internal import Collectives
internal import Console
internal import FoundationEssentials
internal import Glibc

/// What a rank records of a run beside its results, where that is asked for: a trace, a log of its own, times for studies.
final class RunRecorder {
  private let run: TrainingConfiguration
  private let communicator: Communicator
  private let trace: Trace?
  private var timer: StepTimer
  private var stepBegan = 0.0
  private var log: RankLog?

  /// Begins to listen to a rank's clock and collectives.
  init(_ run: TrainingConfiguration, _ communicator: Communicator, _ clock: StepClock) {
    (self.run, self.communicator) = (run, communicator)
    timer = StepTimer(untimed: run.untimedSteps ?? 0, clock)
    trace = run.trace ? Trace(rank: communicator.rank) : nil
    guard let trace else { return }
    clock.observer = { phase, began, ended in trace.add(phase.traceName, .phases, began: began, ended: ended) }
    communicator.observer = { kind, began, ended, bytes in
      trace.add(kind.traceName, .collectives, began: began, ended: ended, bytes: bytes)
    }
  }

  /// Says that a step begins, counted from 1.
  func stepBegins(_ step: Int) {
    if run.logRanks, log == nil { log = RankLog(run.output, communicator) }
    if run.untimedSteps != nil { timer.begin(communicator) }
    guard let trace else { return }
    trace.step = step
    stepBegan = monotonicSeconds()
  }

  /// Says that it is done.
  func stepEnds(reviews: Int, tokens: Int) {
    if run.untimedSteps != nil { timer.end(reviews: reviews, tokens: tokens) }
    trace?.add("step", .steps, began: stepBegan, ended: monotonicSeconds())
  }

  /// Takes the figures of some steps into this rank's log.
  func logs(_ event: StepEvent) { log?.write(event) }

  /// Writes what was timed, for a study; collective.
  /// - Throws: The same `Failure` on all ranks.
  func writeTimes(_ files: RunFiles) throws {
    guard run.untimedSteps != nil else { return }
    let timed = try timer.gather(communicator)
    try communicator.collectively(where: communicator.isFirst) { try files.write(json: timed, to: TimedSteps.file) }
  }

  /// Writes the trace, however the run ends. A trace is not worth a run, so what goes wrong is only said.
  func finish(_ screen: Screen) {
    communicator.observer = nil
    log?.write("the end")
    do { try trace?.write(to: run.output) } catch { screen.warning("\(error)") }
  }
}

/// A rank's own log, `log-RANK.txt`: where it runs, and what its time went into.
private struct RankLog: ~Copyable {
  private let file: FileAppender

  /// nil where no file can be written: a log is not worth a run.
  init?(_ directory: String, _ communicator: Communicator) {
    guard let file = FileAppender(path: "\(directory)/log-\(communicator.rank).txt") else { return nil }
    self.file = file
    write(
      "rank \(communicator.rank) of \(communicator.size), \(communicator.localRank) of \(communicator.localSize) on \(hostName()), process \(getpid()), processors \(Cores.allowed.map(String.init).joined(separator: ","))"
    )
  }

  /// A line with the time of day, in UTC.
  func write(_ text: String) {
    var (now, parts) = (timespec(), tm())
    clock_gettime(CLOCK_REALTIME, &now)
    gmtime_r(&now.tv_sec, &parts)
    func two(_ value: Int) -> String { value < 10 ? "0\(value)" : "\(value)" }
    let time = [parts.tm_hour, parts.tm_min, parts.tm_sec].map { two(Int($0)) }.joined(separator: ":")
    _ = file.append(Data("\(time) \(text)\n".utf8))
  }

  func write(_ event: StepEvent) {
    let phases = Phase.allCases.filter { event.phases[$0] > 0 }
      .map { "\($0.traceName) \(Format.fixed(event.phases[$0], digits: 3)) s" }.joined(separator: ", ")
    write("step \(event.step): loss \(Format.figure(event.loss, digits: 4)); \(phases)")
  }
}

extension Phase {
  /// Without an allocation.
  fileprivate var traceName: StaticString {
    switch self {
    case .preparation: "preparation"
    case .compute: "compute"
    case .waiting: "waiting"
    case .communication: "communication"
    case .optimizer: "optimizer"
    case .inputOutput: "input/output"
    case .evaluation: "evaluation"
    }
  }
}

extension CollectiveStatistics.Kind {
  fileprivate var traceName: StaticString {
    switch self {
    case .allReduceFloats: "sum of gradients"
    case .allReduceDoubles: "sum of losses"
    case .allReduceIntegers: "sum of counts"
    case .broadcast: "broadcast"
    case .gather: "gather"
    case .barrier: "barrier"
    case .agreement: "agreement"
    case .window: "frozen block"
    case .parameters: "parameters"
    }
  }
}
