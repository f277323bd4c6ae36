/// How often each class was predicted for each class: whole-number counts, which sum exactly on any number of ranks.
package struct ConfusionMatrix: Sendable, Equatable {
  /// The number of classes.
  package let classCount: Int
  private var counts: [Int]  // [truth, prediction], row-major

  /// A matrix of zeros.
  package init(classCount: Int) {
    precondition(classCount > 0, "a confusion matrix needs at least one class")
    self.classCount = classCount
    counts = [Int](repeating: 0, count: classCount * classCount)
  }

  /// A matrix with counts, a row per true class.
  package init(rows: [[Int]]) {
    self.init(classCount: rows.count)
    precondition(rows.allSatisfy { $0.count == rows.count }, "a confusion matrix is square")
    precondition(rows.allSatisfy { $0.allSatisfy { $0 >= 0 } }, "counts are not negative")
    counts = rows.flatMap { $0 }
  }

  /// How many reviews of class `truth` were predicted as `prediction`.
  package subscript(truth truth: Int, prediction prediction: Int) -> Int {
    counts[index(truth, prediction)]
  }

  /// Counts one review.
  package mutating func add(truth: Int, prediction: Int) { counts[index(truth, prediction)] += 1 }

  /// How many reviews were counted.
  package var total: Int { counts.reduce(0, +) }
  /// How many were predicted right.
  package var correct: Int { (0..<classCount).reduce(0) { $0 + self[truth: $1, prediction: $1] } }
  /// The counts, a row per true class.
  package var rows: [[Int]] {
    (0..<classCount).map { Array(counts[$0 * classCount..<($0 + 1) * classCount]) }
  }

  /// How many reviews belong to a class.
  package func support(of label: Int) -> Int { rows[label].reduce(0, +) }
  /// How many reviews were predicted to belong to a class.
  package func predicted(as label: Int) -> Int {
    (0..<classCount).reduce(0) { $0 + self[truth: $1, prediction: label] }
  }

  private func index(_ truth: Int, _ prediction: Int) -> Int {
    precondition(
      (0..<classCount).contains(truth) && (0..<classCount).contains(prediction), "a class out of range")
    return truth * classCount + prediction
  }
}

// MARK: Figures

extension ConfusionMatrix {
  /// Correct over all; 0 without reviews.
  package var accuracy: Double { ratio(correct, total) }

  /// Of the reviews predicted as a class, the share that belongs to it; 0 when none was.
  package func precision(of label: Int) -> Double {
    ratio(self[truth: label, prediction: label], predicted(as: label))
  }

  /// Of the reviews of a class, the share predicted as it; 0 when there is none.
  package func recall(of label: Int) -> Double {
    ratio(self[truth: label, prediction: label], support(of: label))
  }

  /// The harmonic mean of a class's precision and recall, `2TP / (2TP + FP + FN)`; 0 when all three are 0.
  package func f1(of label: Int) -> Double {
    ratio(2 * self[truth: label, prediction: label], predicted(as: label) + support(of: label))
  }

  /// Precision of class 1 with two classes; of more (or one), the mean over classes.
  ///
  /// The mean is scikit-learn's `average="macro"` with its default labels and `zero_division=0`: over the classes that
  /// occur among truths or predictions.
  package var precision: Double { average(precision(of:)) }
  /// Recall, of class 1 or averaged as precision is.
  package var recall: Double { average(recall(of:)) }
  /// F1, of class 1 or averaged as precision is: the mean of the classes' F1, not the F1 of the means.
  package var f1: Double { average(f1(of:)) }

  private func average(_ figure: (Int) -> Double) -> Double {
    if classCount == 2 { return figure(1) }
    let occurring = (0..<classCount).filter { support(of: $0) + predicted(as: $0) > 0 }
    guard !occurring.isEmpty else { return 0 }
    return occurring.reduce(0) { $0 + figure($1) } / Double(occurring.count)
  }

  private func ratio(_ part: Int, _ whole: Int) -> Double { whole == 0 ? 0 : Double(part) / Double(whole) }
}
