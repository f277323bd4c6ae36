/// The names of series with a sample of each, in rows above the plot: never over data.
struct Legend {
  /// A sample and its name.
  struct Entry {
    let name: String
    let series: Series
  }

  static let rowHeight = 20.0
  private static let sampleWidth = 28.0
  private static let gap = 18.0
  private static let fontSize = 12.0

  let entries: [Entry]

  /// The entries in rows that are not wider than `width`.
  private func rows(width: Double) -> [[(entry: Entry, left: Double)]] {
    var rows: [[(entry: Entry, left: Double)]] = []
    var left = Double.infinity
    for entry in entries {
      let own = Legend.sampleWidth + 6 + textWidth(entry.name, size: Legend.fontSize)
      if left + own > width {
        rows.append([])
        left = 0
      }
      rows[rows.count - 1].append((entry, left))
      left += own + Legend.gap
    }
    return rows
  }

  /// How much room the legend takes.
  func height(width: Double) -> Double { Double(rows(width: width).count) * Legend.rowHeight }

  /// Draws it with its top left corner at a point.
  func draw(_ markup: inout Markup, left: Double, top: Double, width: Double) {
    for (index, row) in rows(width: width).enumerated() {
      let y = top + (Double(index) + 0.5) * Legend.rowHeight
      for (entry, offset) in row {
        let x = left + offset
        draw(entry.series, &markup, x, y)
        markup.element(
          "text", [("x", coordinate(x + Legend.sampleWidth + 6)), ("y", coordinate(y + 4))], text: entry.name)
      }
    }
  }

  private func draw(_ series: Series, _ markup: inout Markup, _ x: Double, _ y: Double) {
    if series.drawsLine {
      markup.element(
        "path",
        strokeAttributes(series, "M\(coordinate(x)) \(coordinate(y))H\(coordinate(x + Legend.sampleWidth))"))
    }
    if series.drawsMarkers {
      markup.element("path", markerAttributes(series, x + Legend.sampleWidth / 2, y))
    }
  }
}

/// The attributes of a series' line along a path.
func strokeAttributes(_ series: Series, _ path: String) -> [(String, String)] {
  guard let style = series.style else { return [("class", "reference"), ("d", path)] }
  var attributes = [("class", "line \(style.strokeClass)"), ("d", path)]
  if !style.dash.isEmpty { attributes.append(("stroke-dasharray", style.dash)) }
  return attributes
}

/// The attributes of a series' marker at a point.
func markerAttributes(_ series: Series, _ x: Double, _ y: Double) -> [(String, String)] {
  [("class", "marker \(series.fillClass)"), ("d", (series.style ?? Style(0)).marker(x, y))]
}
