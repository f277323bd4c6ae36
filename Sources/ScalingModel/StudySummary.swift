/// What the runs of a study come to.
package struct StudySummary: Sendable {
  /// A setting of a study with its repetitions.
  package struct Row: Sendable {
    /// Strong or weak.
    package let growth: Forecast.Growth
    /// The setting.
    package let setting: Setting
    /// Its runs, by repetition.
    package let runs: [StudyRun]
    /// The rate over that of the fewest ranks, times their number; its mean is geometric.
    package let speedup: Double
    /// The speed-up for each rank.
    package let efficiency: Double
    /// The ends of the 95 % interval of the efficiency; nil when settings were run once.
    package let low: Double?
    /// As above.
    package let high: Double?
    /// The serial fraction that the speed-up betrays; nil for one rank.
    package let serialFraction: Double?

    /// The median over repetitions of a figure of a run.
    package func median(_ figure: (StudyRun) -> Double) -> Double { Statistics.median(runs.map(figure)) }
  }

  /// By method, kind and number of ranks.
  package let rows: [Row]
  /// Half steps on the fewest ranks, by method: for the model, and of no kind of scaling.
  private let halves: [[StudyRun]]

  /// Sums up the runs that are there.
  package init(_ runs: [StudyRun], _ plan: StudyPlan) {
    var rows: [Row] = []
    for method in plan.methods {
      for growth in plan.growths {
        let settings = plan.ranks.map { ranks in
          runs.filter {
            $0.method == method && $0.ranks == ranks && $0.globalBatch == plan.batch(growth, ranks: ranks)
              && $0.threads == plan.threads
          }.sorted { $0.repetition < $1.repetition }
        }
        guard let base = settings.first, let baseRanks = base.first?.ranks else { continue }
        for own in settings {
          guard let setting = own.first?.setting else { continue }
          rows.append(StudySummary.row(growth, setting, own, base, baseRanks: baseRanks))
        }
      }
    }
    self.rows = rows
    halves = plan.methods.map { method in
      runs.filter {
        $0.method == method && $0.ranks == plan.ranks.first && $0.globalBatch == plan.halfBatch
          && $0.threads == plan.threads
      }.sorted { $0.repetition < $1.repetition }
    }.filter { !$0.isEmpty }
  }

  private static func row(
    _ growth: Forecast.Growth, _ setting: Setting, _ runs: [StudyRun], _ base: [StudyRun], baseRanks: Int
  ) -> Row {
    let times = Double(setting.ranks) / Double(baseRanks)
    let isBase = setting.ranks == baseRanks
    let ratio =
      isBase
      ? (value: 1, low: 1, high: 1)
      : Statistics.ratio(runs.map(\.samplesPerSecond), to: base.map(\.samplesPerSecond))
    return Row(
      growth: growth, setting: setting, runs: runs, speedup: ratio.value * Double(baseRanks),
      efficiency: ratio.value / times, low: ratio.low.map { $0 / times }, high: ratio.high.map { $0 / times },
      serialFraction: isBase ? nil : Statistics.karpFlatt(speedup: ratio.value, workers: times))
  }

  /// The points that the model is fitted to, each setting once.
  /// - Parameter load: What a worker has to do in a step of a setting.
  /// - Returns: A point for each setting.
  package func points(_ load: (Setting, _ steps: Int) -> TokenLoads.Load) -> [MeasuredPoint] {
    var seen: Set<Setting> = []
    return (rows.map(\.runs) + halves).compactMap { runs in
      guard let first = runs.first, seen.insert(first.setting).inserted else { return nil }
      func perStep(_ figure: (StudyRun) -> Double) -> Double {
        Statistics.median(runs.map { figure($0) / Double($0.steps) })
      }
      let (seconds, waiting) = (perStep(\.seconds), perStep(\.waiting))
      let communication = perStep(\.communication)
      // What is neither moved nor waited for is computed, on this rank's own.
      return MeasuredPoint(
        first.setting, load: load(first.setting, first.steps), seconds: seconds,
        compute: max(0, seconds - communication - waiting), communication: communication, waiting: waiting,
        bytes: perStep { Double($0.bytesReduced) })
    }
  }
}

// MARK: CSV

extension StudySummary {
  /// The columns of `scaling.csv`; the first eighteen are those that scaling studies agree on.
  package static let columns = [
    "method", "ranks", "threads", "nodes", "global_batch", "seq", "rep", "samples", "seconds", "samples_per_s",
    "compute_s", "comm_s", "wait_s", "io_s", "speedup", "efficiency", "pss_mb", "bytes_reduced", "kind",
    "efficiency_low", "efficiency_high", "serial_fraction", "oversubscribed", "tokens", "steps",
  ]

  /// One line a run under a heading. `speedup` and `efficiency` are the run's own, over the geometric mean of the runs on
  /// the fewest ranks; the interval and the serial fraction are the setting's. Half steps, of kind `half`, have none.
  package var csv: String {
    var lines = [StudySummary.columns.joined(separator: ",")]
    for row in rows {
      let scale = Statistics.ratio(row.runs.map(\.samplesPerSecond), to: [1]).value
      for run in row.runs { lines.append(StudySummary.line(run, row, own: run.samplesPerSecond / scale)) }
    }
    for run in halves.joined() { lines.append(StudySummary.line(run, nil, own: 1)) }
    return lines.map { $0 + "\n" }.joined()
  }

  private static func line(_ run: StudyRun, _ row: Row?, own: Double) -> String {
    func text(_ value: Double?) -> String {
      guard let value, value.isFinite else { return "" }
      return "\((value * 1e6).rounded() / 1e6)"
    }
    var cells = [run.method] + [run.ranks, run.threads, run.nodes, run.globalBatch].map(String.init)
    cells += [run.sequence, run.repetition, run.samples].map(String.init)
    cells += [run.seconds, run.samplesPerSecond, run.compute, run.communication, run.waiting].map(text)
    cells += [text(run.inputOutput), text(row.map { $0.speedup * own }), text(row.map { $0.efficiency * own })]
    cells += [text(Double(run.proportionalBytes) / 1e6), "\(run.bytesReduced)", row?.growth.rawValue ?? "half"]
    cells += [text(row?.low), text(row?.high), text(row?.serialFraction)]
    cells += [run.setting.isOversubscribed ? "1" : "0", "\(run.tokens)", "\(run.steps)"]
    return cells.joined(separator: ",")
  }
}
