internal import Datasets
internal import Failures

/// `predictions.tsv`: what a run's model says of each test review, in the order of the test file. A header and a line a
/// review: `label prediction probability tokens in_training`.
package struct ReviewPredictions: Sendable, Equatable {
  /// The file's name in a run directory.
  package static let fileName = "predictions.tsv"
  private static let header = "label\tprediction\tprobability\ttokens\tin_training"

  /// The true classes.
  package private(set) var labels: [Int32] = []
  /// The predicted classes.
  package private(set) var predictions: [Int32] = []
  /// The probabilities of the predicted classes.
  package private(set) var probabilities: [Float] = []
  /// How many tokens each review has.
  package private(set) var tokenCounts: [Int] = []
  /// Whether a review's text also occurs in training.
  package private(set) var isInTraining: [Bool] = []

  /// What an evaluation found.
  init(_ evaluation: Evaluation, of data: EncodedReviews, isInTraining: [Bool]) {
    labels = data.labels
    (predictions, probabilities) = (evaluation.predictions, evaluation.probabilities)
    tokenCounts = (0..<data.count).map(data.tokenCount)
    self.isInTraining = isInTraining.isEmpty ? Array(repeating: false, count: data.count) : isInTraining
  }

  /// Reads a file.
  /// - Throws: `Failure` when it is missing or not what a run writes.
  package init(reading path: String) throws {
    let text = String(decoding: try fileContents(of: path), as: UTF8.self)
    let lines = text.split(separator: "\n")
    guard lines.first == Substring(ReviewPredictions.header) else {
      throw Failure(.badContent, "\(path):1: expected the header \(ReviewPredictions.header).")
    }
    for (index, line) in lines.enumerated().dropFirst() {
      let cells = line.split(separator: "\t", omittingEmptySubsequences: false)
      guard cells.count == 5, let label = Int32(cells[0]), let prediction = Int32(cells[1]),
        let probability = Float(cells[2]), let tokens = Int(cells[3]), cells[4] == "0" || cells[4] == "1",
        label >= 0, prediction >= 0, tokens >= 0
      else {
        throw Failure(
          .badContent,
          "\(path):\(index + 1): expected label, class, probability, tokens, and 0 or 1, with tabs between.")
      }
      labels.append(label)
      predictions.append(prediction)
      probabilities.append(probability)
      tokenCounts.append(tokens)
      isInTraining.append(cells[4] == "1")
    }
  }

  /// How many reviews there are.
  package var count: Int { labels.count }

  /// The file's content.
  var text: String {
    var text = ReviewPredictions.header + "\n"
    for row in labels.indices {
      text +=
        "\(labels[row])\t\(predictions[row])\t\(probabilities[row])\t\(tokenCounts[row])\t\(isInTraining[row] ? 1 : 0)\n"
    }
    return text
  }
}
