import Failures
import ScalingModel
import Training

/// What a study reads of a run's `results.json`.
struct MeasuredResults: Decodable {
  let proportionalBytes: [Int]
  let timed: TimedSteps

  private enum CodingKeys: String, CodingKey {
    case timed = "timed_steps", proportionalBytes = "pss_bytes"
  }

  /// The run as a study keeps it.
  /// - Throws: `Failure` when no step was timed.
  func run(_ setting: Setting, sequence: Int, repetition: Int) throws -> StudyRun {
    guard timed.steps > 0, timed.seconds > 0, !timed.phases.isEmpty else {
      throw Failure(
        .other,
        "\(setting.method) on \(setting.ranks) ranks timed no step; the reviews do not last so many steps, so give fewer --warmup-steps or more --epochs."
      )
    }
    func mean(_ seconds: (PhaseTimes) -> Double) -> Double {
      timed.phases.map(seconds).reduce(0, +) / Double(timed.phases.count)
    }
    return StudyRun(
      setting, sequence: sequence, repetition: repetition, steps: timed.steps, samples: timed.reviews,
      tokens: timed.tokens, seconds: timed.seconds, compute: mean { $0.compute + $0.optimizer },
      communication: mean(\.communication), waiting: mean(\.waiting), inputOutput: mean(\.inputOutput),
      proportionalBytes: proportionalBytes.reduce(0, +), bytesReduced: timed.bytes)
  }
}
