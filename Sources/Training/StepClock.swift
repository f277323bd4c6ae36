/// What a rank can be doing; the name is the field of `metrics.jsonl` and `results.json`.
package enum Phase: String, CaseIterable, Sendable, CodingKey {
  /// Reading inputs, tokenizing, filling the model.
  case preparation = "preparation_s"
  /// Forward and backward passes, and what is added up between this rank's threads.
  case compute = "compute_s"
  /// Until the last rank has finished its passes.
  case waiting = "waiting_s"
  /// Moving gradients and parameters once all ranks are there; not what travels behind compute.
  case communication = "communication_s"
  /// The norm and the optimiser's step, but for what of it goes on beside the next passes (`DeferredUpdate`).
  case optimizer = "optimizer_s"
  /// Checkpoints and metrics.
  case inputOutput = "input_output_s"
  /// Evaluations.
  case evaluation = "evaluation_s"

  fileprivate var index: Int {
    switch self {
    case .preparation: 0
    case .compute: 1
    case .waiting: 2
    case .communication: 3
    case .optimizer: 4
    case .inputOutput: 5
    case .evaluation: 6
    }
  }
}

/// Seconds by what they went into.
package struct PhaseTimes: Codable, Sendable, Equatable {
  // In place: a step must not allocate.
  private var seconds = InlineArray<7, Double>(repeating: 0)

  /// Nothing yet.
  package init() {}

  /// The seconds of each phase, in the order of `Phase.allCases`; as many of them.
  package init(_ seconds: some Sequence<Double>) {
    for (phase, value) in zip(Phase.allCases, seconds) { self[phase] = value }
  }

  /// The seconds of a phase.
  package subscript(phase: Phase) -> Double {
    get { seconds[phase.index] }
    set { seconds[phase.index] = newValue }
  }

  /// All phases together.
  package var total: Double { Phase.allCases.reduce(0) { $0 + self[$1] } }

  /// The seconds of each phase, in the order of `Phase.allCases`.
  package var values: [Double] { Phase.allCases.map { self[$0] } }

  /// Both together.
  package static func + (a: PhaseTimes, b: PhaseTimes) -> PhaseTimes { combine(a, b, 1) }
  /// What went by between two moments.
  package static func - (later: PhaseTimes, earlier: PhaseTimes) -> PhaseTimes { combine(later, earlier, -1) }
  /// Whether every phase has the same.
  package static func == (a: PhaseTimes, b: PhaseTimes) -> Bool { a.values == b.values }

  private static func combine(_ a: PhaseTimes, _ b: PhaseTimes, _ sign: Double) -> PhaseTimes {
    var result = PhaseTimes()
    for phase in Phase.allCases { result[phase] = a[phase] + sign * b[phase] }
    return result
  }

  /// A phase that the file does not name took no time.
  package init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: Phase.self)
    for phase in Phase.allCases { self[phase] = try container.decodeIfPresent(Double.self, forKey: phase) ?? 0 }
  }

  /// A field for each phase.
  package func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: Phase.self)
    for phase in Phase.allCases { try container.encode(self[phase], forKey: phase) }
  }
}

/// Tells what this rank's time goes into: at every moment it is in one phase, and entering the next one ends it.
///
/// One reading of the clock a change, and a step has five.
package final class StepClock {
  /// Told of each phase when it ends: what it was, when it began and ended (`monotonicSeconds`). For traces.
  package var observer: ((_ phase: Phase, _ began: Double, _ ended: Double) -> Void)?
  /// What is under way.
  package private(set) var phase: Phase
  private var began = monotonicSeconds()
  private var ended = PhaseTimes()

  /// A clock that starts now, in a phase.
  package init(in phase: Phase) { self.phase = phase }

  /// Ends the phase under way and begins another.
  package func enter(_ next: Phase) {
    let now = monotonicSeconds()
    ended[phase] += now - began
    observer?(phase, began, now)
    (phase, began) = (next, now)
  }

  /// The seconds so far, those of the phase under way included.
  package var times: PhaseTimes {
    var times = ended
    times[phase] += monotonicSeconds() - began
    return times
  }
}
