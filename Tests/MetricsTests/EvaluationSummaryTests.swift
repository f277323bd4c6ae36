import Foundation
import Metrics
import Testing

@Suite struct EvaluationSummaryTests {
  static func keys(_ summary: EvaluationSummary) throws -> [String: Any] {
    let json = try JSONSerialization.jsonObject(with: JSONEncoder().encode(summary))
    return try #require(json as? [String: Any])
  }

  @Test func hasThePublishedKeysAndFigures() throws {
    let summary = try EvaluationSummary(
      labels: [1, 1, 0, 0, 1], predictions: [1, 0, 0, 1, 1], losses: [0.5, 1, 0.25, 2, 0.25], classCount: 2)
    #expect(summary.reviews == 5 && summary.accuracy == 0.6 && summary.loss == 0.8)
    let keys = try Self.keys(summary)
    #expect(
      Set(keys.keys) == [
        "reviews", "accuracy", "precision", "recall", "f1", "loss", "tp", "fp", "tn", "fn",
        "accuracy_interval",
        "precision_interval", "recall_interval",
      ])
    #expect(["tp", "fp", "tn", "fn"].map { keys[$0] as? Int } == [2, 1, 1, 1])
    #expect(keys["f1"] as? Double == 4.0 / 6)
    let interval = try #require(keys["accuracy_interval"] as? [Double])
    // Foundation's reader of untyped JSON is an ulp off here.
    #expect(interval.count == 2 && isClose(interval[0], summary.accuracyInterval.lower))
    #expect(isClose(interval[1], summary.accuracyInterval.upper))
    #expect(summary.accuracyInterval == WilsonInterval(successes: 3, trials: 5))
    #expect(summary.precisionInterval == WilsonInterval(successes: 2, trials: 3))
    #expect(summary.recallInterval == WilsonInterval(successes: 2, trials: 3))
    #expect(try JSONDecoder().decode(EvaluationSummary.self, from: JSONEncoder().encode(summary)) == summary)
  }

  @Test func moreClassesHaveTheirConfusion() throws {
    let summary = try EvaluationSummary(
      labels: [0, 1, 2, 2], predictions: [0, 2, 2, 1], losses: [1, 1, 1, 1], classCount: 3)
    let keys = try Self.keys(summary)
    #expect(keys["confusion"] as? [[Int]] == [[1, 0, 0], [0, 0, 1], [0, 1, 1]])
    #expect(keys["tp"] == nil && keys["precision_interval"] == nil)
    #expect(try JSONDecoder().decode(EvaluationSummary.self, from: JSONEncoder().encode(summary)) == summary)
  }

  /// A float sum of these would be off in the fourth digit.
  @Test func lossesAreSummedInDouble() throws {
    let count = 1_000_000
    let zeros = [Int32](repeating: 0, count: count)
    let summary = try EvaluationSummary(
      labels: zeros, predictions: zeros, losses: [Double](repeating: 0.1, count: count), classCount: 2)
    #expect(isClose(summary.loss, 0.1, relative: 1e-10))
  }

  @Test func aMaskLeavesReviewsOut() throws {
    let summary = try EvaluationSummary(
      labels: [1, 0, 1, 0], predictions: [1, 1, 0, 0], losses: [1, 2, 4, 8], classCount: 2,
      including: [true, false, false, true])
    #expect(summary.reviews == 2 && summary.accuracy == 1 && summary.loss == 4.5)
    let none = try EvaluationSummary(
      labels: [1], predictions: [1], losses: [1], classCount: 2, including: [false])
    #expect(none.reviews == 0 && none.loss == 0 && none.accuracy == 0)
  }

  @Test func lostReviewsAndUnknownClassesAreRefused() {
    #expect(throws: MetricsError.differentCounts([2, 1, 2, 2])) {
      try EvaluationSummary(labels: [0, 1], predictions: [0], losses: [1, 1], classCount: 2)
    }
    #expect(throws: MetricsError.differentCounts([1, 1, 1, 2])) {
      try EvaluationSummary(
        labels: [0], predictions: [0], losses: [1], classCount: 2, including: [true, true])
    }
    let unknown = MetricsError.classOutOfRange(review: 1, truth: 0, prediction: -1, classCount: 2)
    #expect(throws: unknown) {
      try EvaluationSummary(labels: [0, 0], predictions: [0, -1], losses: [1, 1], classCount: 2)
    }
    #expect("\(unknown)".contains("Review 1"))
  }
}
