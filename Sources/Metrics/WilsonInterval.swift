/// Between which bounds a proportion lies with 95 % confidence, by Wilson's score method.
///
/// Unlike the textbook interval it stays inside 0...1 and is right near both ends. Written as a list `[lower, upper]`.
///
/// - SeeAlso: Wilson: *Probable inference, the law of succession, and statistical inference*, JASA 22, 1927.
package struct WilsonInterval: Sendable, Equatable {
  /// The lower bound.
  package let lower: Double
  /// The upper bound.
  package let upper: Double

  /// The 97.5 % quantile of the normal distribution.
  private static let z = 1.959_963_984_540_054

  /// The interval for `successes` out of `trials`; without trials nothing is known and it is 0...1.
  package init(successes: Int, trials: Int) {
    precondition(successes >= 0 && successes <= trials, "more successes than trials")
    guard trials > 0 else {
      (lower, upper) = (0, 1)
      return
    }
    let n = Double(trials)
    let p = Double(successes) / n
    let zz = WilsonInterval.z * WilsonInterval.z
    let center = (p + zz / (2 * n)) / (1 + zz / n)
    let half = WilsonInterval.z / (1 + zz / n) * (p * (1 - p) / n + zz / (4 * n * n)).squareRoot()
    // At the ends the bound is exact; rounding must not move it.
    lower = successes == 0 ? 0 : center - half
    upper = successes == trials ? 1 : center + half
  }
}

extension WilsonInterval: Codable {
  /// Reads `[lower, upper]`.
  package init(from decoder: any Decoder) throws {
    var list = try decoder.unkeyedContainer()
    lower = try list.decode(Double.self)
    upper = try list.decode(Double.self)
  }

  /// Writes `[lower, upper]`.
  package func encode(to encoder: any Encoder) throws {
    var list = encoder.unkeyedContainer()
    try list.encode(lower)
    try list.encode(upper)
  }
}
