internal import Glibc

/// What a step takes, as a sum of what is fitted to small runs: computing (a fixed part and a part per token of the
/// busiest worker, both longer where the other cores of the node work too), the sum of gradients by the α–β model, and
/// waiting for the slowest of `p` ranks.
package struct StepModel: Sendable, Equatable {
  /// What is fitted for each method.
  package struct Method: Sendable, Equatable {
    /// Seconds of a step whatever its reviews, on a node that is otherwise idle: the optimiser, the smallest products.
    package var fixedSeconds: Double
    /// Seconds a token, on a node that is otherwise idle.
    package var secondsPerToken: Double
    /// Bytes to reduce whatever the reviews.
    package var fixedBytes: Double
    /// Bytes to reduce for each token of a step: rows of trained embeddings.
    package var bytesPerToken: Double

    /// What was fitted, or is assumed.
    package init(fixedSeconds: Double, secondsPerToken: Double, fixedBytes: Double, bytesPerToken: Double) {
      (self.fixedSeconds, self.secondsPerToken) = (fixedSeconds, secondsPerToken)
      (self.fixedBytes, self.bytesPerToken) = (fixedBytes, bytesPerToken)
    }

    func seconds(tokens: Double) -> Double { fixedSeconds + tokens * secondsPerToken }
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
  /// How much longer computing takes where all other cores of the node are at work too, as a share: they share its memory
  /// and its power. It is the node's, whatever the method.
  package var company: Double = 0
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
    let (company, crowding) = (1 + company * setting.company, setting.crowding)
    let mean = company * method.seconds(tokens: load.mean)
    // On a crowded node the cores are shared out by the system: what counts is the sum, unless one rank has more.
    let compute = max(company * method.seconds(tokens: load.busiest), setting.crowded(mean))
    guard setting.ranks > 1 else { return Step(compute: compute, communication: 0, waiting: 0) }
    guard let within, setting.nodes == 1 || between != nil else { return nil }
    let tokens = load.mean * Double(setting.ranks * setting.threads)
    let reduction = GradientSum(bytes: Int(method.fixedBytes + method.bytesPerToken * tokens))
    let communication = reduction.seconds(
      ranksPerNode: setting.ranksPerNode, nodes: setting.nodes, within: within, between: between ?? within)
    let handover = setting.isOversubscribed ? StepModel.handover : 0
    return Step(
      compute: compute, communication: crowding * communication,
      waiting: jitter * mean * StepModel.lateness(of: setting.ranks) + handover)
  }

  /// What it costs in a step that ranks which wait for a sum give their core to others first, in seconds; found with 3
  /// to 6 ranks on 2 cores.
  private static let handover = 0.7e-3

  /// How many standard deviations the latest of `p` is late, on average: `√(2 ln p)`, the leading term for normal times.
  static func lateness(of ranks: Int) -> Double { (2 * log(Double(ranks))).squareRoot() }
}

// MARK: Fitting

extension StepModel {
  /// The model that fits points best: least relative errors, no negative costs.
  ///
  /// Points on crowded cores are left out wherever others of the kind are there.
  package init(fitting points: [MeasuredPoint]) {
    let own = Dictionary(grouping: points, by: \.setting.method).mapValues(StepModel.uncrowded)
    company = LeastSquares.minimum(in: 0...2) { company in
      own.values.reduce(0) { $0 + StepModel.method($1, company: company).misfit }
    }
    methods = own.mapValues { StepModel.method($0, company: company).method }
    // Between nodes there is a network, which is added later.
    let several = StepModel.uncrowded(
      points.filter { $0.setting.ranks > 1 && $0.setting.nodes == 1 && $0.communication > 0 })
    within = StepModel.link(several)
    jitter = jitter(several)
  }

  private static func uncrowded(_ points: [MeasuredPoint]) -> [MeasuredPoint] {
    let own = points.filter { !$0.setting.isOversubscribed }
    return own.isEmpty ? points : own
  }

  private static func weights(_ targets: [Double]) -> [Double] { targets.map { $0 > 0 ? 1 / ($0 * $0) : 0 } }

  /// A method's costs if company costs so much, and the sum of squares of the relative errors that are left.
  private static func method(_ points: [MeasuredPoint], company: Double) -> (method: Method, misfit: Double) {
    let rows = points.map { point in
      [1, point.load.mean].map { $0 * (1 + company * point.setting.company) }
    }
    // What ranks that share cores compute, each in turns of its own, shows in the time of all of them together.
    let seconds = points.map { point in
      let waiting = point.setting.isOversubscribed ? max(0, point.waiting - StepModel.handover) : 0
      return point.setting.uncrowded(point.compute + waiting)
    }
    let times = LeastSquares.nonNegative(rows, seconds, weights: weights(seconds))
    let errors = zip(rows, seconds).map { row, target in
      target > 0 ? (row[0] * times[0] + row[1] * times[1]) / target - 1 : 0
    }
    let tokens = points.map { $0.load.mean * Double($0.setting.ranks * $0.setting.threads) }
    let bytes = LeastSquares.nonNegative(tokens.map { [1, $0] }, points.map(\.bytes))
    let method = Method(
      fixedSeconds: times[0], secondsPerToken: times[1], fixedBytes: bytes[0], bytesPerToken: bytes[1])
    return (method, errors.reduce(0) { $0 + $1 * $1 })
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
      guard let method = methods[point.setting.method], !point.setting.isOversubscribed else { return nil }
      let uneven =
        (1 + company * point.setting.company)
        * (method.seconds(tokens: point.load.busiest) - method.seconds(tokens: point.load.mean))
      return (point.compute * StepModel.lateness(of: point.setting.ranks), point.waiting - uneven)
    }
    return LeastSquares.nonNegative(terms.map { [$0.row] }, terms.map(\.target)).first ?? 0
  }
}
