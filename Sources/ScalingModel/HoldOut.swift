/// A point that the model did not see, beside what the model says of it.
package struct HoldOut: Sendable {
  /// The point.
  package let point: MeasuredPoint
  /// Seconds of a step by the model that was fitted to the other points.
  package let predicted: Double
  /// Predicted over measured, less 1.
  package var error: Double { predicted / point.seconds - 1 }

  /// Leaves out one point after another, fits the model to the others, and asks it for the one.
  /// - Returns: A result for each point that the others say anything of.
  package static func each(of points: [MeasuredPoint]) -> [HoldOut] {
    points.indices.compactMap { index in
      var others = points
      let one = others.remove(at: index)
      return predict(one, from: others)
    }
  }

  /// Fits the model to the points of few ranks and asks it for the others.
  package static func beyond(ranks: Int, of points: [MeasuredPoint]) -> [HoldOut] {
    let seen = points.filter { $0.setting.ranks <= ranks }
    return points.filter { $0.setting.ranks > ranks }.compactMap { predict($0, from: seen) }
  }

  private static func predict(_ one: MeasuredPoint, from others: [MeasuredPoint]) -> HoldOut? {
    // Two unknowns of a method need two points of it.
    guard others.filter({ $0.setting.method == one.setting.method }).count >= 2 else { return nil }
    return StepModel(fitting: others).step(one.setting, load: one.load)
      .map { HoldOut(point: one, predicted: $0.total) }
  }
}
