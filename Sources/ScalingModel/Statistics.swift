internal import Glibc

/// Statistics of a study's repetitions.
package enum Statistics {
  /// The middle of some numbers; not a number when there are none.
  package static func median(_ values: [Double]) -> Double {
    let sorted = values.sorted()
    guard !sorted.isEmpty else { return .nan }
    let middle = sorted.count / 2
    return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
  }

  static func mean(_ values: [Double]) -> Double { values.reduce(0, +) / Double(values.count) }

  /// The unbiased variance; 0 for a single value.
  static func variance(_ values: [Double]) -> Double {
    guard values.count > 1 else { return 0 }
    let mean = mean(values)
    return values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(values.count - 1)
  }

  /// The ratio of two rates that were measured several times each, with its 95 % interval.
  ///
  /// Welch's interval on the logarithms, so that bounds stay positive and the ratio and its inverse agree.
  /// - Returns: The ratio of geometric means; bounds are nil when neither was measured twice.
  package static func ratio(_ a: [Double], to b: [Double]) -> (value: Double, low: Double?, high: Double?) {
    let (x, y) = (a.map { log($0) }, b.map { log($0) })
    let difference = mean(x) - mean(y)
    let (vx, vy) = (variance(x) / Double(x.count), variance(y) / Double(y.count))
    // A point that was measured once says nothing of its spread.
    guard x.count > 1, y.count > 1 else { return (exp(difference), nil, nil) }
    let error = (vx + vy).squareRoot()
    guard error > 0 else { return (exp(difference), exp(difference), exp(difference)) }
    let freedom = (vx + vy) * (vx + vy) / (vx * vx / Double(x.count - 1) + vy * vy / Double(y.count - 1))
    let width = studentQuantile(0.975, freedom: freedom) * error
    return (exp(difference), exp(difference - width), exp(difference + width))
  }

  /// The serial fraction that a speed-up on `p` workers betrays; not a number for one worker.
  ///
  /// - SeeAlso: Karp, Flatt: *Measuring parallel processor performance*, CACM 33, 1990.
  package static func karpFlatt(speedup: Double, workers: Double) -> Double {
    (1 / speedup - 1 / workers) / (1 - 1 / workers)
  }

  /// The quantile of Student's t distribution: bisection on its distribution function.
  package static func studentQuantile(_ probability: Double, freedom: Double) -> Double {
    var (low, high) = (0.0, 1.0)
    while studentUpper(high, freedom) > 1 - probability, high < 1e6 { high *= 2 }
    for _ in 0..<80 {
      let middle = (low + high) / 2
      if studentUpper(middle, freedom) > 1 - probability { low = middle } else { high = middle }
    }
    return (low + high) / 2
  }

  /// P(T > t) for t ≥ 0: with `t = √ν tan φ` the density is a power of a cosine, which Simpson's rule integrates.
  private static func studentUpper(_ t: Double, _ freedom: Double) -> Double {
    let from = atan(t / freedom.squareRoot())
    let pieces = 400
    let width = (Double.pi / 2 - from) / Double(pieces)
    let sum = (0...pieces).reduce(0.0) { sum, index in
      let weight = index == 0 || index == pieces ? 1.0 : index % 2 == 1 ? 4 : 2
      return sum + weight * pow(max(0, cos(from + Double(index) * width)), freedom - 1)
    }
    let constant = exp(lgamma((freedom + 1) / 2) - lgamma(freedom / 2)) / Double.pi.squareRoot()
    return constant * sum * width / 3
  }
}
