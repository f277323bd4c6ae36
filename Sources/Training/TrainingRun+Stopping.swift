internal import Collectives
internal import Console
internal import Datasets
internal import Failures

/// Checkpoints, and how a run ends before it is done. All ranks decide alike: what one of them wants is added up with
/// the sums of each step.
extension TrainingRun {
  /// Seconds that rank 0 wants to have left when the time is up, for a step and a checkpoint.
  var reserve: Double { writer.estimate(model) + 2 * longestStep + 1 }

  /// Whether rank 0 has written nothing for so long that a lost node would take much along.
  var isCheckpointDue: Bool {
    let minutes = run.checkpointMinutes ?? 15
    return communicator.isFirst && run.writesCheckpoints && minutes > 0
      && monotonicSeconds() - writer.begun > 60 * minutes
  }

  /// Whether this rank wants all of them to `attend`: a signal has come, the time is nearly up, a checkpoint failed.
  /// - Parameter reserve: Rank 0's `reserve`, where ranks go on without hearing of each other and each has to look at
  ///   the time; nil where it is rank 0 that does.
  /// - Returns: Whether it does.
  func wantsAttention(reserve: Double? = nil) -> Bool {
    let watch = communicator.watch
    if !watch.wantsStop, let minutes = run.maxMinutes,
      let reserve = communicator.isFirst ? self.reserve : reserve,
      monotonicSeconds() - watch.began + reserve > 60 * minutes
    {
      watch.timeIsUp()
    }
    return watch.wantsStop || writer.hasFailed
  }

  /// Does what some rank wanted attention for: a stop, a checkpoint whose time has come, or news of one; collective.
  /// - Throws: The same `Failure` on all ranks: `cannotWrite` when a checkpoint failed, `stopped` when the run is to stop.
  func attend() throws {
    communicator.watch.enter(.saving, step: state.step)
    try communicator.collectively(where: writer.hasFailed) { try writer.finish() }
    try writer.tell(communicator)
    let reason = communicator.watch.stopReason
    let wish = reason != nil ? 2 : isCheckpointDue ? 1 : 0
    let common = try communicator.maximum(of: wish)
    if common > 0 { try save(inPassing: true) }
    if common < 2 { return }
    try finishSaving()
    try communicator.collectively(where: reason != nil) {
      throw Failure(
        .stopped,
        "stopped by \(reason ?? "") after step \(state.step) of \(totalSteps), which is saved in \(run.output); go on with \(run.resumeAdvice)."
      )
    }
  }

  /// Begins to write a checkpoint of the step just done; collective.
  /// - Parameter isPassing: Whether it is only there to go on from, because time has passed or the run stops.
  /// - Throws: The same `Failure` on all ranks, when the one before could not be written, or this one.
  func save(inPassing isPassing: Bool = false) throws {
    // After `returnToBest` the numbers are not those of the step, whose checkpoint there is already.
    guard run.writesCheckpoints, resultStep == nil else { return }
    // What the step has already is not made one of those that go first.
    if isPassing, writer.begunStep == state.step { return }
    if !isPassing || stepsHere > 0 { state.note(checkpointInPassing: isPassing) }
    communicator.watch.enter(.saving, step: state.step)
    passes.settle()
    state.allReduceBytesPerStep = bytesPerStep
    try writer.begin(state, model, optimizer, communicator)
  }

  /// Waits for the checkpoint under way; collective.
  private func finishSaving() throws {
    try communicator.collectively(where: communicator.isFirst) { try writer.finish() }
  }

  /// Leaves out a step whose loss or gradient is not finite; every rank finds the same numbers and does the same.
  /// - Throws: `Failure` of kind `notFinite`, when no more of them are tolerated.
  func leaveOut(loss: Double, norm: Double) throws -> SkippedEvent {
    let what = loss.isFinite ? "the gradient's norm is \(norm)" : "the loss is \(loss)"
    let lines = reviews.prefix(8).map { "\(inputs.training.line($0))" }.joined(separator: ", ")
    let place =
      "at step \(state.step + 1) (lines \(lines)\(reviews.count > 8 ? ", …" : "") of \(inputs.training.name))"
    guard state.skippedSteps < run.skipNonfinite else {
      // The last good checkpoint may still be on its way.
      try finishSaving()
      let tolerated = run.skipNonfinite > 0 ? " after \(state.skippedSteps) such steps were left out" : ""
      throw Failure(
        .notFinite,
        "\(what) \(place)\(tolerated); start again with a lower --learning-rate and another --output, or go on from the last checkpoint with \(run.resumeAdvice) and --skip-nonfinite N, which leaves up to N such steps out."
      )
    }
    state.skippedSteps += 1
    screen.warning("\(what) \(place); the step is left out (--skip-nonfinite \(run.skipNonfinite)).")
    return SkippedEvent(step: state.step + 1, reason: what, skipped: state.skippedSteps)
  }
}
