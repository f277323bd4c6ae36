/// What a rank has handed to collectives since the start: calls, bytes and seconds of each kind.
///
/// Take a snapshot (`Communicator.statistics`) before and after a step and subtract.
package struct CollectiveStatistics: Sendable {
  /// What a collective is for.
  package enum Kind: Int, CaseIterable, Sendable {
    /// All-reduce of `Float` buffers: gradients, and nothing else in this program.
    case allReduceFloats
    /// All-reduce of `Double` values: losses, norms, timings.
    case allReduceDoubles
    /// All-reduce of integers: counts.
    case allReduceIntegers
    /// One rank's values to all.
    case broadcast
    /// Every rank's values to one or to all.
    case gather
    /// Waiting for everybody.
    case barrier
    /// Agreeing on success, failure and configuration.
    case agreement
    /// Filling the copy of frozen weights that a node shares.
    case window
    /// Handing out parameters that only their owners have stepped along.
    case parameters
  }

  /// The count of one kind.
  package struct Tally: Sendable, Equatable {
    /// How many collectives were called (a buffer cut into chunks is one).
    package var calls = 0
    /// Payload handed in by this rank; for a broadcast the payload on every rank. What the wire carries
    /// depends on MPI's algorithm; this does not.
    package var bytes = 0
    /// Seconds inside, waiting for others included.
    package var seconds = 0.0

    /// Nothing yet.
    package init() {}

    static func + (a: Tally, b: Tally) -> Tally { combine(a, b, 1) }
    static func - (a: Tally, b: Tally) -> Tally { combine(a, b, -1) }

    private static func combine(_ a: Tally, _ b: Tally, _ sign: Int) -> Tally {
      var result = Tally()
      result.calls = a.calls + sign * b.calls
      result.bytes = a.bytes + sign * b.bytes
      result.seconds = a.seconds + Double(sign) * b.seconds
      return result
    }
  }

  // In place: a snapshot in every step must not allocate.
  private var tallies = InlineArray<9, Tally>(repeating: Tally())

  /// Nothing yet.
  package init() {}

  /// The count of one kind.
  package internal(set) subscript(kind: Kind) -> Tally {
    get { tallies[kind.rawValue] }
    set { tallies[kind.rawValue] = newValue }
  }

  /// All kinds together.
  package var total: Tally { Kind.allCases.reduce(Tally()) { $0 + self[$1] } }

  /// What happened between two snapshots.
  package static func - (later: CollectiveStatistics, earlier: CollectiveStatistics) -> CollectiveStatistics {
    var result = CollectiveStatistics()
    for kind in Kind.allCases { result[kind] = later[kind] - earlier[kind] }
    return result
  }
}
