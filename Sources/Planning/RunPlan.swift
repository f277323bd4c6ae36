package import BERT
internal import Failures
internal import FineTuning
package import ScalingModel
internal import Tensors
package import Training

/// What a run will need: memory, bytes between ranks, operations, time.
package struct RunPlan: Sendable {
  /// What is planned.
  package struct Request: Sendable {
    /// Every option of the run.
    package var run: TrainingConfiguration
    /// The base's shape, with the run's number of classes.
    package var configuration: BERTConfiguration
    /// The reviews, read or made up.
    package var reviews: ReviewLengths
    /// Ranks in all.
    package var ranks: Int
    /// Nodes.
    package var nodes: Int
    /// Cores of a node.
    package var cores: Int
    /// Bytes of memory of a node.
    package var memoryBytes: Int
    /// Between nodes.
    package var network: Network
    /// Whether a few steps are run to find out how long they take.
    package var measures: Bool

    /// A request.
    package init(
      _ run: TrainingConfiguration, _ configuration: BERTConfiguration, _ reviews: ReviewLengths, ranks: Int,
      nodes: Int, cores: Int, memoryBytes: Int, network: Network, measures: Bool
    ) {
      (self.run, self.configuration, self.reviews, self.ranks) = (run, configuration, reviews, ranks)
      (self.nodes, self.cores, self.memoryBytes) = (nodes, cores, memoryBytes)
      (self.network, self.measures) = (network, measures)
    }

    var ranksPerNode: Int { (ranks + nodes - 1) / nodes }
  }

  /// How long it takes.
  package struct Time: Sendable {
    /// A step in parts, in seconds.
    package let step: StepModel.Step
    /// The optimiser's part of computing, in seconds.
    package let optimizerSeconds: Double
    /// Steps of an epoch.
    package let stepsPerEpoch: Int
    /// Steps in all.
    package let steps: Int
    /// What was measured for it.
    package let calibration: Calibration
    /// An epoch of training, without evaluation and checkpoints, in seconds.
    package var epochSeconds: Double { Double(stepsPerEpoch) * step.total }
    /// All of training, in seconds.
    package var seconds: Double { Double(steps) * step.total }
  }

  /// The request.
  package let request: Request
  /// Trained numbers.
  package let trainableCount: Int
  /// All numbers.
  package let totalCount: Int
  /// What is held.
  package let memory: MemoryPlan
  /// Bytes of gradients that a rank hands to the all-reduce in a step.
  package let bytesPerStep: Int
  /// Floating-point operations of a step over all ranks, in matrix products.
  package let operationsPerStep: Double
  /// How long it takes; nil when nothing was measured.
  package let time: Time?

  /// Plans a run.
  /// - Throws: `Failure` when options do not fit, or the run does not fit into memory.
  package init(_ request: Request) throws {
    let run = request.run
    let method = try FineTuningMethods.planned(run.method, run.methodOptions, fused: max(2, run.fuse.count))
    let table = try method.table(for: request.configuration)
    self.request = request
    (trainableCount, totalCount) = (table.trainableCount, table.count)
    let reviews = request.reviews
    let workers = request.ranks * run.threads
    let loads = TokenLoads(reviews.tokens, cost: reviews.cost)
    let load = loads.load(
      batch: run.globalBatchSize, workers: workers, steps: 0..<max(1, min(64, 4096 / run.globalBatchSize)))
    // What the largest step of an epoch has, as far as one pass goes.
    let steps = min(1000, max(1, reviews.reviewCount / run.globalBatchSize))
    let tokensPerPass = min(
      Replica.tokensPerPass(maxLength: reviews.maxLength),
      loads.largest(batch: run.globalBatchSize, workers: workers, steps: 0..<steps))
    let stepShare = Replica.StepShare(reviews: run.reviewsPerStep, of: reviews, ranks: request.ranks)
    let setting = { (arena: Int?) in
      MemoryPlan.Setting(
        method, request.configuration, ranks: request.ranks, ranksPerNode: request.ranksPerNode, threads: run.threads,
        tokensPerPass: tokensPerPass, stepShare: stepShare, reviews: reviews, decays: run.weightDecay != 0,
        shardsOptimizer: run.shardOptimizer,
        shardBuffers: run.shardBuffers(ranks: request.ranks),
        keptBytesLimit: run.cacheFrozen == true ? request.memoryBytes / 2 : nil,
        arenaBytes: arena)
    }
    // Before anything is measured, and so allocated.
    let estimate = try MemoryPlan(setting(nil))
    try RunPlan.refuse(estimate, request, trainableCount)
    let operations = try OperationCount(method, request.configuration)
    let mean =
      Double(reviews.tokens.reduce(0) { $0 + Int(operations.operations(tokens: $1)) }) / Double(reviews.tokens.count)
    operationsPerStep = mean * Double(run.reviewsPerStep)
    bytesPerStep = RunPlan.bytes(table, reviews, perStep: run.reviewsPerStep)
    guard request.measures else {
      (memory, time) = (estimate, nil)
      return
    }
    let busy = min(request.ranksPerNode * run.threads, request.cores)
    let calibration = try Calibration(
      method, request.configuration, threads: max(1, busy),
      reviewsPerThread: min(64, max(1, run.globalBatchSize / workers)), reviews: reviews,
      isOneRank: request.ranksPerNode == 1 && !run.deterministic)
    let isEvaluated = run.testFile != nil || run.validationFile != nil || run.validationFraction != nil
    let arena = Int(calibration.arenaBytesPerToken * Double(tokensPerPass))
    memory = try MemoryPlan(setting(isEvaluated ? max(arena, calibration.evaluationArenaBytes) : arena))
    try RunPlan.refuse(memory, request, trainableCount)
    let stepped = Double(memory.steppedCount) / Double(max(1, trainableCount))
    time = RunPlan.time(request, calibration, load, bytes: bytesPerStep, stepped: stepped)
  }

  /// What a node does not have room for is not begun.
  private static func refuse(_ memory: MemoryPlan, _ request: Request, _ trained: Int) throws {
    guard memory.nodeBytes > request.memoryBytes else { return }
    func gigabytes(_ bytes: Int) -> String { "\((Double(bytes) / 0x1p30 * 10).rounded() / 10) GiB" }
    let each = memory.privateBytes()
    let fitting = (1..<memory.ranksPerNode).last { memory.nodeBytes(ranks: $0) <= request.memoryBytes } ?? 0
    throw Failure(
      .other,
      "the ranks of a node, \(request.ranksPerNode) with --threads \(request.run.threads), need \(gigabytes(memory.nodeBytes)) (\(gigabytes(each)) a rank, \(gigabytes(memory.sharedBytes)) shared), and it has \(gigabytes(request.memoryBytes)); "
        + (fitting > 0
          ? "use at most \(fitting) on a node."
          : "choose a smaller model, fewer --threads, or a method that trains less."))
  }

  /// All trained numbers but the rows of embeddings that a step does not have.
  private static func bytes(_ table: ParameterTable, _ reviews: ReviewLengths, perStep: Int) -> Int {
    guard let looked = table.lookedUp else {
      return 4 * table.trainableCount
    }
    let tokens = Double(reviews.tokens.reduce(0, +)) / Double(reviews.tokens.count) * Double(perStep)
    // Of the tokens of a step about six tenths are different ones, as far as there are so many.
    let rows = min(Double(looked.rows), Double(reviews.distinctTokenCount), 0.6 * tokens)
    return 4 * (table.trainableCount - looked.count + Int(rows) * looked.columns)
  }

  private static func time(
    _ request: Request, _ calibration: Calibration, _ load: TokenLoads.Load, bytes: Int, stepped: Double
  ) -> Time {
    let run = request.run
    var model = StepModel()
    // A rank steps along a share of what is trained, and its threads share that out.
    let optimizer = stepped * calibration.optimizerSeconds / Double(run.threads)
    let passes = Double(run.accumulationSteps)
    model.methods[run.method] = StepModel.Method(
      fixedSeconds: passes * calibration.secondsPerStep + optimizer,
      secondsPerToken: passes * calibration.secondsPerToken,
      fixedBytes: Double(bytes), bytesPerToken: 0)
    model.within = RunPlan.withinNode
    let setting = Setting(
      method: run.method, ranks: request.ranks, threads: run.threads, nodes: request.nodes,
      batch: run.globalBatchSize, cores: request.cores)
    let step =
      model.step(setting, load: load, between: request.network.link)
      ?? StepModel.Step(compute: 0, communication: 0, waiting: 0)
    let perEpoch = (request.reviews.reviewCount + run.reviewsPerStep - 1) / run.reviewsPerStep
    let all = run.epochs * perEpoch
    return Time(
      step: step, optimizerSeconds: optimizer, stepsPerEpoch: perEpoch, steps: min(all, run.maxSteps ?? all),
      calibration: calibration)
  }

  /// Between two ranks of a node through Open MPI's shared buffers, as measured on the machines that this was written on;
  /// a study (`scaling`) fits a machine's own.
  package static let withinNode = Link(latency: 5e-6, secondsPerByte: 1 / 5e9)
}
