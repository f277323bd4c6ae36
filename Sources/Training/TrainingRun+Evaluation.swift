internal import Collectives
internal import Failures

extension TrainingRun {
  /// Evaluates; collective.
  /// - Parameters:
  ///   - data: The reviews.
  ///   - split: What they are called.
  ///   - isRecorded: Whether it stands in `metrics.jsonl`.
  /// - Returns: What was found, on rank 0.
  /// - Throws: `Failure` of kind `notFinite` on all ranks when the loss is no number.
  @discardableResult
  func evaluate(_ data: EncodedReviews, _ split: String, isRecorded: Bool = true) throws -> Evaluation? {
    communicator.watch.enter(.evaluating, step: state.step)
    passes.settle()
    clock.enter(.evaluation)
    defer {
      clock.enter(.inputOutput)
      memory.sample()
    }
    let evaluation: Evaluation?
    let reserve = run.maxMinutes == nil ? nil : try communicator.shared { [self.reserve] }.first
    do {
      let evaluator = Evaluator(replica, classes: run.labelCount, communicator, screen)
      evaluation = try objective.evaluate(
        data, split: split, evaluator, isCancelled: { wantsAttention(reserve: reserve) })
    } catch let failure as Failure where failure.kind == .stopped {
      // Everybody left it.
      try attend()
      throw failure
    }
    evaluated = (split, state.step)
    try communicator.collectively(where: communicator.isFirst) {
      guard let loss = evaluation?.figures.loss, !loss.isFinite else { return }
      throw Failure(
        .notFinite,
        "the loss of the \(split) reviews is \(loss) after step \(state.step); start again with a lower --learning-rate and another --output."
      )
    }
    guard let evaluation else { return nil }
    let event = EvaluationEvent(
      split: split, step: resultStep ?? state.step, epoch: state.epochs.count, seconds: evaluation.seconds,
      figures: evaluation.figures)
    if isRecorded { try record(.evaluation(event)) }
    lastEvaluation = event
    if split == "test", evaluation.summary != nil { lastTest = evaluation }
    return evaluation
  }
}
