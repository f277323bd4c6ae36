internal import Glibc

/// How well a model names hidden tokens, under the names that the figures have in `metrics.jsonl` and `results.json`.
package struct MaskedLanguageSummary: Codable, Sendable, Equatable {
  /// The mean cross-entropy over all hidden tokens; with sentence pairs, the mean over these is added.
  package let loss: Double
  /// The exponential of the mean over hidden tokens.
  package let perplexity: Double
  /// The share of hidden tokens whose largest logit is the right one's.
  package let accuracy: Double
  /// How many tokens were hidden.
  package let maskedTokens: Int
  /// The share of sentence pairs that were judged rightly; nil without pairs.
  package let nextSentenceAccuracy: Double?
  /// The mean cross-entropy over sentence pairs.
  package let nextSentenceLoss: Double?

  enum CodingKeys: String, CodingKey {
    case loss, perplexity, accuracy
    case maskedTokens = "masked_tokens", nextSentenceAccuracy = "next_sentence_accuracy"
    case nextSentenceLoss = "next_sentence_loss"
  }

  /// Sums over tokens or pairs.
  package struct Sums: Sendable, Equatable {
    /// The sum of losses.
    package var loss = 0.0
    /// How many are right.
    package var right = 0
    /// How many there are.
    package var count = 0

    /// None.
    package init() {}

    /// Sums of so many.
    package init(loss: Double, right: Int, count: Int) {
      (self.loss, self.right, self.count) = (loss, right, count)
    }

    private func mean(_ value: Double) -> Double { count > 0 ? value / Double(count) : 0 }
    fileprivate var meanLoss: Double { mean(loss) }
    fileprivate var share: Double { mean(Double(right)) }
  }

  /// The figures of sums; of none, zeros.
  package init(tokens: Sums, pairs: Sums = Sums()) {
    let hasPairs = pairs.count > 0
    loss = tokens.meanLoss + pairs.meanLoss
    perplexity = min(exp(tokens.meanLoss), .greatestFiniteMagnitude)
    accuracy = tokens.share
    maskedTokens = tokens.count
    nextSentenceAccuracy = hasPairs ? pairs.share : nil
    nextSentenceLoss = hasPairs ? pairs.meanLoss : nil
  }
}
