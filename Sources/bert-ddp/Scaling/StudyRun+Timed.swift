import Failures
import ScalingModel
import Training

extension StudyRun {
  /// A run as its `timed.json` says.
  /// - Throws: `Failure` when no step was timed.
  init(_ timed: TimedSteps, _ setting: Setting, sequence: Int, repetition: Int) throws {
    guard timed.steps > 0, timed.seconds > 0, !timed.phases.isEmpty else {
      throw Failure(
        .other,
        "\(setting.method) on \(setting.ranks) ranks timed no step; the reviews do not last so many steps, so give fewer --warmup-steps or more --epochs."
      )
    }
    func mean(_ phase: Phase) -> Double {
      timed.phases.reduce(0) { $0 + $1[phase] } / Double(timed.phases.count)
    }
    self.init(
      setting, sequence: sequence, repetition: repetition, steps: timed.steps, samples: timed.reviews,
      tokens: timed.tokens, seconds: timed.seconds, compute: mean(.compute) + mean(.optimizer),
      communication: mean(.communication), waiting: mean(.waiting), inputOutput: mean(.inputOutput),
      proportionalBytes: timed.proportionalBytes.reduce(0, +), bytesReduced: timed.bytes)
  }
}
