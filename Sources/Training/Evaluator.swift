internal import BERT
package import Collectives
package import Console
internal import Kernels
package import Metrics

/// What an evaluation found, on rank 0.
package struct Evaluation {
  /// The figures.
  package let figures: EvaluationFigures
  /// The metrics over the reviews whose text does not occur in training; nil when that is all of them or unknown.
  package let unseen: EvaluationSummary?
  /// `[reviews]`: the predicted classes; none when the model is not for classes.
  package let predictions: [Int32]
  /// `[reviews]`: the probabilities of the predicted classes.
  package let probabilities: [Float]
  /// How long it took.
  package let seconds: Double

  /// The metrics of classes; nil when the model is not for classes.
  package var summary: EvaluationSummary? {
    if case .classification(let summary) = figures { summary } else { nil }
  }
}

/// Evaluates a replica: all ranks compute, rank 0 judges.
package struct Evaluator {
  private let replica: Replica
  private let classes: Int
  private let communicator: Communicator
  private let screen: Screen

  /// An evaluator of a replica with a number of classes.
  package init(_ replica: Replica, classes: Int, _ communicator: Communicator, _ screen: Screen) {
    self.replica = replica
    self.classes = classes
    self.communicator = communicator
    self.screen = screen
  }

  /// What the model says of every review, with a progress bar; collective.
  private func output(
    _ data: EncodedReviews, name: String, _ isCancelled: () -> Bool
  ) throws -> [Float]? {
    let bar = screen.progress("evaluating \(name)", total: data.count)
    defer { bar.finish() }
    // Rank 0 sees its own share; the others' are as large.
    return try replica.evaluate(data, communicator, isCancelled: isCancelled) { done, total in
      bar.update(total > 0 ? data.count * done / total : data.count)
    }
  }

  /// How well hidden tokens, and pairs of sentences, are told.
  /// - Parameters:
  ///   - data: The texts, with what hides tokens.
  ///   - name: What they are called on the screen.
  ///   - isCancelled: Asked between passes whether to leave it.
  /// - Returns: The result on rank 0; nil elsewhere.
  /// - Throws: `Failure` when ranks cannot talk, or any of them has left it.
  package func evaluateMasked(
    _ data: EncodedReviews, name: String, isCancelled: () -> Bool = { false }
  ) throws -> Evaluation? {
    let start = monotonicSeconds()
    guard let sums = try output(data, name: name, isCancelled) else { return nil }
    let columns = MaskedLanguageModel.Counted.columnCount
    func total(_ column: Int) -> Double {
      (0..<data.count).reduce(0) { $0 + Double(sums[columns * $1 + column]) }
    }
    func part(_ counted: MaskedLanguageModel.Counted) -> MaskedLanguageSummary.Sums {
      MaskedLanguageSummary.Sums(
        loss: total(counted.lossColumn), right: Int(total(counted.rightColumn)),
        count: Int(total(counted.countColumn)))
    }
    return Evaluation(
      figures: .maskedLanguage(MaskedLanguageSummary(tokens: part(.tokens), pairs: part(.pairs))), unseen: nil,
      predictions: [],
      probabilities: [], seconds: monotonicSeconds() - start)
  }

  /// The metrics of labelled reviews.
  /// - Parameters:
  ///   - data: The reviews.
  ///   - name: What they are called on the screen.
  ///   - isInTraining: Which of them have a text that occurs in training.
  ///   - isCancelled: Asked between passes whether to leave it.
  /// - Returns: The result on rank 0; nil elsewhere.
  /// - Throws: `Failure` when ranks cannot talk, or any of them has left it.
  package func evaluate(
    _ data: EncodedReviews, name: String, isInTraining: [Bool] = [], isCancelled: () -> Bool = { false }
  ) throws -> Evaluation? {
    let start = monotonicSeconds()
    guard let logits = try output(data, name: name, isCancelled) else { return nil }
    var predictions = [Int32](repeating: 0, count: data.count)
    var probabilities = [Float](repeating: 0, count: data.count)
    var losses = [Double](repeating: 0, count: data.count)
    logits.withUnsafeBufferPointer { logits in
      guard let base = logits.baseAddress else { return }
      for review in 0..<data.count {
        let row = base + review * classes
        let prediction = (1..<classes).reduce(0) { row[$1] > row[$0] ? $1 : $0 }
        predictions[review] = Int32(prediction)
        probabilities[review] = Float(softmaxProbabilities(row, count: classes)[prediction])
        losses[review] = crossEntropy(row, count: classes, label: Int(data.labels[review]), gradient: nil)
      }
    }
    let summary = try EvaluationSummary(
      labels: data.labels, predictions: predictions, losses: losses, classCount: classes)
    let hasSeen = isInTraining.contains(true)
    let unseen =
      hasSeen
      ? try EvaluationSummary(
        labels: data.labels, predictions: predictions, losses: losses, classCount: classes,
        including: isInTraining.map { !$0 }) : nil
    return Evaluation(
      figures: .classification(summary), unseen: unseen, predictions: predictions, probabilities: probabilities,
      seconds: monotonicSeconds() - start)
  }
}
