internal import Glibc

/// One direction of a plot.
package struct Axis: Sendable {
  /// How values become lengths.
  package enum Scale: Sendable, Equatable {
    /// Equal differences are equal lengths.
    case linear
    /// Equal ratios are equal lengths; ticks at powers of the base. Values that are not above zero cannot be shown and
    /// are left out.
    case log(base: Double)
  }

  /// How ticks are written.
  package enum Format: Sendable, Equatable {
    /// `0.25`, `1,500`; from a million and below a thousandth with powers of ten.
    case plain
    /// `25 %` for 0.25.
    case percent
    /// `.871` for 0.871, as papers print metrics.
    case figure
    /// `12:30` for 750 seconds.
    case duration
    /// `1.5 k`, `20 M`.
    case metric
  }

  /// What is shown, with its unit in brackets: `time per epoch (s)`.
  package var title: String
  /// How values become lengths.
  package var scale = Scale.linear
  /// How ticks are written.
  package var format = Format.plain
  /// What the axis covers; the data with a margin when nil.
  package var range: ClosedRange<Double>?
  /// Whether the axis starts at zero, for a linear scale without a range.
  package var startsAtZero = false
  /// Where ticks go; round numbers when nil.
  package var ticks: [Double]?

  /// An axis.
  package init(
    _ title: String, scale: Scale = .linear, format: Format = .plain, range: ClosedRange<Double>? = nil,
    startsAtZero: Bool = false, ticks: [Double]? = nil
  ) {
    self.title = title
    self.scale = scale
    self.format = format
    self.range = range
    self.startsAtZero = startsAtZero
    self.ticks = ticks
  }

  /// Whether a value has a place on the axis.
  func shows(_ value: Double) -> Bool { value.isFinite && (scale == .linear || value > 0) }

  /// The axis fitted to values.
  package func fitted(to values: [Double], ticks count: Int) -> FittedAxis {
    let shown = values.filter(shows)
    let range = self.range.flatMap { scale == .linear || $0.lowerBound > 0 ? $0 : nil } ?? covering(shown)
    let ticks: [Double]
    switch (self.ticks, scale) {
    case (let own?, _): ticks = own.filter { shows($0) && range.contains($0) }
    case (nil, .log(let base)): ticks = Ticks.logarithmic(range, base: base, count: count)
    case (nil, .linear):
      ticks = format == .duration ? Ticks.durations(range, count: count) : Ticks.linear(range, count: count)
    }
    let minor = scale == .log(base: 10) && self.ticks == nil ? Ticks.minor(range) : []
    return FittedAxis(axis: self, range: range, ticks: ticks, minor: minor)
  }

  /// The values' range with a margin of a twentieth, in the axis' own measure; a single value stands in the middle.
  private func covering(_ values: [Double]) -> ClosedRange<Double> {
    guard var low = values.min(), var high = values.max() else { return scale == .linear ? 0...1 : 1...10 }
    if case .log(let base) = scale {
      guard high > low else { return low / base...low * base }
      let margin = pow(high / low, 0.06)
      return low / margin...high * margin
    }
    if startsAtZero { (low, high) = (min(low, 0), max(high, 0)) }
    guard high > low else {
      let half = low == 0 ? 1 : abs(low) * 0.1
      return low - half...low + half
    }
    let margin = (high - low) * 0.06
    return (startsAtZero && low == 0 ? 0 : low - margin)...(startsAtZero && high == 0 ? 0 : high + margin)
  }
}

/// An axis that knows what it covers.
package struct FittedAxis {
  let axis: Axis
  /// From its lower to its upper end.
  package let range: ClosedRange<Double>
  /// Where numbers stand.
  package let ticks: [Double]
  /// Short ticks without labels.
  let minor: [Double]

  /// Where a value lies between the ends of the axis, 0 to 1.
  package func fraction(_ value: Double) -> Double {
    switch axis.scale {
    case .linear: (value - range.lowerBound) / (range.upperBound - range.lowerBound)
    case .log: log(value / range.lowerBound) / log(range.upperBound / range.lowerBound)
    }
  }

  /// The labels of the ticks, with as many digits as tell neighbours apart.
  package var labels: [String] { ticks.map { axis.format.text($0, step: step) } }

  private var step: Double? {
    guard axis.scale == .linear, ticks.count > 1 else { return nil }
    return zip(ticks, ticks.dropFirst()).map { $1 - $0 }.min()
  }
}
