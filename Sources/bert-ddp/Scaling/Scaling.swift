import ArgumentParser
import Collectives
import Comparison
import Console
import Failures
import FoundationEssentials
import Glibc
import ScalingModel
import Training

/// `bert-ddp scaling`.
struct Scaling: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "A strong- and weak-scaling study: CSV, tables, plots, and a model that predicts.",
    discussion: """
      Trains each method on each number of ranks, several times in turn, with a
      launcher of its own, and writes scaling.csv, study.md with its plots, and a
      forecast. Started again with the same --output it goes on where it was
      stopped. What to train on are options of train; the embedded demo when
      there are none.
      Example:
        bert-ddp scaling --methods full,lora:16 --ranks 1,2,4 --max-steps 30 \\
          --output runs/study --base korean-mini --train-file train.tsv
      """)

  @OptionGroup(title: "Study") var study: StudyOptions
  @OptionGroup(title: "Forecast") var forecast: ForecastOptions
  @OptionGroup(title: "Screen") var screen: ScreenOptions
  @Argument(parsing: .allUnrecognized, help: "Options of train: --base, --train-file, ….")
  var training: [String] = []

  func validate() throws {
    try study.validate()
    try forecast.validate()
    _ = try trained()
  }

  func run() throws {
    guard Launcher.current?.processCount ?? 1 == 1 else {
      throw Failure(
        .usage, "scaling starts its own \(study.program.rawValue); call it without a launcher.")
    }
    try MPISession.run { communicator in
      let place = study.output ?? RunOptions.newDirectory("scaling")
      let screen = Screen(quiet: screen.quiet, json: screen.json)
      // A signal ends the inner job and leaves what was measured.
      communicator.watch.stallTimeout = 0
      communicator.watch.respond(.asks)
      let study = try Study(
        study, try trained().resolved(), arguments: training, place: place, screen, communicator)
      try study.measure()
      let report = try StudyReport(study, forecast, screen)
      try report.write()
      if self.screen.json { screen.json(try report.json()) }
    }
  }

  /// What is trained, by train's own rules, so that a slip shows before anything is measured.
  private func trained() throws -> Train {
    for own in ["--method", "--output", "--resume", "--log-every", "--max-steps", "--json", "--quiet"]
    where training.contains(where: { $0 == own || $0.hasPrefix(own + "=") }) {
      throw ValidationError("\(own) is the study's own; it takes --methods, --output and --max-steps")
    }
    return try Train.asked(training) { try $0.validate() }
  }
}

/// What is measured.
struct StudyOptions: ParsableArguments {
  @Option(help: "Fine-tuning methods, as for compare: full,fusion,lora:16,adapter:houlsby.")
  var methods = "full,lora:16"
  @Option(help: "Numbers of ranks.")
  var ranks = "1,2,4"
  @Option(help: "Threads a rank.")
  var threads = 1
  @Option(help: "strong (the same batch on more ranks), weak (the same batch for each rank), or both.")
  var kinds = "strong,weak"
  @Option(help: "Reviews of a step: over all ranks when strong, for each rank when weak.")
  var globalBatchSize = 32
  @Option(help: "How often each setting is measured; settings take turns.")
  var repetitions = 5
  @Option(help: "Steps that are measured.")
  var maxSteps = 30
  @Option(help: "Steps before them.")
  var warmupSteps = 5
  @Option(help: "What starts the ranks: mpirun or srun (default: srun inside a Slurm allocation).")
  var launcher: String?
  @Option(help: "Further flags of the launcher, split at spaces: \"--hostfile hosts\".")
  var mpiFlags = ""
  @Option(help: "Directory of the study (default: a new one under runs/); one that was stopped goes on.")
  var output: String?

  func validate() throws {
    func require(_ holds: Bool, _ option: String, _ found: Any, _ expected: String) throws {
      if !holds { throw ValidationError("--\(option) is \(found), expected \(expected)") }
    }
    let counts = ranks.split(separator: ",", omittingEmptySubsequences: false).map { Int($0) }
    try require(counts.allSatisfy { (1...4096).contains($0 ?? 0) }, "ranks", ranks, "numbers such as 1,2,4")
    do {
      for method in try specifications { try method.check() }
    } catch let failure as Failure {
      throw ValidationError(failure.message)
    }
    try require(!growths.isEmpty, "kinds", kinds, "strong, weak or strong,weak")
    try require((1...1024).contains(threads), "threads", threads, "a whole number from 1 to 1024")
    for (name, value) in [
      ("global-batch-size", globalBatchSize), ("repetitions", repetitions), ("max-steps", maxSteps),
    ] { try require((1...1_000_000).contains(value), name, value, "a whole number up to a million") }
    try require(
      (0...1_000_000).contains(warmupSteps), "warmup-steps", warmupSteps, "a whole number from 0 to a million")
    try require(
      launcher == nil || launcherProgram != nil, "launcher", launcher ?? "", "mpirun or srun")
  }

  fileprivate var launcherProgram: InnerJob.Launch.Program? { launcher.flatMap { .init(rawValue: $0) } }
  /// What starts the ranks.
  var program: InnerJob.Launch.Program { launcherProgram ?? InnerJob.Launch.usual }
  private var growths: [Forecast.Growth] {
    let parts = kinds.split(separator: ",", omittingEmptySubsequences: false).map {
      Forecast.Growth(rawValue: String($0))
    }
    return parts.contains(nil) ? [] : parts.compactMap { $0 }
  }
  /// What is compared.
  var specifications: [MethodSpecification] { get throws { try MethodSpecification.list(methods) } }
  /// The runs that these options ask for.
  var plan: StudyPlan {
    StudyPlan(
      methods: methods.split(separator: ",").map(String.init),
      ranks: ranks.split(separator: ",").compactMap { Int($0) },
      threads: threads, batch: globalBatchSize, growths: growths, repetitions: repetitions)
  }
}

/// What is predicted.
struct ForecastOptions: ParsableArguments {
  @Option(
    help:
      "Network to predict for: \(Network.known.map(\.name).joined(separator: ", ")), or ALPHA,BETA in seconds a message and a byte; may be given several times."
  )
  var network: [String] = ["10GbE", "100Gb-IB"]
  @Option(help: "Predict up to so many ranks.")
  var predictRanks = 1024
  @Option(help: "Ranks of a node in the forecast (default: as many as have cores here).")
  var ranksPerNode: Int?

  func validate() throws {
    for text in network where Network(text) == nil {
      throw ValidationError(
        "--network is \(text), expected \(Network.known.map(\.name).joined(separator: ", ")), or two numbers such as 3e-5,9e-10"
      )
    }
    guard (1...65_536).contains(predictRanks) else {
      throw ValidationError("--predict-ranks is \(predictRanks), expected a whole number from 1 to 65536")
    }
    guard (1...1024).contains(ranksPerNode ?? 1) else {
      throw ValidationError("--ranks-per-node is \(ranksPerNode ?? 0), expected a whole number from 1 to 1024")
    }
  }
}

extension MethodSpecification {
  /// What `train` has to be told.
  var trainArguments: [String] {
    ["--method", method] + arguments + (learningRate.map { ["--learning-rate", "\($0)"] } ?? [])
  }

  /// Refuses what `train` would refuse.
  /// - Throws: `Failure` of kind `usage`.
  fileprivate func check() throws {
    do {
      var run = try Train.parse(trainArguments).resolved()
      if method == "fusion" { run.fuse = ["a=new", "b=new"] }
      try run.validate()
    } catch let failure as Failure {
      throw Failure(.usage, "--methods has \(label): \(failure.message)")
    } catch {
      throw Failure(.usage, "--methods has \(label): \(Train.message(for: error).prefix { $0 != "\n" })")
    }
  }
}
