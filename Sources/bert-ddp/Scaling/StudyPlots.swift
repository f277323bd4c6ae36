import Plots
import ScalingModel

/// The plots of a study.
struct StudyPlots {
  private let report: StudyReport

  init(_ report: StudyReport) { self.report = report }

  /// Name and content of each file.
  var all: [(String, String)] {
    var plots: [(String, String)] = []
    for growth in report.study.plan.growths {
      plots.append(("efficiency-\(growth.rawValue).svg", efficiency(growth)))
      plots.append(("rate-\(growth.rawValue).svg", rate(growth)))
    }
    if !report.heldOut.isEmpty { plots.append(("model.svg", model)) }
    if !report.networks.isEmpty { plots.append(("forecast.svg", forecast)) }
    return plots
  }

  private var methods: [(offset: Int, element: String)] { Array(report.study.plan.methods.enumerated()) }
  private var ranks: [Double] { report.study.plan.ranks.map(Double.init) }

  private func across(_ title: String = "ranks") -> Axis { Axis(title, scale: .log(base: 2), ticks: ranks) }

  /// Points that have cores of their own as a line, oversubscribed ones as markers by themselves.
  private func measured(_ growth: Forecast.Growth, _ point: (StudySummary.Row) -> Point) -> [Series] {
    methods.flatMap { index, method -> [Series] in
      let rows = report.summary.rows.filter { $0.growth == growth && $0.setting.method == method }
      let own = rows.filter { !$0.setting.isOversubscribed }
      let crowded = rows.filter(\.setting.isOversubscribed)
      return [Series(method + ", measured", own.map(point), style: Style(index))]
        + (crowded.isEmpty
          ? []
          : [
            Series(
              method + ", sharing cores *", crowded.map(point), style: Style(index), form: .markers)
          ])
    }
  }

  private func efficiency(_ growth: Forecast.Growth) -> String {
    // With two repetitions an interval can be wider than anything a plot can show.
    let top = 1.5 * (report.summary.rows.filter { $0.growth == growth }.map(\.efficiency).max() ?? 1)
    var plot = Plot(
      "Efficiency, \(growth.rawValue) scaling", x: across(), y: Axis("efficiency", startsAtZero: true),
      measured(growth) { row in
        let interval = row.low.flatMap { low in row.high.map { min(low, top)...min($0, top) } }
        return Point(
          Double(row.setting.ranks), row.efficiency, yRange: interval, label: row.setting.isOversubscribed ? "*" : nil)
      })
    plot.references = [ReferenceLine(1, "ideal")]
    plot.description = "Efficiency over ranks, measured; points marked * share cores."
    return plot.svg()
  }

  private func rate(_ growth: Forecast.Growth) -> String {
    let rows = report.summary.rows.filter { $0.growth == growth }
    let ideal = methods.compactMap { _, method -> Series? in
      guard let first = rows.first(where: { $0.setting.method == method }) else { return nil }
      let alone = first.median(\.samplesPerSecond) / Double(first.setting.ranks)
      return Series(method + ", ideal", ranks.map { Point($0, alone * $0) }, style: nil, form: .line)
    }
    var plot = Plot(
      "Reviews a second, \(growth.rawValue) scaling", x: across(), y: Axis("reviews/s", scale: .log(base: 2)),
      ideal
        + measured(growth) { row in
          Point(
            Double(row.setting.ranks), row.median(\.samplesPerSecond), label: row.setting.isOversubscribed ? "*" : nil)
        })
    plot.description = "Reviews a second over ranks, measured, beside the ideal; points marked * share cores."
    return plot.svg()
  }

  /// Predicted over measured.
  private var model: String {
    let steps = report.heldOut.map { $0.point.seconds * 1e3 }
    let (low, high) = ((steps.min() ?? 1) * 0.8, (steps.max() ?? 1) * 1.25)
    func line(_ name: String, _ factor: Double) -> Series {
      Series(name, [Point(low, low * factor), Point(high, high * factor)], style: nil, form: .line)
    }
    let series = methods.map { index, method in
      let own = report.heldOut.filter { $0.point.setting.method == method }
      return Series(
        method,
        own.map { one in
          Point(
            one.point.seconds * 1e3, one.predicted * 1e3, label: one.point.setting.isOversubscribed ? "*" : nil)
        }, style: Style(index), form: .markers)
    }
    var plot = Plot(
      "A step, predicted by a model that had not seen it (* shares cores)",
      x: Axis("measured (ms)", scale: .log(base: 2)),
      y: Axis("predicted (ms)", scale: .log(base: 2)),
      [line("equal", 1), line("", 1.1), line("± 10 %", 1 / 1.1)] + series)
    plot.description = "Predicted against measured milliseconds of a step; points marked * share cores."
    return plot.svg()
  }

  /// Strong scaling on the first network, beyond what was measured.
  private var forecast: String {
    let growth = report.study.plan.growths[0]
    let network = report.networks[0]
    let predicted = methods.map { index, method in
      Series(
        method + ", predicted",
        report.forecast(method, growth, network).rows.map { Point(Double($0.setting.ranks), $0.efficiency) },
        style: Style(index), form: .line)
    }
    var plot = Plot(
      "Efficiency on \(network.name), \(growth.rawValue) scaling: lines are predicted",
      x: Axis("ranks", scale: .log(base: 2)), y: Axis("efficiency", startsAtZero: true),
      predicted
        + measured(growth) { row in
          Point(Double(row.setting.ranks), row.efficiency, label: row.setting.isOversubscribed ? "*" : nil)
        }.map { Series($0.name, $0.points, style: $0.style, form: .markers) })
    plot.references = [ReferenceLine(1, "ideal")]
    plot.description = "Predicted efficiency over ranks as lines, measured efficiency as points."
    return plot.svg()
  }
}
