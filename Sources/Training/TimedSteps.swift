internal import Collectives

/// What the steps of a run took, those of the warm-up left out (`--untimed-steps`): what studies read.
package struct TimedSteps: Codable, Sendable, Equatable {
  /// The file of the run directory.
  package static let file = "timed.json"

  /// How many steps were timed.
  package var steps = 0
  /// Their reviews, over all ranks.
  package var reviews = 0
  /// Their tokens, over all ranks.
  package var tokens = 0
  /// Their seconds on rank 0, with what it does between them.
  package var seconds = 0.0
  /// Bytes of gradients that rank 0 handed to the all-reduce.
  package var bytes = 0
  /// On how many nodes.
  package var nodes = 1
  /// What each rank spent the time on.
  package var phases: [PhaseTimes] = []
  /// What each rank holds after its last step, what it shares with others counted in proportion.
  package var proportionalBytes: [Int] = []

  private enum CodingKeys: String, CodingKey {
    case steps, reviews, tokens, seconds, nodes, bytes = "all_reduce_bytes", phases = "phase_seconds"
    case proportionalBytes = "pss_bytes"
  }
}

/// Adds up timed steps on a rank.
struct StepTimer {
  private let untimed: Int
  private let clock: StepClock
  private var seen = 0
  private var began = PhaseTimes()
  private var ended = PhaseTimes()
  private var bytesBefore = 0
  private var timed = TimedSteps()

  /// - Parameters:
  ///   - untimed: How many steps are left out.
  ///   - clock: This rank's.
  init(untimed: Int, _ clock: StepClock) { (self.untimed, self.clock) = (untimed, clock) }

  /// Says that a step begins.
  mutating func begin(_ communicator: Communicator) {
    guard seen == untimed else { return }
    began = clock.times
    bytesBefore = communicator.statistics[.allReduceFloats].bytes
  }

  /// Says that a step is done.
  mutating func end(reviews: Int, tokens: Int) {
    seen += 1
    guard seen > untimed else { return }
    timed.steps += 1
    timed.reviews += reviews
    timed.tokens += tokens
    ended = clock.times
  }

  /// The figures with those of all ranks; collective.
  func gather(_ communicator: Communicator) throws -> TimedSteps {
    var result = timed
    let own = ended - began
    result.seconds = own.total
    result.nodes = communicator.nodeCount
    result.bytes = communicator.statistics[.allReduceFloats].bytes - bytesBefore
    result.phases = try communicator.allGather(own.values).map(PhaseTimes.init)
    var memory = MemoryPeak()
    memory.sample()
    result.proportionalBytes = try memory.gather(communicator).ranks
    return result
  }
}
