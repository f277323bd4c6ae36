/// What a progress line says, and how it is laid out in a number of columns.
struct ProgressLine {
  var name: String
  var done: Int
  var total: Int
  var unit: String
  var loss: Double?
  var perSecond: Double?

  private static let narrowestBar = 10
  private static let widestBar = 40
  private static let gap = "  "

  /// What a line can leave out, the least missed first.
  private enum Part: CaseIterable { case unit, counts, rate, bar, loss, remaining }

  /// The line for a terminal, never wider than `columns`; `paint` colours the part of the bar that is done.
  func bar(columns: Int, paint: (String) -> String = { $0 }) -> String {
    var without: Set<Part> = []
    for part in [nil] + Part.allCases.map(Optional.some) {
      if let part { without.insert(part) }
      let before = name.isEmpty ? "" : name + ProgressLine.gap
      let after = texts(without: without).joined(separator: ProgressLine.gap)
      let room = columns - before.displayWidth - after.displayWidth
      if without.contains(.bar) {
        if room >= 0 { return before + after }
      } else {
        // Brackets and the space after them take three columns.
        let width = min(room - 3, ProgressLine.widestBar)
        if width >= ProgressLine.narrowestBar { return before + drawn(width, paint) + " " + after }
      }
    }
    return (percentage + " " + name).truncated(toColumns: columns)
  }

  /// The line for a log.
  func plain() -> String {
    let before = name.isEmpty ? "" : name + ProgressLine.gap
    return before + texts(without: []).joined(separator: ProgressLine.gap)
  }

  /// The share that is done, from 0 to 1.
  var fraction: Double {
    total > 0 ? min(1, max(0, Double(done) / Double(total))) : 1
  }

  // Rounded down: 100 % is said when all is done.
  private var percentage: String { "\(Int(fraction * 100)) %".padded(toColumns: 5, trailing: true) }

  /// Fields keep their width while numbers grow, so that the line stands still.
  private func texts(without: Set<Part>) -> [String] {
    var result = [percentage]
    if !without.contains(.counts) {
      let all = Format.count(total)
      result.append("\(Format.count(done).padded(toColumns: all.displayWidth, trailing: true))/\(all)")
    }
    if let loss, !without.contains(.loss) {
      result.append("loss " + Format.figure(loss).padded(toColumns: 5, trailing: true))
    }
    if let perSecond, !without.contains(.rate) {
      let rate = Format.rate(perSecond).padded(toColumns: 6, trailing: true)
      result.append(without.contains(.unit) ? rate + "/s" : "\(rate) \(unit)/s")
    }
    if !without.contains(.remaining) {
      result.append("ETA " + remaining)
    }
    return result
  }

  private var remaining: String {
    let left = Double(max(0, total - done))
    guard let perSecond, perSecond > 0 || left == 0 else { return Format.duration(.nan) }
    return Format.duration(left == 0 ? 0 : left / perSecond)
  }

  private func drawn(_ width: Int, _ paint: (String) -> String) -> String {
    let filled = Int(fraction * Double(width))
    let head = filled > 0 && filled < width ? String(repeating: "=", count: filled - 1) + ">" : ""
    let body = filled == width ? String(repeating: "=", count: width) : head
    return "[" + (body.isEmpty ? "" : paint(body)) + String(repeating: " ", count: width - filled) + "]"
  }
}
