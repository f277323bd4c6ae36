internal import Console
internal import Plots

/// Accuracy against what it costs, a point a method.
struct ReportPlots {
  private let table: ComparisonTable
  private let showsPublished: Bool

  init(_ table: ComparisonTable, showsPublished: Bool) {
    (self.table, self.showsPublished) = (table, showsPublished)
  }

  /// Accuracy against the trained share of the parameters.
  func share(_ trainCount: Int) -> Plot {
    plot(
      "Accuracy against trained share, \(Format.count(trainCount)) reviews", trainCount,
      Axis("trained parameters (% of all, logarithmic)", scale: .log(base: 10), format: .percent)
    ) { ($0.share, nil) }
  }

  /// Accuracy against the time of an epoch.
  func time(_ trainCount: Int) -> Plot {
    plot(
      "Accuracy against time per epoch, \(Format.count(trainCount)) reviews", trainCount,
      Axis("time per epoch", format: .duration)
    ) { ($0.secondsPerEpoch.mean, $0.secondsPerEpoch.range) }
  }

  private func plot(
    _ title: String, _ trainCount: Int, _ x: Axis,
    _ place: (ComparisonTable.Row) -> (x: Double, range: ClosedRange<Double>?)
  ) -> Plot {
    let methods = table.methods
    let series = table.rows.filter { $0.trainCount == trainCount }.map { row in
      let (x, range) = place(row)
      let point = Point(x, row.accuracy.mean, yRange: row.accuracy.range, xRange: range, label: row.method)
      return Series(row.method, [point], style: Style(methods.firstIndex(of: row.method) ?? 0), form: .markers)
    }
    var plot = Plot(title, x: x, y: Axis("accuracy on the test reviews", format: .figure), series)
    if showsPublished, trainCount == 150_000 || table.trainCounts.count == 1 {
      plot.references = PublishedFigures.all.map { ReferenceLine($0.accuracy, $0.method) }
    }
    return plot
  }
}
