/// How a series looks: a colour, and a marker and a dash so that it can be told without the colour. Numbered, so that the
/// same thing looks the same in every plot.
package struct Style: Sendable, Equatable {
  /// The number, from 0.
  package let number: Int

  /// The style of a number.
  package init(_ number: Int) { self.number = max(0, number) }

  private static let dashes = ["", "7 4", "2 4", "9 4 2 4", "5 3", "12 4", "2 3 6 3", "9 3 2 3 2 3"]

  /// The class of its strokes.
  var strokeClass: String { "s\(number % Palette.light.series.count)" }
  /// The class of its areas.
  var fillClass: String { "f\(number % Palette.light.series.count)" }
  /// Its line's dashes; empty for a whole line.
  package var dash: String { Style.dashes[number % Style.dashes.count] }

  /// Its marker around a point.
  package func marker(_ x: Double, _ y: Double, radius r: Double = 4.5) -> String {
    func polygon(_ points: [(Double, Double)]) -> String {
      "M" + points.map { "\(coordinate(x + r * $0.0)) \(coordinate(y + r * $0.1))" }.joined(separator: "L") + "Z"
    }
    switch number % 8 {
    case 0:
      let d = coordinate(2 * r)
      return
        "M\(coordinate(x - r)) \(coordinate(y))a\(coordinate(r)) \(coordinate(r)) 0 1 0 \(d) 0a\(coordinate(r)) \(coordinate(r)) 0 1 0 -\(d) 0Z"
    case 1: return polygon([(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)])
    case 2: return polygon([(0, -1.2), (1.1, 0.85), (-1.1, 0.85)])
    case 3: return polygon([(0, -1.3), (1.15, 0), (0, 1.3), (-1.15, 0)])
    case 4: return polygon([(0, 1.2), (1.1, -0.85), (-1.1, -0.85)])
    case 5:
      return polygon([
        (-0.4, -1.2), (0.4, -1.2), (0.4, -0.4), (1.2, -0.4), (1.2, 0.4), (0.4, 0.4), (0.4, 1.2), (-0.4, 1.2),
        (-0.4, 0.4), (-1.2, 0.4), (-1.2, -0.4), (-0.4, -0.4),
      ])
    case 6:
      return polygon([
        (-1.1, -0.55), (-0.55, -1.1), (0, -0.55), (0.55, -1.1), (1.1, -0.55), (0.55, 0), (1.1, 0.55), (0.55, 1.1),
        (0, 0.55), (-0.55, 1.1), (-1.1, 0.55), (-0.55, 0),
      ])
    default:
      return polygon([(0, -1.2), (1.14, -0.37), (0.7, 0.97), (-0.7, 0.97), (-1.14, -0.37)])
    }
  }
}
