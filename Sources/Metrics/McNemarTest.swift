internal import Glibc

/// Whether two classifiers differ in accuracy on the same reviews, by the reviews that only one of them gets right.
///
/// - SeeAlso: McNemar: *Note on the sampling error of the difference between correlated proportions*, Psychometrika 12,
///   1947; the continuity correction is Edwards's, 1948.
package struct McNemarTest: Codable, Sendable, Equatable {
  /// Reviews that only the first got right.
  package let onlyFirstCorrect: Int
  /// Reviews that only the second got right.
  package let onlySecondCorrect: Int
  /// The chance of a difference as large as this or larger, either way, between equally good classifiers.
  package let pValue: Double
  /// Whether the p-value is that of the binomial distribution rather than of its chi-square approximation.
  package let isExact: Bool

  enum CodingKeys: String, CodingKey {
    case onlyFirstCorrect = "only_first_correct"
    case onlySecondCorrect = "only_second_correct"
    case pValue = "p_value"
    case isExact = "exact"
  }

  /// Up to here 2⁻ⁿ is a normal Double and the binomial sum is computed outright.
  private static let largestExactCount = 1000

  /// The test on counts of discordant reviews: exact for up to 1,000 of them, beyond by chi-square with one degree of
  /// freedom and continuity correction, `(|b − c| − 1)² / (b + c)`.
  package init(onlyFirstCorrect: Int, onlySecondCorrect: Int) {
    precondition(onlyFirstCorrect >= 0 && onlySecondCorrect >= 0, "counts are not negative")
    self.onlyFirstCorrect = onlyFirstCorrect
    self.onlySecondCorrect = onlySecondCorrect
    let count = onlyFirstCorrect + onlySecondCorrect
    isExact = count <= McNemarTest.largestExactCount
    if isExact {
      pValue = McNemarTest.exactPValue(min(onlyFirstCorrect, onlySecondCorrect), of: count)
    } else {
      let distance = max(Double(abs(onlyFirstCorrect - onlySecondCorrect)) - 1, 0)
      // The upper tail of chi-square with one degree of freedom.
      pValue = erfc((distance * distance / Double(count) / 2).squareRoot())
    }
  }

  /// The test on predictions for the same reviews.
  /// - Throws: `MetricsError` when the lists differ in length.
  package init(labels: [Int32], first: [Int32], second: [Int32]) throws(MetricsError) {
    guard first.count == labels.count, second.count == labels.count else {
      throw .differentCounts([labels.count, first.count, second.count])
    }
    var counts = (first: 0, second: 0)
    for review in labels.indices {
      switch (first[review] == labels[review], second[review] == labels[review]) {
      case (true, false): counts.first += 1
      case (false, true): counts.second += 1
      default: break
      }
    }
    self.init(onlyFirstCorrect: counts.first, onlySecondCorrect: counts.second)
  }

  /// `min(1, 2 · P(X ≤ k))` for X binomial over n fair trials.
  private static func exactPValue(_ k: Int, of n: Int) -> Double {
    var term = scalbn(1.0, Int32(-n))
    var sum = term
    for i in 0..<k {
      term *= Double(n - i) / Double(i + 1)
      sum += term
    }
    return min(1, 2 * sum)
  }
}
