/// What the model says of a method on more ranks than were measured.
package struct Forecast: Sendable {
  /// A row: a number of ranks and what a step takes on it.
  package struct Row: Sendable {
    /// The setting.
    package let setting: Setting
    /// The step in parts.
    package let step: StepModel.Step
    /// Reviews a second.
    package var rate: Double { Double(setting.batch) / step.total }
    /// Reviews a second of each thread, over those of one rank alone.
    package let efficiency: Double
    /// Node-seconds a review: nodes are paid for as a whole.
    package var nodeSecondsPerReview: Double { Double(setting.nodes) / rate }
  }

  /// By rising number of ranks.
  package let rows: [Row]

  /// How a step grows with the number of ranks.
  package enum Growth: String, Sendable, CaseIterable {
    /// The same reviews on more ranks.
    case strong
    /// The same reviews for each rank.
    case weak
  }

  /// The forecast for some numbers of ranks.
  /// - Parameters:
  ///   - model: What was fitted.
  ///   - base: The setting on one rank.
  ///   - ranks: Numbers of ranks, rising.
  ///   - growth: What happens to the batch.
  ///   - ranksPerNode: How many ranks a node takes.
  ///   - network: Between nodes.
  ///   - loads: The lengths of reviews.
  package init(
    _ model: StepModel, _ base: Setting, ranks: [Int], growth: Growth, ranksPerNode: Int, network: Network,
    loads: TokenLoads
  ) {
    func row(_ count: Int, _ alone: Double?) -> Row? {
      var setting = base
      setting.ranks = count
      setting.nodes = (count + ranksPerNode - 1) / ranksPerNode
      setting.batch = growth == .strong ? base.batch : base.batch * count
      let workers = count * base.threads
      // A step of many reviews is like any other of its size.
      let steps = max(1, min(32, 4096 / setting.batch))
      let load = loads.load(batch: setting.batch, workers: workers, steps: 0..<steps)
      guard let step = model.step(setting, load: load, between: network.link) else { return nil }
      let rate = Double(setting.batch) / step.total
      return Row(setting: setting, step: step, efficiency: alone.map { rate / Double(count) / $0 } ?? 1)
    }
    let alone = row(1, nil)?.rate
    rows = ranks.compactMap { row($0, alone) }
  }

  /// The row with the shortest epoch.
  package var fastest: Row? { rows.max { $0.rate < $1.rate } }
  /// The row whose epochs cost the fewest node-seconds; of equals the fastest.
  package var cheapest: Row? {
    rows.min { ($0.nodeSecondsPerReview, -$0.rate) < ($1.nodeSecondsPerReview, -$1.rate) }
  }
  /// The row with most ranks whose efficiency is at least so much.
  package func largest(efficiency: Double) -> Row? { rows.last { $0.efficiency >= efficiency } }
}
