/// A table of text: columns aligned by what they hold, for a terminal or as Markdown.
///
/// A column whose cells all begin like numbers (`.871`, `-3`, `0.33 %`, `01:15`; an empty cell or a dash says nothing)
/// stands at the right, any other at the left. Where all headings are empty the table has neither heading nor rule.
package struct Table: Sendable {
  /// Which side of its column a cell stands at.
  package enum Alignment: Sendable {
    /// By what the column holds.
    case automatic
    /// At the left.
    case leading
    /// At the right.
    case trailing
  }

  /// A column: its heading and its side.
  package struct Column: Sendable, ExpressibleByStringLiteral {
    /// What stands above the column.
    package let heading: String
    /// Which side the cells stand at.
    package let alignment: Alignment

    /// A column with a heading.
    package init(_ heading: String, _ alignment: Alignment = .automatic) {
      self.heading = heading.printable
      self.alignment = alignment
    }

    /// A column aligned by what it holds.
    package init(stringLiteral heading: String) { self.init(heading) }
  }

  private let columns: [Column]
  private var rows: [[String]] = []
  private static let gap = "  "
  private static let narrowest = 8

  /// An empty table.
  package init(_ columns: [Column]) { self.columns = columns }

  /// Adds a row; missing cells are empty, and cells beyond the last column are a mistake of the caller.
  package mutating func add(_ cells: [String]) {
    precondition(cells.count <= columns.count, "a row has more cells than the table has columns")
    let missing = Array(repeating: "", count: columns.count - cells.count)
    rows.append(cells.map(\.printable) + missing)
  }

  /// Adds a row; missing cells are empty, and cells beyond the last column are a mistake of the caller.
  package mutating func add(_ cells: String...) { add(cells) }

  /// The table for a terminal, a line break after each line.
  ///
  /// - Parameter width: Where given, text columns are cut (`…`) until the table fits; numbers are never cut.
  /// - Returns: The lines, without spaces at their ends.
  package func text(width: Int? = nil) -> String {
    var widths = naturalWidths
    if let width { shrink(&widths, to: width) }
    var result = ""
    if columns.contains(where: { !$0.heading.isEmpty }) {
      result += line(columns.map(\.heading), widths)
      result += line(widths.map { String(repeating: "-", count: $0) }, widths)
    }
    for row in rows { result += line(row, widths) }
    return result
  }

  /// The table in Markdown, its source aligned too.
  package func markdown() -> String {
    let escaped = rows.map { $0.map { Table.escape($0) } }
    let headings = columns.map { Table.escape($0.heading) }
    var widths = headings.map { max(3, $0.displayWidth) }
    for row in escaped {
      for (column, cell) in row.enumerated() { widths[column] = max(widths[column], cell.displayWidth) }
    }
    func line(_ cells: [String]) -> String {
      let padded = cells.indices.map { cells[$0].padded(toColumns: widths[$0], trailing: isTrailing($0)) }
      return "| " + padded.joined(separator: " | ") + " |\n"
    }
    let rule = widths.indices.map { column in
      let dashes = String(repeating: "-", count: widths[column] - 1)
      return isTrailing(column) ? dashes + ":" : dashes + "-"
    }
    return line(headings) + "| " + rule.joined(separator: " | ") + " |\n" + escaped.map(line).joined()
  }

  // MARK: Layout

  private var naturalWidths: [Int] {
    columns.indices.map { column in
      rows.reduce(columns[column].heading.displayWidth) { max($0, $1[column].displayWidth) }
    }
  }

  private func isTrailing(_ column: Int) -> Bool {
    switch columns[column].alignment {
    case .leading: return false
    case .trailing: return true
    case .automatic:
      let telling = rows.map { $0[column] }.filter { !["", "-", "–", "—"].contains($0) }
      return !telling.isEmpty && telling.allSatisfy(Table.looksLikeNumber)
    }
  }

  private static func looksLikeNumber(_ cell: String) -> Bool {
    let start = cell.drop { "+-±[<>≤≥~ ".contains($0) }
    guard let first = start.first else { return false }
    return isDigit(first) || (first == "." && start.dropFirst().first.map(isDigit) == true)
      || cell == "nan" || cell.hasSuffix("inf")
  }

  private static func isDigit(_ character: Character) -> Bool { ("0"..."9").contains(character) }

  /// Takes columns away from the widest text column, one at a time, until the table fits or none can give.
  private func shrink(_ widths: inout [Int], to width: Int) {
    let canGive = columns.indices.filter { !isTrailing($0) }
    var excess = widths.reduce(Table.gap.count * (widths.count - 1), +) - width
    while excess > 0, let widest = canGive.max(by: { widths[$0] < widths[$1] }),
      widths[widest] > Table.narrowest
    {
      widths[widest] -= 1
      excess -= 1
    }
  }

  private func line(_ cells: [String], _ widths: [Int]) -> String {
    var text = ""
    for (column, cell) in cells.enumerated() {
      if column > 0 { text += Table.gap }
      let fitting = cell.truncated(toColumns: widths[column])
      text += fitting.padded(toColumns: widths[column], trailing: isTrailing(column))
    }
    while text.last == " " { text.removeLast() }
    return text + "\n"
  }

  private static func escape(_ cell: String) -> String {
    cell.split(separator: "|", omittingEmptySubsequences: false).joined(separator: "\\|")
  }
}
