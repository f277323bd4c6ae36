package import Testing

/// Expects `|actual − expected| ≤ absolute + relative · |expected|` at every index, and equal counts.
///
/// A failure reports the index where the tolerance is exceeded most, both numbers, the error, what was
/// allowed, and how many numbers are outside. A NaN is always outside. Only in tests of Swift Testing does a
/// failure count: programs such as `mpi-check` ask ``differenceReport(_:_:relative:absolute:)`` instead.
/// - Parameters:
///   - actual: What was computed.
///   - expected: What it should be.
///   - relative: Tolerance as a share of the expected number.
///   - absolute: Tolerance in absolute terms.
///   - label: What is compared, for the report.
///   - sourceLocation: Where the expectation stands.
package func expectClose<Actual: Collection, Expected: Collection>(
  _ actual: Actual, _ expected: Expected, relative: Double = 0, absolute: Double = 0, _ label: String = "",
  sourceLocation: SourceLocation = #_sourceLocation
) where Actual.Element: BinaryFloatingPoint, Expected.Element: BinaryFloatingPoint {
  guard let report = differenceReport(actual, expected, relative: relative, absolute: absolute) else {
    return
  }
  let subject = label.isEmpty ? "" : "\(label): "
  Issue.record("\(subject)\(report)", sourceLocation: sourceLocation)
}

/// Expects one number to be close to another; see the form for collections.
package func expectClose<Actual: BinaryFloatingPoint, Expected: BinaryFloatingPoint>(
  _ actual: Actual, _ expected: Expected, relative: Double = 0, absolute: Double = 0, _ label: String = "",
  sourceLocation: SourceLocation = #_sourceLocation
) {
  expectClose(
    CollectionOfOne(actual), CollectionOfOne(expected), relative: relative, absolute: absolute, label,
    sourceLocation: sourceLocation)
}

/// What is wrong when numbers are not as close as `expectClose` wants them, or nil when they are.
package func differenceReport<Actual: Collection, Expected: Collection>(
  _ actual: Actual, _ expected: Expected, relative: Double = 0, absolute: Double = 0
) -> String? where Actual.Element: BinaryFloatingPoint, Expected.Element: BinaryFloatingPoint {
  guard actual.count == expected.count else {
    return "\(actual.count) numbers, where \(expected.count) were expected"
  }
  var worst: (excess: Double, report: String)?
  var outsideCount = 0
  for (index, pair) in zip(actual, expected).enumerated() {
    let (value, target) = (Double(pair.0), Double(pair.1))
    if value == target { continue }
    let error = abs(value - target)
    let allowed = absolute + relative * abs(target)
    if error <= allowed, error.isFinite { continue }
    outsideCount += 1
    let excess = error.isFinite ? error - allowed : .infinity
    if worst.map({ excess > $0.excess }) ?? true {
      worst = (excess, "number \(index) is \(value), expected \(target): off by \(error), allowed \(allowed)")
    }
  }
  return worst.map { "\($0.report); \(outsideCount) of \(expected.count) are outside" }
}

/// The relative L2 distance `‖actual − expected‖ / ‖expected‖`; the plain distance when `expected` is all
/// zero, and infinity when the counts differ.
package func relativeL2<Actual: Collection, Expected: Collection>(
  _ actual: Actual, _ expected: Expected
) -> Double where Actual.Element: BinaryFloatingPoint, Expected.Element: BinaryFloatingPoint {
  guard actual.count == expected.count else { return .infinity }
  var (distance, norm) = (0.0, 0.0)
  for (value, target) in zip(actual, expected) {
    let difference = Double(value) - Double(target)
    distance += difference * difference
    norm += Double(target) * Double(target)
  }
  return norm == 0 ? distance.squareRoot() : (distance / norm).squareRoot()
}
