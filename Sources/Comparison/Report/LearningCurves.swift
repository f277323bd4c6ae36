internal import Console
internal import FoundationEssentials
internal import JSON
internal import Plots
internal import Training

/// How loss and accuracy went, of the first seed, from the cells' `metrics.jsonl`.
struct LearningCurves {
  private let table: ComparisonTable

  init(_ table: ComparisonTable) { self.table = table }

  /// The training loss by step.
  func loss(_ trainCount: Int) -> Plot {
    func series(_ form: Series.Form) -> [Series] {
      self.series(trainCount, form: form) { event in
        event.event == "step" ? event.loss.map { Point(Double(event.step), $0) } : nil
      }
    }
    let lines = series(.line)
    // A short run has few points, which are no line, or hardly one.
    let isShort = lines.allSatisfy { $0.points.count < 10 }
    return Plot(
      "Training loss, \(Format.count(trainCount)) reviews", x: Axis("optimiser step"),
      y: Axis("cross-entropy (nats a review)"), isShort ? series(.lineAndMarkers) : lines)
  }

  /// The accuracy of the evaluations on the way; nil where there was only the last.
  func accuracy(_ trainCount: Int) -> Plot? {
    func series(_ split: String) -> [Series] {
      self.series(trainCount, form: .lineAndMarkers) { event in
        event.split == split ? event.accuracy.map { Point(Double(event.step), $0) } : nil
      }
    }
    // With validation reviews the test reviews come once, at the end.
    let validation = series("validation")
    let series = validation.contains { !$0.points.isEmpty } ? validation : series("test")
    guard series.contains(where: { $0.points.count > 1 }) else { return nil }
    return Plot(
      "Accuracy on the way, \(Format.count(trainCount)) reviews", x: Axis("optimiser step"),
      y: Axis("accuracy", format: .figure), series)
  }

  /// A line of `metrics.jsonl`, as far as curves need it.
  private struct Event: Decodable {
    let event: String
    let step: Int
    /// Of an evaluation.
    let split: String?
    let loss: Double?
    let accuracy: Double?
  }

  private func series(_ trainCount: Int, form: Series.Form, _ point: (Event) -> Point?) -> [Series] {
    let methods = table.methods
    return table.rows.filter { $0.trainCount == trainCount }.compactMap { row in
      guard let directory = row.cells.first?.cell.directory else { return nil }
      let points = thinned(LearningCurves.events(directory).compactMap(point))
      return Series(row.method, points, style: Style(methods.firstIndex(of: row.method) ?? 0), form: form)
    }
  }

  private static func events(_ directory: String) -> [Event] {
    guard let text = try? String(contentsOfFile: directory + "/metrics.jsonl", encoding: .utf8) else { return [] }
    return text.split(separator: "\n").compactMap {
      try? JSONValue.decode(Event.self, from: Array($0.utf8), source: directory)
    }
  }

  /// At most 200 points: means of equally many neighbours, so that noise does not hide the course.
  private func thinned(_ points: [Point]) -> [Point] {
    let size = (points.count + 199) / 200
    guard size > 1 else { return points }
    return stride(from: 0, to: points.count, by: size).map { start in
      let part = points[start..<min(start + size, points.count)]
      let count = Double(part.count)
      return Point(part.reduce(0) { $0 + $1.x } / count, part.reduce(0) { $0 + $1.y } / count)
    }
  }
}
