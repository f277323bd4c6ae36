internal import Checkpoints
package import Collectives
package import Console
internal import Datasets
internal import Failures
internal import FineTuning
internal import Glibc
internal import Kernels
internal import Metrics
internal import Tensors

/// A training run from its configuration to its results: the same code on every rank, rank 0 speaks and writes.
package final class TrainingRun {
  private var run: TrainingConfiguration
  private let communicator: Communicator
  private let screen: Screen
  private let files: RunFiles

  private let pool: WorkerPool
  private let inputs: RunInputs
  private let training: EncodedReviews
  private let validation: EncodedReviews?
  private let test: EncodedReviews?
  private let isInTraining: [Bool]
  private let report: DatasetReport
  private let model: ModelState
  private let replica: Replica
  private let optimizer: Optimizer
  private let lookedUp: LookedUpRows
  private let exchange: GradientExchange
  private let order: SampleOrder
  private let schedule: LearningRateSchedule
  private let checkpoint: TrainingCheckpoint
  /// Held by rank 0.
  private let directory: RunDirectory?
  private var state = RunState()
  private var reviews: [Int] = []
  /// How many steps were done in this process.
  private var stepsHere = 0
  /// What was evaluated last, on every rank.
  private var evaluated: (split: String, step: Int)?
  /// Its figures, on rank 0.
  private var lastEvaluation: EvaluationEvent?

  /// How many optimiser steps the run has in all.
  package let totalSteps: Int

  /// Prepares a run: reads and checks all inputs, fills the model, goes back to a checkpoint where one is asked for.
  /// - Parameters:
  ///   - configuration: Every option.
  ///   - communicator: All ranks.
  ///   - screen: What rank 0 shows; silent on others.
  /// - Throws: The same `Failure` on all ranks.
  package init(_ configuration: TrainingConfiguration, _ communicator: Communicator, _ screen: Screen) throws {
    var run = configuration
    try run.validate()
    self.communicator = communicator
    self.screen = screen
    files = RunFiles(directory: run.output)
    directory = try communicator.collectively(where: communicator.isFirst) { try RunDirectory(run.output) }
    if !blasIsCorrect() {
      throw Failure(
        .other,
        "OpenBLAS computes wrong products on this processor (\(blasDescription())); set OPENBLAS_CORETYPE=Haswell and start again."
      )
    }
    inputs = try RunInputs(&run, communicator)
    let method = try run.fineTuningMethod()
    run.learningRate = run.learningRate ?? method.defaultLearningRate
    let resolved = run
    pool = WorkerPool(count: run.threads)
    let encode = { [inputs, pool] (dataset: Dataset) in
      try EncodedReviews(dataset, inputs.tokenizer, maxLength: resolved.maxLength, communicator, pool)
    }
    training = try encode(inputs.training)
    validation = try inputs.validation.map(encode)
    test = try inputs.test.map(encode)
    (report, isInTraining) = DatasetReport.examine(
      training: inputs.training, test: inputs.test, classCount: run.labelCount)
    order = SampleOrder(count: training.count, seed: run.seed)
    let steps = run.epochs * order.stepsPerEpoch(reviewsPerStep: run.reviewsPerStep)
    totalSteps = min(steps, run.maxSteps ?? steps)
    schedule = LearningRateSchedule(
      shape: run.lrSchedule, peak: run.learningRate ?? 0,
      warmupSteps: Int(run.warmupRatio * Double(totalSteps)),
      totalSteps: totalSteps)
    checkpoint = TrainingCheckpoint(
      configuration: run, baseSHA256: inputs.baseSHA256, dataSHA256: inputs.dataSHA256)
    self.run = run

    let resume = ResumePlan(run, checkpoint, communicator, screen)
    let from = try resume.checkpointPath()
    try TrainingRun.agree(run, inputs, from, communicator)
    model = try ModelState(
      base: inputs.base, names: inputs.tensorNames, inputs.configuration, method, seed: run.seed,
      sources: try TrainingRun.sources(inputs, from, communicator), threads: run.threads,
      tokensPerPass: TrainingRun.tokensPerPass(run, training, communicator), communicator)
    replica = Replica(
      method, inputs.configuration, model.store, pool, seed: run.seed, maxLength: run.maxLength)
    var settings = Optimizer.Settings()
    (settings.beta1, settings.beta2, settings.epsilon) = (run.adamBeta1, run.adamBeta2, run.adamEpsilon)
    settings.weightDecay = run.weightDecay
    settings.maxGradientNorm = run.maxGradNorm > 0 ? run.maxGradNorm : nil
    optimizer = Optimizer(model.store, settings)
    lookedUp = LookedUpRows(model.store.table)
    exchange = GradientExchange(communicator)
    if let from { try goBack(to: from) }
  }

  /// How many tokens a thread has at once, on average.
  private static func tokensPerPass(
    _ run: TrainingConfiguration, _ training: EncodedReviews, _ communicator: Communicator
  ) -> Int {
    let reviews = Double(run.globalBatchSize) / Double(communicator.size * run.threads)
    let tokens = reviews * Double(training.tokenCount) / Double(max(1, training.count))
    return min(Replica.tokensPerPass(maxLength: run.maxLength), Int(tokens))
  }

  /// What comes before the base: the checkpoint to go on from, then adapters.
  private static func sources(
    _ inputs: RunInputs, _ from: String?, _ communicator: Communicator
  ) throws -> [any ParameterSource] {
    let checkpoint = try communicator.collectively(where: inputs.base != nil) {
      try from.map { try OpenTensorFile($0, as: [.checkpoint]) }
    }
    return (checkpoint.flatMap { $0 }.map { [$0] } ?? []) + inputs.adapters
  }

  private static func agree(
    _ run: TrainingConfiguration, _ inputs: RunInputs, _ from: String?, _ communicator: Communicator
  ) throws {
    var values = try run.identity()
    values["base"] = inputs.baseSHA256
    values["training data"] = inputs.dataSHA256
    values["threads"] = "\(run.threads)"
    values["checkpoint"] = from ?? ""
    values["version"] = version
    try communicator.agree(on: values)
  }

  private func goBack(to path: String) throws {
    try communicator.collectively(where: true) {
      state = try TrainingCheckpoint.read(path, model, optimizer)
      optimizer.resume(after: state.step)
    }
    screen.line("going on from step \(state.step) of \(totalSteps): \(path)")
  }

  // MARK: The run

  /// Trains, evaluates, writes; every rank calls it.
  /// - Parameter singles: The results of the adapters that were trained for this run's fusion.
  /// - Returns: The results, on rank 0.
  /// - Throws: The same `Failure` on all ranks.
  func train(beside singles: [SingleAdapterResults] = []) throws -> RunResults? {
    defer { pool.close() }
    RunReport(screen).opening(run, inputs, report, model, training, totalSteps, communicator)
    try communicator.collectively(where: communicator.isFirst) {
      directory?.use()
      try files.write(json: StoredConfiguration(run, inputs, communicator), to: "config.json")
      try files.startMetrics(keepingStepsTo: state.step > 0 ? state.step : nil)
    }
    while state.step < totalSteps { try trainEpoch() }
    if let test, evaluated?.split != "test" || evaluated?.step != state.step { try evaluate(test, "test") }
    try communicator.collectively(where: communicator.isFirst) {
      try checkpoint.writeModel(to: run.output + "/model.h5", model)
    }
    let results = try finish(singles)
    try model.free()
    return results
  }

  private func trainEpoch() throws {
    let perEpoch = order.stepsPerEpoch(reviewsPerStep: run.reviewsPerStep)
    let epoch = state.step / perEpoch
    let end = min((epoch + 1) * perEpoch, totalSteps)
    let bar = screen.progress(
      "epoch \(epoch + 1)/\(run.epochs)", total: training.count, from: state.epochReviews)
    defer { bar.finish() }
    var window = Window()
    while state.step < end {
      let sums = try step()
      bar.update(state.epochReviews, loss: sums.loss / Double(sums.reviews))
      window.add(sums)
      if state.step % run.logEvery == 0 || state.step == end { try log(&window) }
      if state.step == end { break }
      if let every = run.checkpointEvery, state.step % every == 0 { try save() }
    }
    bar.finish()
    try endEpoch(epoch, isWhole: end == (epoch + 1) * perEpoch)
  }

  /// What one step adds up, over all ranks.
  private struct StepSums {
    var loss: Double
    var reviews: Int
    var tokens: Int
    var norm: Double
    var rate: Double
    var seconds: Double
  }

  private func step() throws -> StepSums {
    let start = monotonicSeconds()
    let step = order.step(state.step, reviewsPerStep: run.reviewsPerStep)
    order.reviews(of: step, into: &reviews)
    let touched = lookedUp.stretches(of: reviews, in: training)
    var own = Worker.Tally()
    for first in stride(from: 0, to: reviews.count, by: run.globalBatchSize) {
      let pass = replica.addGradients(
        reviews[first..<min(first + run.globalBatchSize, reviews.count)], of: training, step: state.step,
        touched: touched, rank: communicator.rank, size: communicator.size)
      own.loss += pass.loss
      own.reviews += pass.reviews
      own.tokens += pass.tokens
    }
    try exchange.sum(replica.gradients, touched: touched)
    var sums = [own.loss, Double(own.reviews), Double(own.tokens)]
    try sums.withUnsafeMutableBufferPointer { try communicator.allReduceSum($0) }
    precondition(Int(sums[1]) == reviews.count, "every review of a step is computed exactly once")
    guard let gradients = replica.gradients.baseAddress else { throw Failure(.other, "no gradients") }
    model.method.addRegularizationGradient(
      to: gradients, of: model.store, reviewCount: reviews.count, step: state.step)
    let norm = optimizer.norm(of: gradients, count: reviews.count, touched: touched, pool: pool)
    guard sums[0].isFinite, norm.isFinite else { throw notFinite(loss: sums[0], norm: norm) }
    let rate = schedule.rate(at: state.step)
    optimizer.step(
      gradients, count: reviews.count, norm: norm, learningRate: rate, touched: touched, pool: pool)
    let seconds = monotonicSeconds() - start
    state.step += 1
    stepsHere += 1
    state.epochLoss += sums[0]
    state.epochReviews += reviews.count
    state.epochTokens += Int(sums[2])
    state.epochSeconds += seconds
    state.windowLoss += sums[0]
    state.windowReviews += reviews.count
    return StepSums(
      loss: sums[0], reviews: reviews.count, tokens: Int(sums[2]), norm: norm, rate: rate, seconds: seconds)
  }

  private func notFinite(loss: Double, norm: Double) -> Failure {
    let what = loss.isFinite ? "the gradient's norm is \(norm)" : "the loss is \(loss)"
    let lines = reviews.prefix(8).map { "\(inputs.training.line($0))" }.joined(separator: ", ")
    return Failure(
      .notFinite,
      "\(what) at step \(state.step + 1) (lines \(lines)\(reviews.count > 8 ? ", …" : "") of \(inputs.training.name)); lower --learning-rate, or go on from the last checkpoint with --resume auto."
    )
  }

  // MARK: Figures

  /// What was timed since the last `step` event, in this process; the loss, which is resumed, is in the state.
  private struct Window {
    var reviews = 0
    var tokens = 0
    var seconds = 0.0
    var norm = 0.0
    var rate = 0.0

    mutating func add(_ sums: StepSums) {
      reviews += sums.reviews
      tokens += sums.tokens
      seconds += sums.seconds
      (norm, rate) = (sums.norm, sums.rate)
    }
  }

  private func log(_ window: inout Window) throws {
    let perEpoch = Double(order.stepsPerEpoch(reviewsPerStep: run.reviewsPerStep))
    let event = StepEvent(
      step: state.step, epoch: Double(state.step) / perEpoch,
      loss: state.windowLoss / Double(max(1, state.windowReviews)),
      learningRate: window.rate, gradientNorm: window.norm,
      reviewsPerSecond: Double(window.reviews) / max(window.seconds, 1e-9),
      tokensPerSecond: Double(window.tokens) / max(window.seconds, 1e-9))
    try record(.step(event))
    (state.windowLoss, state.windowReviews) = (0, 0)
    window = Window()
  }

  /// Only rank 0 writes; a disk that is full is learnt of by all at the next checkpoint or at the end.
  private func record(_ event: RunEvent) throws {
    if communicator.isFirst { try files.append(event) }
  }

  private func endEpoch(_ epoch: Int, isWhole: Bool) throws {
    let event = EpochEvent(
      epoch: epoch + 1, step: state.step, loss: state.epochLoss / Double(max(1, state.epochReviews)),
      trainSeconds: state.epochSeconds, reviewsPerSecond: Double(state.epochReviews) / state.epochSeconds,
      tokensPerSecond: Double(state.epochTokens) / state.epochSeconds)
    try record(.epoch(event))
    state.epochs.append(event)
    (state.epochLoss, state.epochReviews, state.epochTokens, state.epochSeconds) = (0, 0, 0, 0)
    try save()
    let evaluated =
      try validation.map { try evaluate($0, "validation") } ?? test.map { try evaluate($0, "test") }
    RunReport(screen).epoch(event, of: run.epochs, evaluated ?? nil)
  }

  @discardableResult
  private func evaluate(_ data: EncodedReviews, _ split: String) throws -> Evaluation? {
    let evaluation = try Evaluator(replica, classes: run.labelCount, communicator, screen)
      .evaluate(data, name: split, isInTraining: split == "test" ? isInTraining : [])
    evaluated = (split, state.step)
    guard let evaluation else { return nil }
    let event = EvaluationEvent(
      split: split, step: state.step, epoch: state.epochs.count, seconds: evaluation.seconds,
      summary: evaluation.summary)
    try record(.evaluation(event))
    lastEvaluation = event
    return evaluation
  }

  // MARK: Files

  private func save() throws {
    try communicator.collectively(where: communicator.isFirst) {
      let path = run.output + "/" + TrainingCheckpoint.name(step: state.step)
      try checkpoint.write(to: path, state, model, optimizer)
      _ = try CheckpointFiles(in: run.output).rotate(keeping: run.keepCheckpoints, knownValid: state.step)
    }
  }

  private func finish(_ singles: [SingleAdapterResults]) throws -> RunResults? {
    let peaks = try communicator.allGather([Int64(peakResidentBytes())]).map { Int($0.first ?? 0) }
    let sent = communicator.statistics[.allReduceFloats]
    let results = try communicator.collectively(where: communicator.isFirst) {
      let results = RunResults(
        run, state, lastEvaluation, inputs, model, worldSize: communicator.size,
        // What the collective layer counted; nothing was sent when there was nothing left to train.
        allReduceBytesPerStep: stepsHere > 0
          ? sent.bytes / stepsHere : 4 * model.store.table.trainableCount,
        peakResidentBytes: peaks, totalSteps: totalSteps, singles: singles)
      try files.write(json: results, to: "results.json")
      return results
    }
    if let results { RunReport(screen).closing(run, results) }
    return results
  }
}
