/// Points and lines over two axes, as SVG.
package struct Plot: Sendable {
  /// What the plot shows.
  package var title: String
  /// What a reader who does not see it should know.
  package var description = ""
  /// The axis across.
  package var x: Axis
  /// The axis upwards.
  package var y: Axis
  /// The data.
  package var series: [Series]
  /// Levels to compare with.
  package var references: [ReferenceLine] = []
  /// In pixels.
  package var width = 640.0
  /// In pixels.
  package var height = 400.0

  /// A plot.
  package init(_ title: String, x: Axis, y: Axis, _ series: [Series]) {
    (self.title, self.x, self.y, self.series) = (title, x, y, series)
  }

  /// The image.
  /// - Parameter theme: Its colours; nil within a page that has `StyleSheet.rules` itself.
  /// - Returns: SVG.
  package func svg(_ theme: Theme? = .automatic) -> String {
    let shown = series.map { series in
      Series(
        series.name, series.points.filter { x.shows($0.x) && y.shows($0.y) }, style: series.style, form: series.form)
    }
    let points = shown.flatMap(\.points)
    let ys = points.flatMap { [$0.y, $0.yRange?.lowerBound ?? $0.y, $0.yRange?.upperBound ?? $0.y] }
    let xs = points.flatMap { [$0.x, $0.xRange?.lowerBound ?? $0.x, $0.xRange?.upperBound ?? $0.x] }
    let across = x.fitted(to: xs, ticks: Int(width / 90))
    let legend = Legend(
      entries: shown.filter { !$0.name.isEmpty }.map { Legend.Entry(name: $0.name, series: $0) })
    let frame = Frame(
      Frame.Setting(title: title, legend: legend, width: width, height: height, references: references),
      y: y.fitted(to: ys + references.map(\.y), ticks: Int(height / 70)), bottom: 38,
      lastLabel: (across.labels.last.map { textWidth($0, size: 12) } ?? 0) / 2)
    return frame.svg(description: description, theme: theme) { markup in
      PlotDrawing(frame: frame, x: across).draw(shown, &markup, lowerTitle: x.title)
    }
  }
}

/// The data of a plot in their frame.
private struct PlotDrawing {
  let frame: Frame
  let x: FittedAxis

  private func pixel(_ x: Double, _ y: Double) -> Pixel {
    Pixel(x: xPixel(x), y: frame.yPixel(y))
  }

  private func xPixel(_ value: Double) -> Double { frame.area.left + x.fraction(value) * frame.area.width }

  func draw(_ series: [Series], _ markup: inout Markup, lowerTitle: String) {
    let labels = zip(x.ticks, x.labels).map { (pixel: xPixel($0), label: $1) }
    frame.drawLowerAxis(
      &markup, title: lowerTitle, ticks: PlotDrawing.apart(labels), minor: x.minor.map(xPixel))
    for series in series where series.drawsLine { drawLine(series, &markup) }
    for series in series { drawErrors(series, &markup) }
    for series in series where series.drawsMarkers { drawMarkers(series, &markup) }
    drawLabels(series, &markup)
  }

  /// Labels that do not run into each other: the first, and each that leaves room.
  private static func apart(_ ticks: [(pixel: Double, label: String)]) -> [(pixel: Double, label: String)] {
    var end = -Double.infinity
    return ticks.map { tick in
      let half = textWidth(tick.label, size: 12) / 2
      guard tick.pixel - half >= end + 6 else { return (tick.pixel, "") }
      end = tick.pixel + half
      return tick
    }
  }

  private func drawLine(_ series: Series, _ markup: inout Markup) {
    var path = ""
    var last: Pixel?
    for (a, b) in zip(series.points, series.points.dropFirst()) {
      guard let (start, end) = frame.area.clip(pixel(a.x, a.y), pixel(b.x, b.y)) else { continue }
      if last != start { path += "M\(coordinate(start.x)) \(coordinate(start.y))" }
      path += "L\(coordinate(end.x)) \(coordinate(end.y))"
      last = end
    }
    if !path.isEmpty { markup.element("path", strokeAttributes(series, path)) }
  }

  private func drawErrors(_ series: Series, _ markup: inout Markup) {
    var path = ""
    for point in series.points where isInside(point) {
      let centre = pixel(point.x, point.y)
      if let range = point.yRange {
        let (low, high) = (clampedY(range.lowerBound), clampedY(range.upperBound))
        path += "M\(coordinate(centre.x)) \(coordinate(low))V\(coordinate(high))"
        for end in [low, high] { path += "M\(coordinate(centre.x - 4)) \(coordinate(end))h8" }
      }
      if let range = point.xRange {
        let (low, high) = (clampedX(range.lowerBound), clampedX(range.upperBound))
        path += "M\(coordinate(low)) \(coordinate(centre.y))H\(coordinate(high))"
        for end in [low, high] { path += "M\(coordinate(end)) \(coordinate(centre.y - 4))v8" }
      }
    }
    if !path.isEmpty { markup.element("path", [("class", "error \(series.strokeClass)"), ("d", path)]) }
  }

  private func clampedY(_ value: Double) -> Double {
    guard frame.y.axis.shows(value) else { return frame.area.bottom }
    return min(max(frame.yPixel(value), frame.area.top), frame.area.bottom)
  }

  private func clampedX(_ value: Double) -> Double {
    guard x.axis.shows(value) else { return frame.area.left }
    return min(max(xPixel(value), frame.area.left), frame.area.right)
  }

  private func isInside(_ point: Point) -> Bool {
    let centre = pixel(point.x, point.y)
    return frame.area.contains(centre.x, centre.y)
  }

  private func drawMarkers(_ series: Series, _ markup: inout Markup) {
    for point in series.points where isInside(point) {
      let centre = pixel(point.x, point.y)
      markup.group("path", markerAttributes(series, centre.x, centre.y)) { markup in
        let name = [series.name, point.label ?? ""].filter { !$0.isEmpty }.joined(separator: ", ")
        let values = "\(x.axis.format.text(point.x)), \(frame.y.axis.format.text(point.y))"
        markup.element("title", text: name.isEmpty ? values : "\(name): \(values)")
      }
    }
  }

  /// Puts words beside their points: right, left, above or below, where they cover no marker, no name of a line and no
  /// other word, and if there is such a place no line of a reference; a word for which there is none is left out, the
  /// legend and the pointer's tip still have it.
  private func drawLabels(_ series: [Series], _ markup: inout Markup) {
    let points = series.flatMap(\.points).filter(isInside)
    var taken = points.map { point in
      let centre = pixel(point.x, point.y)
      return Box(left: centre.x - 6, top: centre.y - 6, right: centre.x + 6, bottom: centre.y + 6)
    }
    taken += points.compactMap { point in
      point.yRange.map { range in
        let cx = xPixel(point.x)
        return Box(left: cx - 5, top: clampedY(range.upperBound), right: cx + 5, bottom: clampedY(range.lowerBound))
      }
    }
    taken += points.compactMap { point in
      point.xRange.map { range in
        let cy = frame.yPixel(point.y)
        return Box(left: clampedX(range.lowerBound), top: cy - 5, right: clampedX(range.upperBound), bottom: cy + 5)
      }
    }
    taken += frame.referenceNames
    for point in points {
      guard let label = point.label, !label.isEmpty else { continue }
      let (cx, cy) = (xPixel(point.x), frame.yPixel(point.y))
      let width = textWidth(label, size: 12)
      let places = [
        (cx + 9, cy), (cx - 9 - width, cy), (cx - width / 2, cy - 15), (cx - width / 2, cy + 15), (cx + 7, cy - 13),
        (cx + 7, cy + 13), (cx - 7 - width, cy - 13), (cx - 7 - width, cy + 13),
      ]
      let boxes = places.map { Box(left: $0.0, top: $0.1 - 7, right: $0.0 + width, bottom: $0.1 + 7) }
      let image = Box(
        left: frame.area.left, top: frame.area.top - 8, right: frame.setting.width, bottom: frame.area.bottom)
      let free = boxes.filter { box in image.contains(box) && !taken.contains { $0.overlaps(box) } }
      let lines = frame.referenceLines
      guard let box = free.first(where: { box in !lines.contains { $0.overlaps(box) } }) ?? free.first
      else { continue }
      taken.append(box)
      markup.element("text", [("x", coordinate(box.left)), ("y", coordinate(box.top + 11))], text: label)
    }
  }
}
