internal import Glibc

/// Where ticks go: round numbers, few enough to be read.
package enum Ticks {
  /// Round numbers inside a range: a step of 1, 2, 2.5 or 5 times a power of ten, about `count` of them.
  package static func linear(_ range: ClosedRange<Double>, count: Int) -> [Double] {
    let step = niceStep((range.upperBound - range.lowerBound) / Double(max(1, count)))
    return multiples(of: step, in: range)
  }

  /// Round durations inside a range of seconds: steps that a clock has.
  package static func durations(_ range: ClosedRange<Double>, count: Int) -> [Double] {
    let steps: [Double] = [
      1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400,
    ]
    let least = (range.upperBound - range.lowerBound) / Double(max(1, count))
    if least < 0.5 || least > 86_400 { return linear(range, count: count) }
    return multiples(of: steps.first { $0 >= least } ?? 86_400, in: range)
  }

  /// Powers of a base inside a range; for a base of ten, 2 and 5 between them where there are few, and plain round
  /// numbers where there is less than a decade. Too many powers are thinned out evenly.
  package static func logarithmic(_ range: ClosedRange<Double>, base: Double, count: Int) -> [Double] {
    let decades = log(range.upperBound / range.lowerBound) / log(base)
    if base == 10, decades < 0.7 { return linear(range, count: count).filter { $0 > 0 } }
    let factors: [Double] = base == 10 && decades <= Double(count) / 2.5 ? [1, 2, 5] : [1]
    let every = max(1, Int((decades / Double(max(1, count))).rounded(.up)))
    let first = Int((log(range.lowerBound) / log(base)).rounded(.down)) - 1
    let last = Int((log(range.upperBound) / log(base)).rounded(.up)) + 1
    var ticks: [Double] = []
    for exponent in first...max(first, last) where exponent % every == 0 {
      ticks += factors.map { $0 * power(base, exponent) }
    }
    return ticks.filter { isInside($0, range) }
  }

  /// What lies between the powers of ten, for short ticks without labels.
  package static func minor(_ range: ClosedRange<Double>) -> [Double] {
    let first = Int(log10(range.lowerBound).rounded(.down))
    let last = Int(log10(range.upperBound).rounded(.up))
    guard last - first <= 6 else { return [] }
    return (first...max(first, last)).flatMap { exponent in (2...9).map { Double($0) * power(10, exponent) } }
      .filter { isInside($0, range) }
  }

  /// The smallest of 1, 2, 2.5 and 5 times a power of ten that is at least `least`.
  package static func niceStep(_ least: Double) -> Double {
    guard least > 0, least.isFinite else { return 1 }
    let exponent = Int(log10(least).rounded(.down))
    for factor in [1, 2, 2.5, 5] {
      let step = factor * power(10, exponent)
      if step >= least * (1 - 1e-9) { return step }
    }
    return power(10, exponent + 1)
  }

  private static func multiples(of step: Double, in range: ClosedRange<Double>) -> [Double] {
    let first = (range.lowerBound / step - 1e-6).rounded(.up)
    let last = (range.upperBound / step + 1e-6).rounded(.down)
    guard last >= first, last - first < 1000 else { return [] }
    // A whole number of steps each, divided where the step is a fraction: 3 × 0.1 is to be 0.3.
    let inverse = (1 / step).rounded()
    let isFraction = step < 1 && abs(1 / step - inverse) < 1e-6 * inverse
    return (0...Int(last - first)).map { index in
      let multiple = first + Double(index)
      return isFraction ? multiple / inverse : multiple * step
    }
  }

  private static func isInside(_ value: Double, _ range: ClosedRange<Double>) -> Bool {
    value >= range.lowerBound * (1 - 1e-9) && value <= range.upperBound * (1 + 1e-9)
  }

  /// Exact for negative powers of ten where a division is.
  private static func power(_ base: Double, _ exponent: Int) -> Double {
    exponent < 0 ? 1 / pow(base, Double(-exponent)) : pow(base, Double(exponent))
  }
}
