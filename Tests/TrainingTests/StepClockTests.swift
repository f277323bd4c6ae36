import FoundationEssentials
import Glibc
import Testing
import Training

/// What a rank's time goes into.
@Suite struct StepClockTests {
  @Test func everyMomentCountsForOnePhase() {
    let start = monotonicSeconds()
    let clock = StepClock(in: .preparation)
    let within = monotonicSeconds()
    for phase in [Phase.compute, .waiting, .communication, .optimizer, .compute, .inputOutput] {
      clock.enter(phase)
      usleep(2000)
    }
    let least = monotonicSeconds() - within
    let times = clock.times
    let elapsed = monotonicSeconds() - start
    #expect(times[.compute] >= 0.004)
    #expect(times[.inputOutput] >= 0.002, "the phase under way is left out")
    #expect(times[.evaluation] == 0)
    #expect(times.total <= elapsed && times.total >= least)
  }

  @Test func anObserverIsToldOfPhasesThatFollowEachOther() {
    let clock = StepClock(in: .preparation)
    var spans: [(phase: Phase, began: Double, ended: Double)] = []
    clock.observer = { spans.append(($0, $1, $2)) }
    for phase in [Phase.compute, .waiting, .optimizer] { clock.enter(phase) }
    #expect(spans.map(\.phase) == [.preparation, .compute, .waiting])
    #expect(zip(spans, spans.dropFirst()).allSatisfy { $0.ended == $1.began && $1.began <= $1.ended })
  }

  @Test func timesAreFieldsOfJSONAndComeBack() throws {
    let times = PhaseTimes((1...Phase.allCases.count).map { Double($0) / 8 })
    let data = try JSONEncoder().encode(times)
    let fields = try JSONDecoder().decode([String: Double].self, from: data)
    #expect(fields.count == Phase.allCases.count)
    #expect(fields["compute_s"] == times[.compute] && fields["waiting_s"] == times[.waiting])
    #expect(try JSONDecoder().decode(PhaseTimes.self, from: data) == times)
    #expect(try JSONDecoder().decode(PhaseTimes.self, from: Data("{}".utf8)) == PhaseTimes())
    #expect((times + times - times) == times)
  }
}
