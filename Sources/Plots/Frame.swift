/// What every plot has around its data: title, legend, axes, and the area that is left for the data.
struct Frame {
  /// What a plot is drawn with.
  struct Setting {
    var title: String
    var legend: Legend
    var width: Double
    var height: Double
    /// Names at the right of the area.
    var references: [ReferenceLine] = []
  }

  static let margin = 12.0
  private static let tickLength = 5.0
  private static let fontSize = 12.0
  private static let titleSize = 15.0
  private static let titleHeight = 22.0

  let setting: Setting
  let y: FittedAxis
  /// Where data go.
  let area: Box
  private let titleLines: [String]
  private let legendTop: Double

  /// Lays a plot out.
  /// - Parameters:
  ///   - setting: What is around.
  ///   - y: The upward axis.
  ///   - bottom: How much room labels below the area take, with the title of the axis.
  ///   - lastLabel: How far the last label below reaches beyond the area, at most.
  init(_ setting: Setting, y: FittedAxis, bottom: Double, lastLabel: Double) {
    self.setting = setting
    self.y = y
    let inner = setting.width - 2 * Frame.margin
    titleLines = setting.title.isEmpty ? [] : wrapped(setting.title, width: inner, size: Frame.titleSize)
    legendTop = Frame.margin + Double(titleLines.count) * Frame.titleHeight
    let top = legendTop + setting.legend.height(width: inner) + 26
    let labels = y.labels.map { textWidth($0, size: Frame.fontSize) }.max() ?? 0
    let names = setting.references.map { textWidth($0.name, size: Frame.fontSize) + 8 }.max() ?? 0
    area = Box(
      left: Frame.margin + labels + Frame.tickLength + 4, top: top,
      right: max(setting.width - Frame.margin - max(names, lastLabel), Frame.margin + labels + 60),
      bottom: max(setting.height - Frame.margin - bottom, top + 60))
  }

  /// The pixel of a value of the upward axis.
  func yPixel(_ value: Double) -> Double { area.bottom - y.fraction(value) * area.height }

  /// The image with everything around the data, then the data.
  func svg(description: String, theme: Theme?, _ data: (inout Markup) -> Void) -> String {
    image(width: setting.width, height: setting.height, title: setting.title, description, theme) { markup in
      for (index, line) in titleLines.enumerated() {
        markup.element(
          "text",
          [
            ("class", "title"), ("x", coordinate(Frame.margin)),
            ("y", coordinate(Frame.margin + 14 + 22 * Double(index))),
          ],
          text: line)
      }
      setting.legend.draw(
        &markup, left: Frame.margin, top: legendTop, width: setting.width - 2 * Frame.margin)
      drawUpwardAxis(&markup)
      data(&markup)
    }
  }

  private func drawUpwardAxis(_ markup: inout Markup) {
    markup.element(
      "text", [("class", "muted"), ("x", coordinate(Frame.margin)), ("y", coordinate(area.top - 12))],
      text: y.axis.title)
    for (tick, label) in zip(y.ticks, y.labels) {
      let pixel = yPixel(tick)
      line(&markup, "grid", area.left, pixel, area.right, pixel)
      markup.element(
        "text",
        [("class", "end"), ("x", coordinate(area.left - Frame.tickLength - 2)), ("y", coordinate(pixel + 4))],
        text: label
      )
    }
    for (reference, box) in zip(references, referenceNames) {
      let pixel = yPixel(reference.y)
      line(&markup, "reference", area.left, pixel, area.right, pixel)
      markup.element(
        "text", [("class", "muted"), ("x", coordinate(box.left)), ("y", coordinate(box.top + 11))],
        text: reference.name)
    }
  }

  /// Where the names of the lines stand, right of the data.
  var referenceNames: [Box] {
    zip(references, spread(references.map { yPixel($0.y) }, apart: 14)).map { reference, y in
      let left = area.right + 6
      let width = textWidth(reference.name, size: Frame.fontSize)
      return Box(left: left, top: y - 7, right: left + width, bottom: y + 7)
    }
  }

  /// The lines themselves, across the data.
  var referenceLines: [Box] {
    references.map { reference in
      let pixel = yPixel(reference.y)
      return Box(left: area.left, top: pixel - 1, right: area.right, bottom: pixel + 1)
    }
  }

  private var references: [ReferenceLine] {
    setting.references.filter { y.axis.shows($0.y) && y.range.contains($0.y) }.sorted { $0.y > $1.y }
  }

  /// The axis below the data with its ticks and title.
  func drawLowerAxis(
    _ markup: inout Markup, title: String, ticks: [(pixel: Double, label: String)], minor: [Double] = []
  ) {
    for tick in ticks {
      line(&markup, "axis", tick.pixel, area.bottom, tick.pixel, area.bottom + Frame.tickLength)
      markup.element(
        "text",
        [("class", "middle"), ("x", coordinate(tick.pixel)), ("y", coordinate(area.bottom + Frame.tickLength + 14))],
        text: tick.label)
    }
    for pixel in minor { line(&markup, "axis", pixel, area.bottom, pixel, area.bottom + 3) }
    line(&markup, "axis", area.left, area.bottom, area.right, area.bottom)
    markup.element(
      "text",
      [
        ("class", "muted middle"), ("x", coordinate((area.left + area.right) / 2)),
        ("y", coordinate(setting.height - Frame.margin)),
      ], text: title)
  }
}

/// A straight line of a class.
func line(_ markup: inout Markup, _ name: String, _ x1: Double, _ y1: Double, _ x2: Double, _ y2: Double) {
  markup.element(
    "path",
    [("class", name), ("d", "M\(coordinate(x1)) \(coordinate(y1))L\(coordinate(x2)) \(coordinate(y2))")])
}

/// An image with a title that screen readers read; with its own rules where it has a theme.
func image(
  width: Double, height: Double, title: String, _ description: String, _ theme: Theme?,
  _ content: (inout Markup) -> Void
) -> String {
  var markup = Markup()
  let (w, h) = (coordinate(width), coordinate(height))
  markup.group(
    "svg",
    [
      ("xmlns", "http://www.w3.org/2000/svg"), ("class", "plot"), ("viewBox", "0 0 \(w) \(h)"), ("width", w),
      ("height", h), ("role", "img"), ("aria-label", title),
    ]
  ) { markup in
    markup.element("title", text: title)
    if !description.isEmpty { markup.element("desc", text: description) }
    if let theme { markup.raw("<style>\n\(StyleSheet.rules(theme))</style>\n") }
    markup.element("rect", [("class", "paper"), ("width", w), ("height", h)])
    content(&markup)
  }
  return markup.text
}

/// A text in lines that are not wider than `width`: cut at spaces, and a word that is too wide for a line after its colons
/// and equals signs too; what is left of one may be wider.
func wrapped(_ text: String, width: Double, size: Double) -> [String] {
  var lines: [String] = []
  for word in text.split(separator: " ").map(String.init) {
    let parts = textWidth(word, size: size) <= width ? [word] : parts(of: word)
    for (index, part) in parts.enumerated() {
      let joined = (lines.last ?? "") + (index == 0 ? " " : "") + part
      if lines.isEmpty || textWidth(joined, size: size) > width {
        lines.append(part)
      } else {
        lines[lines.count - 1] = joined
      }
    }
  }
  return lines
}

private func parts(of word: String) -> [String] {
  var parts = [""]
  for character in word {
    parts[parts.count - 1].append(character)
    if ":=".contains(character) { parts.append("") }
  }
  return parts.filter { !$0.isEmpty }
}

/// Ascending positions moved as little as need be until neighbours are `apart`.
package func spread(_ positions: [Double], apart: Double) -> [Double] {
  var result = positions
  for _ in 0..<100 {
    var hasMoved = false
    for index in result.indices.dropFirst() {
      let missing = apart - (result[index] - result[index - 1])
      guard missing > 1e-6 else { continue }
      result[index - 1] -= missing / 2
      result[index] += missing / 2
      hasMoved = true
    }
    if !hasMoved { break }
  }
  return result
}
