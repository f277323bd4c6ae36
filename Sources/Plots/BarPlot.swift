/// Bars in groups, one group a category and one bar a series, as SVG.
package struct BarPlot: Sendable {
  /// The bars of one series, one a category.
  package struct Bars: Sendable {
    /// What the legend calls them.
    package let name: String
    /// The heights; nil where a category has none.
    package let values: [Double?]
    /// From where to where their error bars go.
    package let ranges: [ClosedRange<Double>?]
    /// How they look.
    package let style: Style

    /// Bars.
    package init(_ name: String, _ values: [Double?], ranges: [ClosedRange<Double>?] = [], style: Style) {
      (self.name, self.values, self.ranges, self.style) = (name, values, ranges, style)
    }
  }

  /// What the plot shows.
  package var title: String
  /// What a reader who does not see it should know.
  package var description = ""
  /// The title below the categories.
  package var categoryTitle: String
  /// The categories, from left to right.
  package var categories: [String]
  /// The axis upwards. On a linear one without a range bars start at zero.
  package var y: Axis
  /// The data.
  package var bars: [Bars]
  /// Levels to compare with.
  package var references: [ReferenceLine] = []
  /// In pixels.
  package var width = 640.0
  /// In pixels.
  package var height = 400.0

  /// A plot.
  package init(_ title: String, categoryTitle: String, categories: [String], y: Axis, _ bars: [Bars]) {
    (self.title, self.categoryTitle, self.categories, self.y, self.bars) = (title, categoryTitle, categories, y, bars)
    if y.range == nil { self.y.startsAtZero = true }
  }

  /// The image.
  /// - Parameter theme: Its colours; nil within a page that has `StyleSheet.rules` itself.
  /// - Returns: SVG.
  package func svg(_ theme: Theme? = .automatic) -> String {
    let values = bars.flatMap {
      $0.values.compactMap { $0 } + $0.ranges.compactMap { $0 }.flatMap { [$0.lowerBound, $0.upperBound] }
    }
    let legend = Legend(
      entries: bars.count > 1 ? bars.map { Legend.Entry(name: $0.name, sample: .bar($0.style)) } : [])
    let lines = categoryLines
    let frame = Frame(
      Frame.Setting(title: title, legend: legend, width: width, height: height, references: references),
      y: y.fitted(to: values + references.map(\.y), ticks: Int(height / 70)),
      bottom: 24 + 14 * Double(lines.map(\.count).max() ?? 1), lastLabel: 0)
    return frame.svg(description: description, theme: theme) { markup in
      draw(frame, lines, &markup)
    }
  }

  /// The categories' names, broken where they are wider than their room.
  private var categoryLines: [[String]] {
    let room = (width - 80) / Double(max(1, categories.count)) - 6
    return categories.map { wrapped($0, width: room, size: 12) }
  }

  private func draw(_ frame: Frame, _ lines: [[String]], _ markup: inout Markup) {
    let slot = frame.area.width / Double(max(1, categories.count))
    let zero = y.scale == .linear ? min(max(frame.yPixel(0), frame.area.top), frame.area.bottom) : frame.area.bottom
    let barWidth = min(slot * 0.8 / Double(max(1, bars.count)), 56)
    for category in categories.indices {
      let middle = frame.area.left + (Double(category) + 0.5) * slot
      let left = middle - barWidth * Double(bars.count) / 2
      for (index, series) in bars.enumerated() where series.values.indices.contains(category) {
        guard let value = series.values[category], y.shows(value) else { continue }
        let box = Box(
          left: left + Double(index) * barWidth, top: 0, right: left + Double(index + 1) * barWidth, bottom: 0)
        draw(series, category, value, box, zero, frame, &markup)
      }
      for (number, line) in lines[category].enumerated() {
        markup.element(
          "text",
          [
            ("class", "middle"), ("x", coordinate(middle)),
            ("y", coordinate(frame.area.bottom + 17 + 14 * Double(number))),
          ],
          text: line)
      }
    }
    frame.drawLowerAxis(&markup, title: categoryTitle, ticks: [], baseline: zero)
  }

  private func draw(
    _ series: Bars, _ category: Int, _ value: Double, _ box: Box, _ zero: Double, _ frame: Frame, _ markup: inout Markup
  ) {
    let end = min(max(frame.yPixel(value), frame.area.top), frame.area.bottom)
    let middle = (box.left + box.right) / 2
    markup.group(
      "rect",
      [
        ("class", "bar \(series.style.fillClass)"), ("x", coordinate(box.left)), ("y", coordinate(min(end, zero))),
        ("width", coordinate(box.width)), ("height", coordinate(abs(zero - end))),
      ]
    ) { $0.element("title", text: "\(series.name), \(categories[category]): \(y.format.text(value))") }
    // The marker of the legend, so that a bar can be told without its colour.
    if bars.count > 1, box.width >= 10, abs(zero - end) >= 16 {
      markup.element(
        "path", [("class", "on"), ("d", series.style.marker(middle, zero - (zero > end ? 9 : -9), radius: 3.5))])
    }
    if series.ranges.indices.contains(category), let range = series.ranges[category] {
      let ends = [range.lowerBound, range.upperBound].map { value in
        y.shows(value) ? min(max(frame.yPixel(value), frame.area.top), frame.area.bottom) : frame.area.bottom
      }
      let caps = ends.map { "M\(coordinate(middle - 4)) \(coordinate($0))h8" }.joined()
      markup.element(
        "path",
        [("class", "axis"), ("d", "M\(coordinate(middle)) \(coordinate(ends[0]))V\(coordinate(ends[1]))\(caps)")])
    }
  }
}
