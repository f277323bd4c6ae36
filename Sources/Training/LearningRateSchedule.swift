internal import Console
internal import Glibc

/// The learning rate as a function of the optimiser step.
package struct LearningRateSchedule: Sendable, Equatable {
  /// What the rate does after warm-up.
  package enum Shape: String, Sendable, CaseIterable, Codable {
    /// Falls in a line to zero.
    case linear
    /// Falls along half a cosine to zero.
    case cosine
    /// Stays.
    case constant
  }

  /// What the rate does after warm-up.
  package let shape: Shape
  /// The rate at its highest.
  package let peak: Double
  /// Over how many steps the rate rises from zero; the first of them has rate zero.
  package let warmupSteps: Int
  /// How many steps there are.
  package let totalSteps: Int

  /// A schedule.
  package init(shape: Shape, peak: Double, warmupSteps: Int, totalSteps: Int) {
    self.shape = shape
    self.peak = peak
    self.warmupSteps = warmupSteps
    self.totalSteps = totalSteps
  }

  /// A schedule whose warm-up is a share of its steps, rounded up as Transformers rounds it.
  package init(shape: Shape, peak: Double, warmupRatio: Double, totalSteps: Int) {
    self.init(
      shape: shape, peak: peak, warmupSteps: Int((warmupRatio * Double(totalSteps)).rounded(.up)),
      totalSteps: totalSteps)
  }

  /// The rate of a step, counted from 0.
  package func rate(at step: Int) -> Double {
    if step < warmupSteps { return peak * Double(step) / Double(warmupSteps) }
    let done = Double(step - warmupSteps) / Double(max(1, totalSteps - warmupSteps))
    switch shape {
    case .linear: return peak * max(0, 1 - done)
    case .cosine: return peak * 0.5 * (1 + cos(Double.pi * min(1, done)))
    case .constant: return peak
    }
  }
}

extension LearningRateSchedule {
  /// That of a run of so many steps, whose options name a rate.
  init(_ run: TrainingConfiguration, totalSteps: Int) {
    self.init(
      shape: run.lrSchedule, peak: run.learningRate ?? 0, warmupRatio: run.warmupRatio, totalSteps: totalSteps)
  }

  /// Says that a run goes on along another schedule than it came: of more or fewer steps, so that the rate jumps.
  func warn(ofAnother before: Int?, at step: Int, warmupRatio: Double, _ screen: Screen) {
    guard let before, before != totalSteps, shape != .constant else { return }
    let other = LearningRateSchedule(
      shape: shape, peak: peak, warmupRatio: warmupRatio, totalSteps: before)
    screen.warning(
      "the learning rate was to fall over \(Format.count(before)) steps, and now does over \(Format.count(totalSteps)): in step \(Format.count(step + 1)) it is \(Format.short(rate(at: step))), where it would have been \(Format.short(other.rate(at: step))); the end is not that of a run of \(Format.count(totalSteps)) steps at once."
    )
  }
}
