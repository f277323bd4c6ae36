import ArgumentParser
import BERT
import Collectives
import Console
import Failures
import FineTuning
import FoundationEssentials
import Planning
import ScalingModel
import Training

/// `bert-ddp plan`.
struct Plan: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "What a run will need before it is started: memory, bytes, operations, time.",
    discussion: """
      Memory is added up from the configuration; time comes from a few steps of the
      very method and shape on this machine, with as many threads as a node's
      ranks will have. What cannot fit is refused. The run's options are those of
      train; without a data file say how many reviews there will be.
      Example:
        bert-ddp plan --ranks 4 --base bert-base-multilingual-cased --method full \\
          --reviews 150000 --mean-tokens 20
      """)

  @Option(help: "Ranks in all (default: as many as have cores here).")
  var ranks: Int?
  @Option(help: "Nodes that they are on.")
  var nodes = 1
  @Option(help: "Cores of a node (default: those of this one).")
  var coresPerNode: Int?
  @Option(help: "Memory of a node in GiB (default: that of this one).")
  var memoryPerNode: Double?
  @Option(help: "Network between nodes, by name or as ALPHA,BETA.")
  var network = "10GbE"
  @Option(help: "Reviews of an epoch, when there is no --train-file yet.")
  var reviews: Int?
  @Option(help: "Tokens of such a review on average.")
  var meanTokens = 20.0
  @Flag(help: "Measure nothing: memory, bytes and operations only.")
  var noCalibration = false
  @OptionGroup var screen: ScreenOptions
  @Argument(parsing: .allUnrecognized, help: "Options of train: --base, --method, --threads, ….")
  var training: [String] = []

  func validate() throws {
    func require(_ holds: Bool, _ option: String, _ found: Any, _ expected: String) throws {
      if !holds { throw ValidationError("--\(option) is \(found), expected \(expected)") }
    }
    try require((1...65_536).contains(ranks ?? 1), "ranks", ranks ?? 0, "a whole number from 1 to 65536")
    try require((1...65_536).contains(nodes), "nodes", nodes, "a whole number from 1 to 65536")
    try require((ranks ?? nodes) >= nodes, "nodes", nodes, "no more than there are ranks")
    try require(
      (1...4096).contains(coresPerNode ?? 1), "cores-per-node", coresPerNode ?? 0, "a whole number from 1 to 4096")
    let most = 1_000_000_000.0
    try require(
      (memoryPerNode ?? 1) > 0 && (memoryPerNode ?? 1) <= most, "memory-per-node", memoryPerNode ?? 0, "GiB, above 0")
    try require(Network(network) != nil, "network", network, "a name such as 10GbE, or two numbers such as 3e-5,9e-10")
    try require((1...1_000_000_000).contains(reviews ?? 1), "reviews", reviews ?? 0, "a whole number from 1")
    try require(meanTokens >= 3 && meanTokens < 100_000, "mean-tokens", meanTokens, "3 or more")
    _ = try Train.asked(training) { _ in }
  }

  func run() throws {
    try MPISession.run { communicator in
      let screen = screen.opened(on: communicator)
      try communicator.collectively(where: communicator.isFirst) {
        let plan = try RunPlan(request())
        if self.screen.json {
          screen.json(try jsonText(PlanReport(plan).summary))
        } else {
          PlanReport(plan).show(on: screen)
        }
      }
    }
  }

  private func request() throws -> RunPlan.Request {
    var run = try Train.asked(training) { _ in }.resolved()
    var shape = try run.base.map { try Base(opening: $0).configuration }
    let lengths: ReviewLengths
    if run.trainFile == nil, let shape = shape ?? (reviews == nil ? nil : Methods.multilingual) {
      // A plan needs no data file: `train` would.
      guard let reviews else {
        throw Failure(.usage, "plan needs the reviews: pass --train-file, or --reviews and --mean-tokens.")
      }
      if !run.asksForMaxLength { run.maxLength = min(run.maxLength, shape.positionCount) }
      try run.validate(needsFiles: false)
      try shape.require(maxLength: run.maxLength)
      lengths = ReviewLengths(
        madeUp: min(reviews, run.trainLimit ?? reviews), meanLength: meanTokens, maxLength: run.maxLength, shape)
    } else {
      try run.validate()
      let steps = run.maxSteps.map { min($0, 200_000) * min(run.reviewsPerStep, 200_000) }
      lengths = try ReviewLengths(run, limit: min(200_000, max(1, steps ?? 200_000)))
      run.maxLength = lengths.maxLength
    }
    shape = shape ?? lengths.configuration
    var configuration = shape ?? lengths.configuration
    configuration.labelCount = run.labelCount
    configuration.precision = run.precision
    if !noCalibration { try run.precision.check() }
    let cores = coresPerNode ?? Cores.physical
    guard let link = Network(network) else { throw Failure(.usage, "--network is \(network).") }
    return RunPlan.Request(
      run, configuration, lengths, ranks: ranks ?? max(nodes, nodes * cores / run.threads), nodes: nodes, cores: cores,
      memoryBytes: memoryPerNode.map { Int($0 * 0x1p30) } ?? Training.memoryBytes,
      network: link, measures: !noCalibration)
  }
}

/// A plan as people and programs read it.
struct PlanReport {
  let plan: RunPlan

  init(_ plan: RunPlan) { self.plan = plan }

  private var request: RunPlan.Request { plan.request }
  private var placement: Placement {
    Placement(
      ranks: (request.ranks + request.nodes - 1) / request.nodes, threads: request.run.threads, cores: request.cores)
  }

  func show(on screen: Screen) {
    let run = request.run
    screen.result(
      "\(run.method) on \(run.base ?? "the embedded demo"): \(Format.count(request.ranks, of: "rank")) × \(Format.count(run.threads, of: "thread")) on \(Format.count(request.nodes, of: "node")), batch \(run.globalBatchSize)"
    )
    screen.result(
      "training \(Format.count(plan.trainableCount)) of \(Format.count(plan.totalCount)) parameters (\(Format.percent(Double(plan.trainableCount) / Double(plan.totalCount))))"
    )
    screen.result("")
    screen.result(memoryTable, heading: "memory, added up from the configuration")
    screen.result("")
    screen.result(stepTable, heading: plan.time == nil ? "a step" : "a step; times are estimates from \(measured)")
    screen.result("")
    for line in advice { screen.result(line) }
  }

  private var memoryTable: Table {
    var table = Table([Table.Column("what", .leading), "bytes", Table.Column("one for each", .leading)])
    for part in plan.memory.parts where part.bytes > 0 {
      table.add(part.name, Format.bytes(part.bytes), part.owner.rawValue)
    }
    table.add("a rank, private", Format.bytes(plan.memory.privateBytes()), "")
    table.add("rank 0, private", Format.bytes(plan.memory.privateBytes(ofFirst: true)), "")
    table.add("shared by the ranks of a node", Format.bytes(plan.memory.sharedBytes), "")
    table.add("a node of \(plan.memory.ranksPerNode) ranks", Format.bytes(plan.memory.nodeBytes), "")
    table.add("of", Format.bytes(request.memoryBytes), "")
    return table
  }

  private var measured: String {
    guard let time = plan.time else { return "nothing" }
    let c = time.calibration
    return
      "steps of this method that were just run here (\(Format.fixed(c.gigaflops, digits: 0)) GFLOP/s a thread, \(Format.percent(c.gigaflops / c.sgemmGigaflops, digits: 0)) of sgemm's \(Format.fixed(c.sgemmGigaflops, digits: 0)))"
  }

  private var stepTable: Table {
    var table = Table([Table.Column("what", .leading), Table.Column("how much", .leading)])
    table.add("gradients to reduce", "\(Format.bytes(plan.bytesPerStep)) a rank")
    table.add("operations in products", "\(Format.fixed(plan.operationsPerStep / 1e9, digits: 1)) GFLOP")
    guard let time = plan.time else { return table }
    func milliseconds(_ seconds: Double) -> String { Format.fixed(seconds * 1e3, digits: 1) + " ms" }
    table.add(
      "computing", "\(milliseconds(time.step.compute)), of which the optimiser \(milliseconds(time.optimizerSeconds))")
    if request.ranks > 1 {
      let link = RunPlan.withinNode
      table.add(
        "moving gradients",
        "\(milliseconds(time.step.communication)), assuming \(Format.fixed(1e-9 / link.secondsPerByte, digits: 1)) GB/s between ranks of a node"
          + (request.nodes > 1 ? " and \(request.network.name) between nodes" : ""))
    }
    table.add("a step", milliseconds(time.step.total))
    table.add("an epoch", "\(Format.duration(time.epochSeconds)), \(Format.count(time.stepsPerEpoch)) steps")
    table.add(
      "all", "\(Format.duration(time.seconds)), \(Format.count(time.steps)) steps, without evaluation and checkpoints")
    return table
  }

  /// How to start it here.
  private var advice: [String] {
    var lines: [String] = []
    if placement.isOversubscribed {
      let better = placement.fitting
      lines.append(
        "advice: \(Format.count(placement.ranks, of: "rank")) × \(Format.count(placement.threads, of: "thread")) share \(Format.count(placement.cores, of: "core")) of a node; as fast, in less memory: \(Format.count(better.ranks, of: "rank")) × \(better.threads)"
      )
    } else if placement.ranks * placement.threads < placement.cores {
      lines.append(
        "advice: \(placement.cores - placement.ranks * placement.threads) of \(placement.cores) cores of a node have nothing to do; "
          + "up to \(placement.fitting.ranks) ranks have cores")
    }
    let chosen = placement.isOversubscribed ? placement.fitting : placement
    var all = chosen
    if request.nodes > 1 { all = Placement(ranks: chosen.ranks * request.nodes, threads: chosen.threads, cores: .max) }
    lines.append("start: \(all.command("bert-ddp train …"))")
    return lines
  }

  /// For programs.
  var summary: Summary {
    let run = request.run
    return Summary(
      method: run.method, ranks: request.ranks, nodes: request.nodes, threads: run.threads,
      trainable: plan.trainableCount, total: plan.totalCount, privateBytes: plan.memory.privateBytes(),
      firstBytes: plan.memory.privateBytes(ofFirst: true), sharedBytes: plan.memory.sharedBytes,
      nodeBytes: plan.memory.nodeBytes, bytesPerStep: plan.bytesPerStep, operations: plan.operationsPerStep,
      stepSeconds: plan.time?.step.total, epochSeconds: plan.time?.epochSeconds, seconds: plan.time?.seconds,
      steps: plan.time?.steps)
  }

  struct Summary: Encodable {
    let method: String
    let ranks: Int, nodes: Int, threads: Int, trainable: Int, total: Int
    let privateBytes: Int, firstBytes: Int, sharedBytes: Int, nodeBytes: Int, bytesPerStep: Int
    let operations: Double
    let stepSeconds: Double?, epochSeconds: Double?, seconds: Double?
    let steps: Int?

    private enum CodingKeys: String, CodingKey {
      case method, ranks, nodes, threads, steps
      case trainable = "trainable_parameters", total = "total_parameters", privateBytes = "private_bytes_per_rank"
      case firstBytes = "private_bytes_of_rank_0", sharedBytes = "shared_bytes_per_node", nodeBytes = "bytes_per_node"
      case bytesPerStep = "all_reduce_bytes_per_step", operations = "operations_per_step"
      case stepSeconds = "step_seconds", epochSeconds = "epoch_seconds", seconds = "total_seconds"
    }
  }
}
