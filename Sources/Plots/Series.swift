/// A point of a plot.
package struct Point: Sendable, Equatable {
  /// Its place across.
  package let x: Double
  /// Its place upwards.
  package let y: Double
  /// From where to where its error bar goes; none when nil.
  package let yRange: ClosedRange<Double>?
  /// The same across.
  package let xRange: ClosedRange<Double>?
  /// A word beside it, where there is room.
  package let label: String?

  /// A point.
  package init(
    _ x: Double, _ y: Double, yRange: ClosedRange<Double>? = nil, xRange: ClosedRange<Double>? = nil,
    label: String? = nil
  ) {
    (self.x, self.y, self.yRange, self.xRange, self.label) = (x, y, yRange, xRange, label)
  }
}

/// Points that belong together.
package struct Series: Sendable {
  /// What is drawn of the points.
  package enum Form: Sendable {
    /// A line through them.
    case line
    /// A marker at each.
    case markers
    /// Both.
    case lineAndMarkers
  }

  /// What the legend calls it; no entry when empty.
  package let name: String
  /// The points, in the order in which the line goes.
  package let points: [Point]
  /// How it looks; nil for something to compare with, such as an ideal or a published figure, which stands back.
  package let style: Style?
  /// What is drawn.
  package let form: Form

  /// A series.
  package init(_ name: String, _ points: [Point], style: Style?, form: Form = .lineAndMarkers) {
    (self.name, self.points, self.style, self.form) = (name, points, style, form)
  }

  var drawsLine: Bool { form != .markers }
  var drawsMarkers: Bool { form != .line }

  /// The class of its strokes, and of its areas.
  var strokeClass: String { style?.strokeClass ?? "reference" }
  var fillClass: String { style?.fillClass ?? "muted" }
}

/// A level to compare with, named at the right of the plot.
package struct ReferenceLine: Sendable, Equatable {
  /// The level.
  package let y: Double
  /// Its name.
  package let name: String

  /// A level.
  package init(_ y: Double, _ name: String) { (self.y, self.name) = (y, name) }
}
