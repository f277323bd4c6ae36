import Console
import FoundationEssentials
import ScalingModel
import Training

/// What a study came to: on the terminal, as CSV, and as a page with plots.
struct StudyReport {
  let study: Study
  let options: ForecastOptions
  let summary: StudySummary
  let points: [MeasuredPoint]
  let model: StepModel
  let heldOut: [HoldOut]
  private let screen: Screen

  init(_ study: Study, _ options: ForecastOptions, _ screen: Screen) throws {
    (self.study, self.options, self.screen) = (study, options, screen)
    summary = StudySummary(study.runs, study.plan)
    let (loads, warmup) = (study.loads, study.options.warmupSteps)
    points = summary.points { setting, steps in
      loads.load(
        batch: setting.batch, workers: setting.ranks * setting.threads, steps: warmup..<warmup + steps)
    }
    model = StepModel(fitting: points)
    heldOut = HoldOut.each(of: points)
  }

  /// Writes the files and shows the tables.
  func write() throws {
    let files = RunFiles(directory: study.place)
    try files.write(text: summary.csv, to: "scaling.csv")
    try files.write(text: forecastCSV, to: "forecast.csv")
    for (name, plot) in StudyPlots(self).all { try files.write(text: plot, to: name) }
    try files.write(text: page, to: "study.md")
    screen.line()
    for growth in study.plan.growths {
      screen.result(measuredTable(growth), heading: "\(growth.rawValue) scaling, measured")
      screen.result("")
    }
    if isCrowded { screen.result(StudyReport.crowdedNote + "\n") }
    if !heldOut.isEmpty {
      screen.result(heldOutTable, heading: "the model against points it was not fitted to")
      screen.result("")
    }
    screen.result(modelTable, heading: "the model, fitted to what was measured")
    screen.result("")
    for network in networks {
      screen.result(bestTable(network), heading: "predicted, \(description(network))")
      screen.result("")
    }
    screen.result("study in \(study.place): study.md, scaling.csv, forecast.csv and plots")
  }

  // MARK: Measured

  static let crowdedNote =
    "* oversubscribed: more threads than cores, which share them; says nothing of how the program scales."
  var isCrowded: Bool { summary.rows.contains(where: \.setting.isOversubscribed) }

  func measuredTable(_ growth: Forecast.Growth) -> Table {
    var table = Table([
      Table.Column("method", .leading), "ranks", "batch", "reviews/s", "speed-up", "efficiency", "95 %", "serial",
      "compute", "comm", "wait", "I/O", "reduced/step", "PSS",
    ])
    for row in summary.rows where row.growth == growth {
      func share(_ figure: @escaping (StudyRun) -> Double) -> String {
        Format.percent(row.median { figure($0) / $0.seconds }, digits: 1)
      }
      table.add(
        row.setting.method, "\(row.setting.ranks)" + (row.setting.isOversubscribed ? " *" : ""),
        "\(row.setting.batch)", Format.rate(row.median(\.samplesPerSecond)), Format.fixed(row.speedup, digits: 2),
        Format.figure(row.efficiency), interval(row), row.serialFraction.map { Format.figure($0) } ?? "–",
        share(\.compute), share(\.communication), share(\.waiting), share(\.inputOutput),
        Format.bytes(Int(row.median { Double($0.bytesReduced) / Double($0.steps) })),
        Format.bytes(Int(row.median { Double($0.proportionalBytes) })))
    }
    return table
  }

  private func interval(_ row: StudySummary.Row) -> String {
    guard row.serialFraction != nil, let low = row.low, let high = row.high else { return "–" }
    return Format.interval(low, high)
  }

  // MARK: The model

  var heldOutTable: Table {
    var table = Table([Table.Column("method", .leading), "ranks", "batch", "measured", "predicted", "error"])
    for one in heldOut {
      let setting = one.point.setting
      table.add(
        setting.method, "\(setting.ranks)" + (setting.isOversubscribed ? " *" : ""), "\(setting.batch)",
        StudyReport.milliseconds(one.point.seconds), StudyReport.milliseconds(one.predicted),
        (one.error >= 0 ? "+" : "") + Format.percent(one.error, digits: 1))
    }
    return table
  }

  var modelTable: Table {
    var table = Table([Table.Column("fitted", .leading), Table.Column("value", .leading)])
    for (name, method) in model.methods.sorted(by: { $0.key < $1.key }) {
      table.add(
        name,
        "\(StudyReport.milliseconds(method.fixedSeconds)) a step + \(microseconds(method.secondsPerToken)) a token; \(Format.bytes(Int(method.fixedBytes))) a step + \(Format.bytes(Int(method.bytesPerToken))) a token"
      )
    }
    table.add(
      "cores together",
      "computing takes \(Format.percent(model.company, digits: 1)) longer where the node's other cores work too")
    if let link = model.within {
      table.add(
        "between ranks of a node",
        "α \(microseconds(link.latency)) a message, \(bandwidth(link)); \(algorithms)"
      )
    }
    table.add(
      "imbalance", "from the lengths of reviews, and \(Format.percent(model.jitter, digits: 1)) of jitter a rank")
    return table
  }

  /// How the model counts.
  private var algorithms: String {
    let most = study.plan.ranks.last ?? 1
    return
      "each number to its owner and back: 2 (p − 1)/p of the bytes; small sums by \(AllReduceAlgorithm.tuned(bytes: 32, ranks: max(2, most)).rawValue), as Open MPI 4.1 chooses for \(max(2, most)) ranks"
  }

  /// A link's, which few bytes leave open.
  private func bandwidth(_ link: Link) -> String {
    link.secondsPerByte > 1e-15
      ? "β \(Format.fixed(1e-9 / link.secondsPerByte, digits: 2)) GB/s" : "β too high for these messages to show it"
  }

  static func milliseconds(_ seconds: Double) -> String { Format.fixed(seconds * 1e3, digits: 2) + " ms" }
  private func microseconds(_ seconds: Double) -> String { Format.fixed(seconds * 1e6, digits: 2) + " µs" }

  // MARK: Predicted

  var networks: [Network] { options.network.compactMap { Network($0) } }
  var ranksPerNode: Int {
    options.ranksPerNode ?? max(1, study.environment.coresPerNode / study.plan.threads)
  }

  func description(_ network: Network) -> String {
    "\(network.name) (\(network.source): α \(microseconds(network.link.latency)), \(bandwidth(network.link))), \(ranksPerNode) ranks a node"
  }

  /// 1, 2, 4, … ranks.
  private var forecastRanks: [Int] { (0..<17).map { 1 << $0 }.filter { $0 <= options.predictRanks } }

  func forecast(_ method: String, _ growth: Forecast.Growth, _ network: Network) -> Forecast {
    Forecast(
      model,
      Setting(
        method: method, ranks: 1, threads: study.plan.threads, batch: study.plan.batch,
        cores: max(ranksPerNode * study.plan.threads, study.environment.coresPerNode)),
      ranks: forecastRanks, growth: growth, ranksPerNode: ranksPerNode, network: network, loads: study.loads)
  }

  func bestTable(_ network: Network) -> Table {
    var table = Table([
      Table.Column("method", .leading), Table.Column("kind", .leading), "cheapest on", "its efficiency", "its step",
      "fastest on", "its efficiency", "its step", "most at 80 %",
    ])
    for method in study.plan.methods {
      for growth in study.plan.growths {
        let forecast = forecast(method, growth, network)
        guard let cheapest = forecast.cheapest, let fastest = forecast.fastest else { continue }
        table.add(
          method, growth.rawValue, "\(cheapest.setting.ranks)", Format.figure(cheapest.efficiency),
          StudyReport.milliseconds(cheapest.step.total), "\(fastest.setting.ranks)",
          Format.figure(fastest.efficiency), StudyReport.milliseconds(fastest.step.total),
          forecast.largest(efficiency: 0.8).map { "\($0.setting.ranks)" } ?? "–")
      }
    }
    return table
  }

  private var forecastCSV: String {
    var lines = [
      "method,kind,network,ranks,nodes,threads,global_batch,step_s,compute_s,comm_s,wait_s,samples_per_s,efficiency,is"
    ]
    for network in networks {
      for method in study.plan.methods {
        for growth in study.plan.growths {
          for row in forecast(method, growth, network).rows {
            let numbers = [
              row.step.total, row.step.compute, row.step.communication, row.step.waiting, row.rate, row.efficiency,
            ]
            let name = network.name.contains(",") ? "\"\(network.name)\"" : network.name
            lines.append(
              "\(method),\(growth.rawValue),\(name),\(row.setting.ranks),\(row.setting.nodes),\(row.setting.threads),\(row.setting.batch),"
                + numbers.map { Format.fixed($0, digits: 6) }.joined(separator: ",") + ",predicted")
          }
        }
      }
    }
    return lines.map { $0 + "\n" }.joined()
  }

  /// The study for programs.
  func json() throws -> String {
    struct Row: Encodable {
      let method: String, kind: String
      let ranks: Int, batch: Int
      let rate: Double, speedup: Double, efficiency: Double
      let oversubscribed: Bool

      private enum CodingKeys: String, CodingKey {
        case method, kind, ranks, speedup, efficiency, oversubscribed, batch = "global_batch", rate = "samples_per_s"
      }
    }
    struct Check: Encodable {
      let method: String
      let ranks: Int, batch: Int
      let measured: Double, predicted: Double

      private enum CodingKeys: String, CodingKey {
        case method, ranks, batch = "global_batch", measured = "measured_s", predicted = "predicted_s"
      }
    }
    struct Whole: Encodable {
      let output: String
      let environment: StudyEnvironment
      let measured: [Row]
      let heldOut: [Check]

      private enum CodingKeys: String, CodingKey { case output, environment, measured, heldOut = "held_out" }
    }
    let rows = summary.rows.map { row in
      Row(
        method: row.setting.method, kind: row.growth.rawValue, ranks: row.setting.ranks, batch: row.setting.batch,
        rate: row.median(\.samplesPerSecond), speedup: row.speedup, efficiency: row.efficiency,
        oversubscribed: row.setting.isOversubscribed)
    }
    let checks = heldOut.map { one in
      Check(
        method: one.point.setting.method, ranks: one.point.setting.ranks, batch: one.point.setting.batch,
        measured: one.point.seconds, predicted: one.predicted)
    }
    return try jsonText(
      Whole(output: study.place, environment: study.environment, measured: rows, heldOut: checks))
  }
}
