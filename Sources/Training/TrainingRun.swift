internal import Checkpoints
package import Collectives
package import Console
internal import Datasets
internal import Failures
internal import FineTuning
internal import Kernels
internal import Metrics
internal import TensorBoard
internal import Tensors

/// A training run from its configuration to its results: the same code on every rank, rank 0 speaks and writes.
package final class TrainingRun {
  let run: TrainingConfiguration
  let communicator: Communicator
  let screen: Screen
  private let files: RunFiles
  /// What this rank's time goes into.
  let clock = StepClock(in: .preparation)
  /// What this rank records beside the results.
  private let recorder: RunRecorder

  private let pool: WorkerPool
  let inputs: RunInputs
  let objective: any Objective
  private let training: TrainingExamples
  /// The examples of the epoch under way.
  private var examples: EncodedReviews
  let validation: EncodedReviews?
  let test: EncodedReviews?
  private let isInTraining: [Bool]
  private let report: DatasetReport
  let model: ModelState
  private let frozen: FrozenOutputs?
  let replica: Replica
  let passes: StepPasses
  let optimizer: Optimizer
  let order: SampleOrder
  private let schedule: LearningRateSchedule
  private let checkpoint: TrainingCheckpoint
  /// Held by rank 0.
  private let directory: RunDirectory?
  /// What TensorBoard reads, on rank 0.
  private var events: EventFile?
  let writer: CheckpointWriter
  var state = RunState()
  var reviews: [Int] = []
  /// Asked at moments when a run holds most: in its passes, after an epoch, after an evaluation.
  var memory = MemoryPeak()
  /// How many steps were done in this process.
  var stepsHere = 0
  /// The longest step so far, in seconds.
  var longestStep = 0.0
  /// What was evaluated last, on every rank.
  var evaluated: (split: String, step: Int)?
  /// The step that the run returned to for its result, if that is not the last one.
  var resultStep: Int?
  /// Its figures, on rank 0.
  var lastEvaluation: EvaluationEvent?
  /// What the last evaluation on test reviews found, on rank 0.
  var lastTest: Evaluation?
  /// What was sent before this run, by others of the same program.
  private let sentBefore: CollectiveStatistics

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
    forgetPeakResidentBytes()
    self.communicator = communicator
    self.screen = screen
    sentBefore = communicator.statistics
    communicator.watch.stallTimeout = run.stallTimeout
    communicator.watch.resumeAdvice = run.resumeAdvice
    let precision = run.precision
    try communicator.collectively { try precision.check() }
    files = RunFiles(directory: run.output)
    directory = try communicator.collectively(where: communicator.isFirst) {
      try RunDirectory(run.output, screen)
    }
    if !multipliesCorrectly(.openBLAS) {
      throw Failure(
        .other,
        "OpenBLAS computes wrong products on this processor (\(blasDescription())); set OPENBLAS_CORETYPE=Haswell and start again."
      )
    }
    try RunAgreement.onProducts(communicator, screen)
    inputs = try RunInputs(&run, communicator)
    let method = try run.fineTuningMethod()
    if run.cacheFrozen == true { _ = try FrozenOutputs.layerCount(method, inputs.configuration) }
    try RunAgreement.onContents(run, method, inputs, communicator)
    run.learningRate = run.learningRate ?? method.defaultLearningRate
    let resolved = run
    pool = try WorkerPool(count: run.threads)
    let encoder = TextEncoder(
      tokenizer: inputs.tokenizer, maxLength: resolved.maxLength, communicator: communicator, pool: pool)
    (report, isInTraining) = DatasetReport.examine(
      training: inputs.training, test: inputs.test, classCount: run.labelCount)
    let objective = try resolved.objective(inputs.tokenizer, isInTraining: isInTraining)
    self.objective = objective
    training = try objective.examples(inputs.training, encoder)
    examples = training.first
    validation = try inputs.validation.map { try objective.heldOut($0, encoder) }
    test = try inputs.test.map { try objective.heldOut($0, encoder) }
    order = training.order(run)
    let steps = run.epochs * order.stepsPerEpoch(reviewsPerStep: run.reviewsPerStep)
    totalSteps = min(steps, run.maxSteps ?? steps)
    schedule = LearningRateSchedule(run, totalSteps: totalSteps)
    checkpoint = TrainingCheckpoint(
      configuration: run, base: inputs.baseIdentity, dataSHA256: inputs.dataSHA256)
    self.run = run
    recorder = RunRecorder(run, communicator, clock)

    let resume = ResumePlan(run, checkpoint, communicator, screen)
    let from = try resume.checkpointPath()
    model = try ModelState(
      base: inputs.base, names: inputs.tensorNames, inputs.configuration, method, seed: run.seed,
      sources: try TrainingRun.sources(inputs, from, communicator),
      training: ModelMemory.Training(run, training.first, ranks: communicator.size), communicator)
    frozen =
      run.cacheFrozen != true
      ? nil
      : try FrozenOutputs(
        method, inputs.configuration, training.first, computesAlone: run.deterministic, communicator)
    replica = try Replica(
      method, inputs.configuration, model.store, pool, seed: run.seed, maxLength: run.maxLength, frozen: frozen,
      stepShare: run.deterministic
        ? nil : Replica.StepShare(reviews: run.reviewsPerStep, of: training.first, ranks: communicator.size))
    let exchange = GradientExchange(
      communicator, model.store.table, replica.stages, isSharded: run.shardOptimizer)
    optimizer = try Optimizer(
      model.store, Optimizer.Settings(run), tiles: exchange.optimizerTiles,
      overwritten: run.deterministic ? [] : replica.overwritten)
    passes = StepPasses(
      replica, optimizer, exchange, method, communicator, clock, reviewsPerPass: training.reviewsPerPass(run),
      isDeterministic: run.deterministic)
    writer = CheckpointWriter(
      checkpoint, directory: run.output, keep: run.keepCheckpoints, communicator.watch)
    state.validationSHA256 = inputs.validationSHA256
    if let from {
      try goBack(to: from)
    } else {
      (state.products, state.totalSteps) = (RunAgreement.products(run.precision), totalSteps)
    }
    // Reading and cutting reviews took memory that the C library keeps for the next time, which does not come.
    returnFreedMemory()
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

  private func goBack(to path: String) throws {
    try communicator.collectively(where: true) {
      state = try TrainingCheckpoint.read(path, model, optimizer)
      try state.requireSame(validation: inputs.validationSHA256, path)
      // An epoch that --max-steps cut short is gone on with, unless this run is over there as well.
      let isWhole = state.step % order.stepsPerEpoch(reviewsPerStep: run.reviewsPerStep) == 0
      if state.goesOn(to: totalSteps), !isWhole, state.epochs.last?.step == state.step { state.epochs.removeLast() }
      // A step that was left out changed nothing.
      optimizer.resume(after: state.step - state.skippedSteps)
    }
    state.validationSHA256 = inputs.validationSHA256
    try takeCheckpointsAlong(from: path)
    screen.line("going on from step \(state.step) of \(totalSteps): \(path)")
    let goesOn = state.goesOn(to: totalSteps)
    RunAgreement.onProducts(since: &state, run.precision, goesOn: goesOn, screen)
    if goesOn { schedule.warn(ofAnother: state.totalSteps, at: state.step, warmupRatio: run.warmupRatio, screen) }
    state.totalSteps = totalSteps
  }

  // MARK: The run

  /// Trains, evaluates, writes; every rank calls it.
  /// - Parameter singles: The results of the adapters that were trained for this run's fusion.
  /// - Returns: The results, on rank 0.
  /// - Throws: The same `Failure` on all ranks.
  func train(beside singles: [SingleAdapterResults] = []) throws -> RunResults? {
    defer {
      // Whatever ends the run, a checkpoint that is on its way is the one to go on from.
      try? writer.finish()
      pool.close()
      recorder.finish(screen)
    }
    try RunReport(screen).opening(run, inputs, report, model, training.first, totalSteps, communicator)
    if let frozen { screen.line(frozen.summary) }
    try communicator.collectively(where: communicator.isFirst) {
      directory?.use()
      try files.write(json: StoredConfiguration(run, inputs, communicator), to: "config.json")
      try files.startMetrics(
        keepingStepsTo: state.step > 0 ? state.step : nil, isValidated: state.validatedStep == state.step)
      if run.tensorboard == true { events = try EventFile(in: run.output + "/tensorboard", after: state.step) }
    }
    if run.writesCheckpoints { try RunNodes.warnOfHidden(run.output, communicator, screen) }
    communicator.watch.respond(.asks)
    // What a stop has kept from being done.
    if state.step > 0, validation != nil { try validateIfDue() }
    while state.goesOn(to: totalSteps) { try trainEpoch() }
    try returnToBest()
    if let test, evaluated?.split != "test" || evaluated?.step != state.step { try evaluate(test, "test") }
    // Where there is nothing else, the result's figures are those of the validation that chose it.
    if test == nil, let validation, evaluated?.split != "validation" || evaluated?.step != state.step {
      try evaluate(validation, "validation", isRecorded: false)
    }
    communicator.watch.enter(.finishing)
    try communicator.collectively(where: communicator.isFirst) {
      try writer.finish()
      if run.writesCheckpoints { try objective.writeResult(model, checkpoint, inputs) }
    }
    let results = try finish(singles)
    try recorder.writeTimes(files)
    try model.free()
    try frozen?.free()
    return results
  }

  private func trainEpoch() throws {
    let perEpoch = order.stepsPerEpoch(reviewsPerStep: run.reviewsPerStep)
    let epoch = state.step / perEpoch
    examples = training.epoch(epoch)
    let end = min((epoch + 1) * perEpoch, totalSteps)
    let bar = screen.progress(
      "epoch \(epoch + 1)/\(run.epochs)", total: training.count, from: state.epochReviews)
    defer { bar.finish() }
    var window = Window(began: clock.times)
    let began = clock.times
    while state.step < end, !state.hasStoppedEarly {
      let sums = try step()
      bar.update(state.epochReviews, loss: sums.loss / Double(sums.targets))
      window.add(sums)
      if state.step % run.logEvery == 0 || state.step == end { try log(&window) }
      if state.step == end { break }
      try validateIfDue()
      if state.hasStoppedEarly { break }
      if let every = run.checkpointEvery, state.step % every == 0 { try save() }
      if sums.needsAttention { try attend() }
    }
    bar.finish()
    try endEpoch(epoch, began)
  }

  /// What one step adds up, over all ranks.
  private struct StepSums {
    var loss: Double
    var reviews: Int
    var tokens: Int
    var targets: Int
    var norm: Double
    var rate: Double
    var seconds: Double
    var needsAttention: Bool
  }

  private func step() throws -> StepSums {
    clock.enter(.compute)
    recorder.stepBegins(state.step + 1)
    let start = monotonicSeconds()
    order.reviews(of: order.step(state.step, reviewsPerStep: run.reviewsPerStep), into: &reviews)
    examples.weighSentences(of: reviews)
    let sums = try passes.run(reviews, of: examples, step: state.step) {
      wantsAttention() || isCheckpointDue || writer.hasNews
    }
    let rate = schedule.rate(at: state.step)
    let isFinite = sums.loss.isFinite && sums.norm.isFinite
    if isFinite {
      try passes.update(norm: sums.norm, learningRate: rate, defers: true)
    } else {
      let event = try leaveOut(loss: sums.loss, norm: sums.norm)
      passes.leaveOut()
      try record(.skipped(event))
    }
    clock.enter(.inputOutput)
    let seconds = monotonicSeconds() - start
    longestStep = max(longestStep, seconds)
    state.step += 1
    stepsHere += 1
    if stepsHere == 3 { memory.sample() }
    state.epochReviews += reviews.count
    state.epochTargets += isFinite ? sums.targets : 0
    state.epochTokens += sums.tokens
    state.epochSeconds += seconds
    recorder.stepEnds(reviews: reviews.count, tokens: sums.tokens)
    // A step that was left out counts as seen; its loss is no number to add up.
    let loss = isFinite ? sums.loss : 0
    state.epochLoss += loss
    state.windowLoss += loss
    state.windowTargets += isFinite ? sums.targets : 0
    return StepSums(
      loss: loss, reviews: reviews.count, tokens: sums.tokens, targets: sums.targets,
      norm: isFinite ? sums.norm : 0, rate: rate,
      seconds: seconds, needsAttention: sums.needsAttention)
  }

  // MARK: Figures

  /// What was timed since the last `step` event, in this process; the loss, which is resumed, is in the state.
  private struct Window {
    var reviews = 0
    var tokens = 0
    var seconds = 0.0
    var norm = 0.0
    var rate = 0.0
    /// What this rank's clock said at its start.
    let began: PhaseTimes

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
      loss: state.windowLoss / Double(max(1, state.windowTargets)),
      learningRate: window.rate, gradientNorm: window.norm,
      reviewsPerSecond: Double(window.reviews) / max(window.seconds, 1e-9),
      tokensPerSecond: Double(window.tokens) / max(window.seconds, 1e-9),
      phases: clock.times - window.began)
    recorder.logs(event)
    try record(.step(event))
    (state.windowLoss, state.windowTargets) = (0, 0)
    window = Window(began: clock.times)
  }

  /// Only rank 0 writes; a disk that is full is learnt of by all at the next checkpoint or at the end.
  func record(_ event: RunEvent) throws {
    guard communicator.isFirst else { return }
    try files.append(event)
    try events?.append(event.scalars, step: event.step)
  }

  private func endEpoch(_ epoch: Int, _ began: PhaseTimes) throws {
    passes.settle()
    let event = EpochEvent(
      epoch: epoch + 1, step: state.step, loss: state.epochLoss / Double(max(1, state.epochTargets)),
      trainSeconds: state.epochSeconds, reviewsPerSecond: Double(state.epochReviews) / state.epochSeconds,
      tokensPerSecond: Double(state.epochTokens) / state.epochSeconds, phases: clock.times - began)
    try record(.epoch(event))
    state.epochs.append(event)
    if state.step % order.stepsPerEpoch(reviewsPerStep: run.reviewsPerStep) == 0 {
      (state.epochLoss, state.epochTargets, state.epochSeconds) = (0, 0, 0)
      (state.epochReviews, state.epochTokens) = (0, 0)
    }
    // Before the validation: on many reviews it takes long enough to be cut off, and is done again then.
    try save()
    try validateIfDue()
    memory.sample()
    // Without validation reviews the test reviews show how it goes.
    if validation == nil, run.evaluateEvery == nil, let test { try evaluate(test, "test") }
    RunReport(screen).epoch(event, of: run.epochs, lastEvaluation.flatMap { $0.step == state.step ? $0 : nil })
  }

  // MARK: Files

  /// What the collective layer counted; a run that goes on where nothing is left to train has it from before.
  var bytesPerStep: Int? {
    let sent = (communicator.statistics - sentBefore)[.allReduceFloats]
    return stepsHere > 0 ? sent.bytes / stepsHere : state.allReduceBytesPerStep
  }

  private func finish(_ singles: [SingleAdapterResults]) throws -> RunResults? {
    let peaks = try communicator.allGather([Int64(peakResidentBytes())]).map { Int($0.first ?? 0) }
    let held = try memory.gather(communicator)
    let phases = try communicator.allGather(clock.times.values).map(PhaseTimes.init)
    let results = try communicator.collectively(where: communicator.isFirst) {
      if let test, let lastTest {
        let predictions = ReviewPredictions(lastTest, of: test, isInTraining: isInTraining)
        try files.write(text: predictions.text, to: ReviewPredictions.fileName)
      }
      let results = RunResults(
        run, state, lastEvaluation, inputs, model, worldSize: communicator.size,
        allReduceBytesPerStep: bytesPerStep ?? 4 * model.store.table.trainableCount,
        peakResidentBytes: peaks, held: held, phases: phases, totalSteps: totalSteps, singles: singles)
      try files.write(json: results, to: "results.json")
      return results
    }
    if let results { RunReport(screen).closing(run, results) }
    return results
  }
}
