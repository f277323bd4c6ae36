internal import Glibc

/// What a step takes, as a sum of what is fitted to small runs: computing (a fixed part and a part per token of the
/// busiest worker), the sum of gradients by the α–β model, and waiting for the slowest of `p` ranks.
package struct StepModel: Sendable, Equatable {
  /// What is fitted for each method.
  package struct Method: Sendable, Equatable {
    /// Seconds of a step whatever its reviews: the optimiser, the smallest products.
    package var fixedSeconds: Double
    /// Seconds a token, on a node that is otherwise idle.
    package var secondsPerToken: Double
    /// Seconds a token more where all other cores of the node are at work too.
    package var companySecondsPerToken: Double
    /// Bytes to reduce whatever the reviews.
    package var fixedBytes: Double
    /// Bytes to reduce for each token of a step: rows of trained embeddings.
    package var bytesPerToken: Double

    /// What was fitted, or is assumed.
    package init(
      fixedSeconds: Double, secondsPerToken: Double, companySecondsPerToken: Double, fixedBytes: Double,
      bytesPerToken: Double
    ) {
      (self.fixedSeconds, self.secondsPerToken) = (fixedSeconds, secondsPerToken)
      self.companySecondsPerToken = companySecondsPerToken
      (self.fixedBytes, self.bytesPerToken) = (fixedBytes, bytesPerToken)
    }

    func seconds(tokens: Double, company: Double) -> Double {
      fixedSeconds + tokens * (secondsPerToken + company * companySecondsPerToken)
    }
  }

  /// A step in parts, in seconds.
  package struct Step: Sendable, Equatable {
    /// Computing, on the busiest rank.
    package var compute: Double
    /// Moving and adding gradients.
    package var communication: Double
    /// Waiting, beyond what the busiest rank computes.
    package var waiting: Double

    /// A step.
    package init(compute: Double, communication: Double, waiting: Double) {
      (self.compute, self.communication, self.waiting) = (compute, communication, waiting)
    }

    /// All of it.
    package var total: Double { compute + communication + waiting }
  }

  /// By method.
  package var methods: [String: Method] = [:]
  /// Between two ranks of a node; nothing was fitted when no point had two ranks.
  package var within: Link?
  /// How much the time of one rank's computing varies from step to step, as a share of it.
  package var jitter: Double = 0

  /// Nothing yet.
  package init() {}

  /// What a step takes.
  /// - Parameters:
  ///   - setting: What is run on what.
  ///   - load: What a worker has to do in a step.
  ///   - between: The network between nodes; needed for several nodes.
  /// - Returns: nil when the model knows nothing of the method, or of a link that is needed.
  package func step(_ setting: Setting, load: TokenLoads.Load, between: Link? = nil) -> Step? {
    guard let method = methods[setting.method] else { return nil }
    let (company, crowding) = (setting.company, setting.crowding)
    let mean = method.seconds(tokens: load.mean, company: company)
    // On a crowded node the cores are shared out by the system: what counts is the sum, unless one rank has more.
    let compute = max(method.seconds(tokens: load.busiest, company: company), crowding * mean)
    guard setting.ranks > 1 else { return Step(compute: compute, communication: 0, waiting: 0) }
    guard let within, setting.nodes == 1 || between != nil else { return nil }
    let tokens = load.mean * Double(setting.ranks * setting.threads)
    let reduction = GradientSum(bytes: Int(method.fixedBytes + method.bytesPerToken * tokens))
    let communication = reduction.seconds(
      ranksPerNode: setting.ranksPerNode, nodes: setting.nodes, within: within, between: between ?? within)
    return Step(
      compute: compute, communication: crowding * communication,
      waiting: jitter * mean * StepModel.lateness(of: setting.ranks))
  }

  /// How many standard deviations the latest of `p` is late, on average: `√(2 ln p)`, the leading term for normal times.
  static func lateness(of ranks: Int) -> Double { (2 * log(Double(ranks))).squareRoot() }
}

// MARK: Fitting

extension StepModel {
  /// The model that fits points best: least relative errors, no negative costs.
  ///
  /// Points on crowded cores are left out wherever others of the kind are there.
  package init(fitting points: [MeasuredPoint]) {
    for (name, own) in Dictionary(grouping: points, by: \.setting.method) {
      methods[name] = StepModel.method(StepModel.uncrowded(own))
    }
    let several = StepModel.uncrowded(points.filter { $0.setting.ranks > 1 && $0.communication > 0 })
    within = StepModel.link(several)
    jitter = jitter(several)
  }

  private static func uncrowded(_ points: [MeasuredPoint]) -> [MeasuredPoint] {
    let own = points.filter { !$0.setting.isOversubscribed }
    return own.isEmpty ? points : own
  }

  private static func weights(_ targets: [Double]) -> [Double] { targets.map { $0 > 0 ? 1 / ($0 * $0) : 0 } }

  private static func method(_ points: [MeasuredPoint]) -> Method {
    let rows = points.map { point in
      [1, point.load.mean, point.load.mean * point.setting.company].map { $0 * point.setting.crowding }
    }
    let seconds = points.map(\.compute)
    let times = LeastSquares.nonNegative(rows, seconds, weights: weights(seconds))
    let tokens = points.map { $0.load.mean * Double($0.setting.ranks * $0.setting.threads) }
    let bytes = LeastSquares.nonNegative(tokens.map { [1, $0] }, points.map(\.bytes))
    return Method(
      fixedSeconds: times[0], secondsPerToken: times[1], companySecondsPerToken: times[2], fixedBytes: bytes[0],
      bytesPerToken: bytes[1])
  }

  private static func link(_ points: [MeasuredPoint]) -> Link? {
    guard !points.isEmpty else { return nil }
    let rows = points.map { point in
      let work = GradientSum(bytes: Int(point.bytes)).work(ranks: point.setting.ranksPerNode)
      return [work.messages, work.bytes].map { $0 * point.setting.crowding }
    }
    let seconds = points.map(\.communication)
    let fit = LeastSquares.nonNegative(rows, seconds, weights: weights(seconds))
    return Link(latency: fit[0], secondsPerByte: fit[1])
  }

  /// What is waited beyond what sharing out reviews explains.
  private func jitter(_ points: [MeasuredPoint]) -> Double {
    let terms = points.compactMap { point -> (row: Double, target: Double)? in
      guard let method = methods[point.setting.method] else { return nil }
      let company = point.setting.company
      let uneven =
        method.seconds(tokens: point.load.busiest, company: company)
        - method.seconds(tokens: point.load.mean, company: company)
      return (point.compute * StepModel.lateness(of: point.setting.ranks), point.waiting - uneven)
    }
    return LeastSquares.nonNegative(terms.map { [$0.row] }, terms.map(\.target)).first ?? 0
  }
}
