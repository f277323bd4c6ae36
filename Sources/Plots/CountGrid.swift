/// A confusion matrix: counts in a square, a row a true class, shaded by the share of their row; as SVG.
package struct CountGrid: Sendable {
  /// What it shows.
  package var title: String
  /// The classes.
  package var classes: [String]
  /// `[truth][prediction]`.
  package var counts: [[Int]]

  /// A grid.
  package init(_ title: String, classes: [String], counts: [[Int]]) {
    (self.title, self.classes, self.counts) = (title, classes, counts)
  }

  private var cell: Double { counts.count <= 4 ? 84 : 56 }

  /// The image.
  /// - Parameter theme: Its colours; nil within a page that has `StyleSheet.rules` itself.
  /// - Returns: SVG.
  package func svg(_ theme: Theme? = .automatic) -> String {
    let labels = classes.map { textWidth($0, size: 12) }.max() ?? 0
    let left = Frame.margin + labels + 10
    let grid = cell * Double(counts.count)
    let width = max(left + grid + Frame.margin, 232)
    let lines = wrapped(title, width: width - 2 * Frame.margin, size: 15)
    let top = Frame.margin + 22 * Double(lines.count) + 42
    return image(width: width, height: top + grid + Frame.margin, title: title, "", theme) { markup in
      for (index, line) in lines.enumerated() {
        markup.element(
          "text",
          [
            ("class", "title"), ("x", coordinate(Frame.margin)),
            ("y", coordinate(Frame.margin + 14 + 22 * Double(index))),
          ],
          text: line)
      }
      markup.element(
        "text", [("class", "muted"), ("x", coordinate(Frame.margin)), ("y", coordinate(top - 26))],
        text: "rows: truth, columns: prediction")
      for index in counts.indices { drawRow(index, left, top, &markup) }
    }
  }

  private func drawRow(_ row: Int, _ left: Double, _ top: Double, _ markup: inout Markup) {
    let name = classes.indices.contains(row) ? classes[row] : "\(row)"
    let total = counts[row].reduce(0, +)
    let middle = (Double(row) + 0.5) * cell
    markup.element(
      "text", [("class", "middle"), ("x", coordinate(left + middle)), ("y", coordinate(top - 8))], text: name)
    markup.element(
      "text", [("class", "end"), ("x", coordinate(left - 8)), ("y", coordinate(top + middle + 4))], text: name)
    for (column, count) in counts[row].enumerated() {
      let share = total > 0 ? Double(count) / Double(total) : 0
      let x = left + Double(column) * cell
      let y = top + Double(row) * cell
      markup.element(
        "rect",
        [
          ("class", "bar f0"), ("x", coordinate(x)), ("y", coordinate(y)), ("width", coordinate(cell)),
          ("height", coordinate(cell)), ("fill-opacity", coordinate(0.06 + 0.44 * share)),
        ])
      markup.element(
        "text", [("class", "middle"), ("x", coordinate(x + cell / 2)), ("y", coordinate(y + cell / 2 - 2))],
        text: Axis.Format.plain.text(Double(count), step: 1))
      markup.element(
        "text", [("class", "muted middle"), ("x", coordinate(x + cell / 2)), ("y", coordinate(y + cell / 2 + 14))],
        text: Axis.Format.percent.text(share, step: 0.001))
    }
  }
}
