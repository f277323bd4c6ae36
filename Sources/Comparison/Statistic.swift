internal import Console

/// A figure over the seeds: its mean and its deviation.
package struct Statistic: Encodable, Equatable {
  /// The mean.
  package let mean: Double
  /// The sample's standard deviation; nil of a single value.
  package let deviation: Double?

  /// The statistic of some values, of which there is at least one.
  package init(_ values: [Double]) {
    let mean = values.reduce(0, +) / Double(max(1, values.count))
    self.mean = mean
    let squares = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
    deviation = values.count > 1 ? (squares / Double(values.count - 1)).squareRoot() : nil
  }

  /// `.811 ± .004`.
  package var figure: String {
    Format.figure(mean) + (deviation.map { " ± \(Format.figure($0))" } ?? "")
  }

  /// `01:15 ± 00:02`.
  package var duration: String {
    Format.duration(mean) + (deviation.map { " ± \(Format.duration($0))" } ?? "")
  }

  /// From the mean less the deviation to the mean and the deviation; nil of a single value.
  package var range: ClosedRange<Double>? { deviation.map { mean - $0...mean + $0 } }
}
