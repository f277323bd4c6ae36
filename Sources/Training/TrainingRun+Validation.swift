internal import Checkpoints
internal import Collectives
internal import Console
internal import Datasets
internal import Failures
internal import FoundationEssentials
internal import Metrics
internal import Tensors

/// A validation and what it found.
struct BestStep: Codable, Equatable {
  /// The optimiser step after which it was.
  let step: Int
  /// The share of right predictions.
  let accuracy: Double
  /// The mean loss.
  let loss: Double

  /// Higher accuracy, or the same at a lower loss.
  func isBetter(than other: BestStep) -> Bool {
    accuracy != other.accuracy ? accuracy > other.accuracy : loss < other.loss
  }
}

extension RunState {
  /// Refuses what was decided on other validation reviews than a run has.
  /// - Parameters:
  ///   - digest: The SHA-256 of the run's validation reviews; nil when it has none.
  ///   - path: The checkpoint.
  /// - Throws: `Failure` of kind `disagreement`.
  func requireSame(validation digest: String?, _ path: String) throws {
    guard best != nil, let validationSHA256, validationSHA256 != digest else { return }
    throw Failure(
      .disagreement,
      "\(path) has a best step that was chosen on other validation reviews; use the same, or choose another --output and start at the beginning."
    )
  }

  /// Steps whose checkpoints stay: that of the best validation, and the one before it, which is the best of checkpoints
  /// older than the newest.
  var pinnedSteps: Set<Int> { Set([best, bestBefore].compactMap { $0?.step }) }

  /// Takes note of a validation.
  mutating func note(validation: BestStep, patience: Int?) {
    validatedStep = step
    if let best, !validation.isBetter(than: best) {
      worseValidations += 1
    } else {
      (bestBefore, best) = (best, validation)
      worseValidations = 0
    }
    if let patience, worseValidations >= patience { hasStoppedEarly = true }
  }
}

/// The best by validation: the run's result is the model of the step with the highest validation accuracy, of
/// equals that with the lowest loss.
///
/// All ranks decide alike, since rank 0 tells them the figures; a run that goes on from a checkpoint decides as it would have
/// without the break, since what was decided on is in the checkpoint.
extension TrainingRun {
  /// Evaluates on the validation reviews, if there are any and it is time; collective.
  func validateIfDue() throws {
    let isEpochEnd = state.step % order.stepsPerEpoch(reviewsPerStep: run.reviewsPerStep) == 0
    let isDue = run.evaluateEvery.map { state.step % $0 == 0 } ?? isEpochEnd
    guard isDue || state.step == totalSteps else { return }
    guard let validation else {
      // Test reviews, then, to show how it goes; nothing is decided on them.
      if run.evaluateEvery != nil, let test { try evaluate(test, "test") }
      return
    }
    guard state.validatedStep != state.step else { return }
    let evaluation = try evaluate(validation, "validation")
    let found = try communicator.shared { [evaluation?.figures.accuracy ?? 0, evaluation?.figures.loss ?? .nan] }
    state.note(
      validation: BestStep(step: state.step, accuracy: found[0], loss: found[1]), patience: run.earlyStoppingPatience)
    let isBest = state.best?.step == state.step
    if let figures = evaluation?.figures {
      screen.line(
        "step \(state.step): validation loss \(Format.figure(figures.loss, digits: 4)), accuracy \(Format.figure(figures.accuracy))\(isBest ? ", the best so far" : "")"
      )
    }
    if state.hasStoppedEarly, let best = state.best {
      screen.line("no better than step \(best.step) for \(state.worseValidations) validations: the run ends early")
    }
    if isBest { try save() }
  }

  /// Makes sure that the checkpoint which a run goes on from, and the one that `returnToBest` may need, are whole and in
  /// the run's directory, and copies those that are elsewhere; collective. Whatever ends the run before its next
  /// checkpoint, it goes on from here. A best one that is lost is not the best any more: what was trained since is worth
  /// more.
  func takeCheckpointsAlong(from path: String) throws {
    guard run.writesCheckpoints else { return }
    try communicator.collectively(where: communicator.isFirst) { try takeAlong(state.step, from: path) }
    guard state.best != nil else { return }
    let kept = try communicator.shared {
      [state.best, state.bestBefore].map { step in
        guard let step = step?.step else { return UInt8(0) }
        do {
          try takeAlong(step, from: path)
          return 1
        } catch {
          // Without the other one something is lost only when this one is damaged later.
          if step == state.best?.step {
            screen.warning("the checkpoint of step \(step), the best so far, is lost: \(error)")
          }
          return 0
        }
      }
    }
    if kept[1] == 0 { state.bestBefore = nil }
    if kept[0] == 0 { (state.best, state.bestBefore, state.worseValidations) = (state.bestBefore, nil, 0) }
  }

  /// Sees to it that the checkpoint of a step lies in the run's own directory.
  private func takeAlong(_ step: Int, from path: String) throws {
    let own = CheckpointFiles(in: run.output)
    // It has just been read.
    if own.path(step: step) == path { return }
    if FileManager.default.fileExists(atPath: own.path(step: step)) {
      _ = try TensorFile(opening: own.path(step: step), as: [.checkpoint])
      return
    }
    let there = CheckpointFiles(in: URL(filePath: path).deletingLastPathComponent().path)
    try own.adopt(step == state.step ? path : there.path(step: step), step: step)
  }

  /// Takes the trained numbers of the best validation, if that was not the last step; collective. Where its checkpoint
  /// has been lost meanwhile, those of the one before it, or the last step's.
  func returnToBest() throws {
    guard let best = state.best, best.step != state.step else { return }
    communicator.watch.enter(.finishing)
    let taken = try communicator.shared {
      try writer.finish()
      return [[best, state.bestBefore].compactMap(\.self).first(where: takeNumbers)?.step ?? -1]
    }
    guard let step = taken.first, step >= 0 else { return }
    let count = model.store.table.trainableCount
    try communicator.broadcast(UnsafeMutableBufferPointer(start: model.store.trainable, count: count))
    model.store.refreshRounded()
    (resultStep, evaluated) = (step, nil)
    screen.line("the result is the model of step \(step), which did best on the validation reviews")
  }

  /// - Returns: Whether the checkpoint of a step could be read; where it could not, nothing has changed.
  private func takeNumbers(of best: BestStep) -> Bool {
    do {
      let path = CheckpointFiles(in: run.output).path(step: best.step)
      let file = try TensorFile(opening: path, as: [.checkpoint])
      for entry in model.store.table.trainableEntries {
        let (name, shape) = (entry.specification.name, entry.specification.shape)
        try file.read(name, shape: shape, into: model.store.elements(name))
      }
      return true
    } catch {
      screen.warning("the checkpoint of step \(best.step), which did best on the validation reviews, is lost: \(error)")
      return false
    }
  }
}
