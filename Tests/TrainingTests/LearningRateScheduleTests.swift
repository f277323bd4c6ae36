import Glibc
import TestSupport
import Testing
import Training

@Suite struct LearningRateScheduleTests {
  private func schedule(_ shape: LearningRateSchedule.Shape, ratio: Double = 0.1, steps: Int = 100)
    -> LearningRateSchedule
  {
    LearningRateSchedule(shape: shape, peak: 2, warmupRatio: ratio, totalSteps: steps)
  }

  /// Step 0 has rate zero, the peak comes after the warm-up.
  @Test(arguments: LearningRateSchedule.Shape.allCases)
  func warmUp(_ shape: LearningRateSchedule.Shape) {
    let schedule = schedule(shape)
    #expect(schedule.warmupSteps == 10)
    #expect(schedule.rate(at: 0) == 0)
    #expect(schedule.rate(at: 5) == 1)
    #expect(schedule.rate(at: 10) == 2)
  }

  @Test func afterwards() {
    // A quarter, half and three quarters of the 90 steps that are left, and what is beyond them.
    let steps = [10 + 45 / 2, 10 + 45, 100, 130]
    func expected(_ shape: LearningRateSchedule.Shape) -> [Double] {
      steps.map { step in
        let done = min(1, Double(step - 10) / 90)
        return switch shape {
        case .linear: 2 * (1 - done)
        case .cosine: 2 * cos(Double.pi * done / 2) * cos(Double.pi * done / 2)
        case .constant: 2
        }
      }
    }
    for shape in LearningRateSchedule.Shape.allCases {
      let found = steps.map { schedule(shape).rate(at: $0) }
      for (rate, right) in zip(found, expected(shape)) { #expect(abs(rate - right) < 1e-15, "\(shape)") }
    }
  }

  @Test func withoutWarmUpTheFirstStepHasThePeak() {
    for shape in LearningRateSchedule.Shape.allCases { #expect(schedule(shape, ratio: 0).rate(at: 0) == 2) }
  }

  /// As Transformers rounds: `math.ceil(steps * ratio)`.
  @Test(arguments: [(0.06, 10, 1), (0.06, 50, 3), (0.06, 18_752, 1126), (0.1, 0, 0), (1, 7, 7)])
  func theWarmUpIsRoundedUp(_ ratio: Double, _ steps: Int, _ warmup: Int) {
    #expect(schedule(.linear, ratio: ratio, steps: steps).warmupSteps == warmup)
  }

  @Test func aRunThatIsAllWarmUpStaysFinite() {
    let schedule = schedule(.cosine, ratio: 1, steps: 4)
    #expect((0...6).map { schedule.rate(at: $0) } == [0, 0.5, 1, 1.5, 2, 0, 0])
  }
}
