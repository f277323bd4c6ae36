import Checkpoints
import Collectives
import Comparison
import Console
import Failures
import FoundationEssentials
import Glibc
import JSON
import ScalingModel
import Training

/// A study in its directory: what was measured so far, and the runs that are still to do.
final class Study {
  /// What a study's runs have in common; a study can only be gone on with when all of it is the same.
  private struct Setup: Codable, Equatable {
    let training: [String]
    let threads: Int
    let warmupSteps: Int
    let maxSteps: Int
    let launcher: String
    let mpiFlags: String
    let version: String
  }

  private struct Record: Codable {
    let setup: Setup
    let environment: StudyEnvironment
  }

  let plan: StudyPlan
  let options: StudyOptions
  let place: String
  let environment: StudyEnvironment
  let configuration: TrainingConfiguration
  /// The lengths of reviews as steps take them.
  let lengths: ReviewLengths
  let loads: TokenLoads
  private(set) var runs: [StudyRun] = []

  private let screen: Screen
  private let communicator: Communicator
  private let setup: Setup
  private let lock: RunLock
  private var log: String { place + "/runs.jsonl" }

  /// Opens a study, new or begun.
  /// - Throws: `Failure` when the directory holds something else, or inputs are missing.
  init(
    _ options: StudyOptions, _ configuration: TrainingConfiguration, arguments: [String], place: String,
    _ screen: Screen, _ communicator: Communicator
  ) throws {
    (self.options, self.configuration, self.place) = (options, configuration, place)
    (self.screen, self.communicator) = (screen, communicator)
    plan = options.plan
    setup = Setup(
      training: arguments, threads: options.threads, warmupSteps: options.warmupSteps, maxSteps: options.maxSteps,
      launcher: options.program.rawValue, mpiFlags: options.mpiFlags, version: producer)
    let files = RunFiles(directory: place)
    if FileManager.default.fileExists(atPath: place), !files.has("study.json"),
      !((try? FileManager.default.contentsOfDirectory(atPath: place)) ?? []).isEmpty
    {
      throw Failure(.cannotWrite, "\(place) holds something else than a study; choose a new directory with --output.")
    }
    try files.makeDirectory()
    lock = try RunLock.take(in: place)
    lengths = try ReviewLengths(configuration)
    loads = TokenLoads(lengths.tokens, cost: lengths.cost)
    environment = StudyEnvironment(options)
    if files.has("study.json") {
      guard let record = files.read(Record.self, from: "study.json"), record.setup == setup else {
        throw Failure(
          .disagreement,
          "\(place) holds a study with other options (study.json); give those again, or choose another --output.")
      }
      if record.environment != environment {
        screen.warning("the study was begun in another environment (study.json); its points may not compare.")
      }
      runs = try Study.runs(in: log)
    } else {
      try files.write(json: Record(setup: setup, environment: environment), to: "study.json")
    }
  }

  /// The runs that a study's file has; a last line that was cut short by a kill does not count.
  private static func runs(in path: String) throws -> [StudyRun] {
    let text = (try? String(contentsOfFile: path, encoding: .utf8)) ?? ""
    return text.split(separator: "\n").compactMap {
      try? JSONValue.decode(StudyRun.self, from: Array($0.utf8), source: path)
    }
  }

  private func isDone(_ run: StudyPlan.Run) -> Bool {
    runs.contains {
      $0.method == run.method && $0.ranks == run.ranks && $0.globalBatch == run.batch
        && $0.repetition == run.repetition
    }
  }

  // MARK: Measuring

  /// Measures what is still to do.
  /// - Throws: `Failure` when a run fails, or of kind `stopped` when a signal came; what was measured stays.
  func measure() throws {
    let all = plan.runs
    let open = all.filter { !isDone($0) }
    screen.line(
      open.count == all.count
        ? "\(all.count) runs of \(options.warmupSteps) + \(options.maxSteps) steps: \(place)"
        : "going on: \(all.count - open.count) of \(all.count) runs are done: \(place)")
    if open.contains(where: { $0.method.hasPrefix("fusion") }) { try prepareAdapters() }
    let bar = screen.progress("study", total: all.count, from: all.count - open.count, unit: "runs")
    defer { bar.finish() }
    // What a kill has cut short stays a line of its own.
    if let text = try? String(contentsOfFile: log, encoding: .utf8), !text.isEmpty, !text.hasSuffix("\n") {
      _ = FileAppender(path: log)?.append(Data("\n".utf8))
    }
    for (index, run) in open.enumerated() {
      let measured = try measure(run)
      runs.append(measured)
      let line = Data((try jsonText(measured, pretty: false) + "\n").utf8)
      guard FileAppender(path: log)?.append(line) == true else {
        throw Failure(.cannotWrite, "\(log) cannot be written: check the free space and the permissions there.")
      }
      bar.update(all.count - open.count + index + 1)
      screen.line(
        "\(run.method) on \(run.ranks), batch \(run.batch), \(run.repetition) of \(plan.repetitions): \(Format.rate(measured.samplesPerSecond)) reviews/s"
      )
    }
  }

  private func measure(_ run: StudyPlan.Run) throws -> StudyRun {
    let method = try MethodSpecification(run.method)
    let fuse =
      method.method == "fusion" && configuration.fuse.isEmpty
      ? ["--fuse", preparedAdapters.joined(separator: ",")] : []
    let directory = place + "/run-\(getpid())"
    let arguments =
      ["train"] + setup.training + method.trainArguments + fuse + [
        "--quiet", "--output", directory, "--threads", "\(plan.threads)", "--global-batch-size", "\(run.batch)",
        "--max-steps", "\(options.warmupSteps + options.maxSteps)", "--untimed-steps", "\(options.warmupSteps)",
        "--log-every", "1000000", "--no-checkpoints",
      ]
    defer { try? FileManager.default.removeItem(atPath: directory) }
    let what = "\(run.method) on \(run.ranks) ranks"
    try start(arguments, ranks: run.ranks, what)
    guard let timed = RunFiles(directory: directory).read(TimedSteps.self, from: TimedSteps.file) else {
      throw Failure(.other, "\(what) wrote no times; see \(place)/run.log.")
    }
    let setting = Setting(
      method: run.method, ranks: run.ranks, threads: plan.threads, nodes: timed.nodes, batch: run.batch,
      cores: environment.coresPerNode)
    return try StudyRun(timed, setting, sequence: lengths.maxLength, repetition: run.repetition)
  }

  /// Runs a job to its end.
  private func start(_ arguments: [String], ranks: Int, _ what: String) throws {
    let launch = environment.launch(ranks: ranks, options)
    let job = try InnerJob(launch, arguments, log: place + "/run.log")
    let status = try job.wait(
      communicator.watch,
      "stopped after \(runs.count) of \(plan.runs.count) runs; the same command goes on from there (--output \(place))."
    )
    guard let status, status != 0 else { return }
    let kind = Failure.Kind(rawValue: status) ?? .other
    throw Failure(kind, "\(what) ended with status \(status): \(job.lastLine)")
  }

  // MARK: Fusion

  private var preparedAdapters: [String] { ["a", "b"].map { "\($0)=\(place)/adapters/\($0)/model.h5" } }

  /// What a fusion step takes does not depend on what its adapters have learnt, so a step of training makes them.
  private func prepareAdapters() throws {
    guard configuration.fuse.isEmpty else { return }
    for name in ["a", "b"] where !FileManager.default.fileExists(atPath: "\(place)/adapters/\(name)/model.h5") {
      screen.line("an adapter for the fusion: \(name)")
      let arguments =
        ["train"] + setup.training + [
          "--method", "adapter", "--quiet", "--output", "\(place)/adapters/\(name)", "--max-steps", "1", "--resume",
          "auto",
        ]
      try start(arguments, ranks: 1, "the adapter \(name)")
    }
  }
}
