/// The figures of one evaluation, under the names they have in `metrics.jsonl` and `results.json`.
package struct EvaluationSummary: Codable, Sendable, Equatable {
  /// How many reviews were evaluated.
  package let reviews: Int
  /// Correct over all.
  package let accuracy: Double
  /// Precision of class 1, or macro-averaged beyond two classes.
  package let precision: Double
  /// Recall of class 1, or macro-averaged beyond two classes.
  package let recall: Double
  /// F1 of class 1, or macro-averaged beyond two classes.
  package let f1: Double
  /// The mean cross-entropy per review.
  package let loss: Double
  /// Between which bounds accuracy lies with 95 % confidence.
  package let accuracyInterval: WilsonInterval
  /// The same for precision; only with two classes, where it is a proportion.
  package let precisionInterval: WilsonInterval?
  /// The same for recall; only with two classes.
  package let recallInterval: WilsonInterval?
  /// Class 1 predicted as class 1; this and the next three only with two classes.
  package let tp: Int?
  /// Class 0 predicted as class 1.
  package let fp: Int?
  /// Class 0 predicted as class 0.
  package let tn: Int?
  /// Class 1 predicted as class 0.
  package let fn: Int?
  /// The counts, a row per true class; only beyond two classes.
  package let confusion: [[Int]]?

  enum CodingKeys: String, CodingKey {
    case reviews, accuracy, precision, recall, f1, loss, tp, fp, tn, fn, confusion
    case accuracyInterval = "accuracy_interval"
    case precisionInterval = "precision_interval"
    case recallInterval = "recall_interval"
  }

  /// The figures of a confusion matrix.
  /// - Parameters:
  ///   - matrix: The counts.
  ///   - loss: The mean cross-entropy.
  package init(_ matrix: ConfusionMatrix, loss: Double) {
    reviews = matrix.total
    accuracy = matrix.accuracy
    precision = matrix.precision
    recall = matrix.recall
    f1 = matrix.f1
    self.loss = loss
    accuracyInterval = WilsonInterval(successes: matrix.correct, trials: matrix.total)
    guard matrix.classCount == 2 else {
      (tp, fp, tn, fn, precisionInterval, recallInterval) = (nil, nil, nil, nil, nil, nil)
      confusion = matrix.rows
      return
    }
    let truePositives = matrix[truth: 1, prediction: 1]
    tp = truePositives
    fp = matrix[truth: 0, prediction: 1]
    tn = matrix[truth: 0, prediction: 0]
    fn = matrix[truth: 1, prediction: 0]
    precisionInterval = WilsonInterval(successes: truePositives, trials: matrix.predicted(as: 1))
    recallInterval = WilsonInterval(successes: truePositives, trials: matrix.support(of: 1))
    confusion = nil
  }

  /// The figures of reviews, in the order of the file so that the same digits come out on any number of ranks.
  ///
  /// - Parameters:
  ///   - labels: The true class of each review.
  ///   - predictions: The predicted class of each review.
  ///   - losses: The cross-entropy of each review.
  ///   - classCount: The number of classes.
  ///   - included: Which reviews count; all when nil. Those whose text does not occur in training, say.
  /// - Throws: `MetricsError` when the lists differ in length or a class is out of range: reviews were lost, counted
  ///   twice, or mixed up on the way.
  package init(
    labels: [Int32], predictions: [Int32], losses: [Double], classCount: Int,
    including included: [Bool]? = nil
  ) throws(MetricsError) {
    let counts = [labels.count, predictions.count, losses.count, included?.count ?? labels.count]
    guard counts.allSatisfy({ $0 == labels.count }) else { throw .differentCounts(counts) }
    var matrix = ConfusionMatrix(classCount: classCount)
    var lossSum = 0.0
    for review in labels.indices where included?[review] ?? true {
      let (truth, prediction) = (Int(labels[review]), Int(predictions[review]))
      guard (0..<classCount).contains(truth), (0..<classCount).contains(prediction) else {
        throw .classOutOfRange(review: review, truth: truth, prediction: prediction, classCount: classCount)
      }
      matrix.add(truth: truth, prediction: prediction)
      lossSum += losses[review]
    }
    self.init(matrix, loss: matrix.total == 0 ? 0 : lossSum / Double(matrix.total))
  }
}

/// Evaluation results that cannot be what they should be: a fault of the program, not of a person.
package enum MetricsError: Error, Equatable, CustomStringConvertible {
  /// Lists that hold one element per review differ in length.
  case differentCounts([Int])
  /// A label or a prediction names no class.
  case classOutOfRange(review: Int, truth: Int, prediction: Int, classCount: Int)

  /// What is wrong, in a sentence.
  package var description: String {
    switch self {
    case .differentCounts(let counts):
      "Lists with one element per review have \(counts) elements; reviews were lost or counted twice."
    case .classOutOfRange(let review, let truth, let prediction, let classCount):
      "Review \(review) has label \(truth) and prediction \(prediction); expected classes below \(classCount)."
    }
  }
}
