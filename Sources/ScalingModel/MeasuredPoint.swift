/// A setting and what a step of it took, the median of its repetitions.
package struct MeasuredPoint: Sendable, Equatable {
  /// The setting.
  package var setting: Setting
  /// What a worker has to do in a step.
  package var load: TokenLoads.Load
  /// Seconds of a step.
  package var seconds: Double
  /// Of these, seconds of passes and of the optimiser, the mean over ranks.
  package var compute: Double
  /// Seconds in which gradients were moved and added.
  package var communication: Double
  /// Seconds in which a rank waited for the last one.
  package var waiting: Double
  /// Bytes of gradients that a rank handed to the all-reduce.
  package var bytes: Double

  /// A point.
  package init(
    _ setting: Setting, load: TokenLoads.Load, seconds: Double, compute: Double, communication: Double,
    waiting: Double, bytes: Double
  ) {
    (self.setting, self.load, self.seconds, self.compute) = (setting, load, seconds, compute)
    (self.communication, self.waiting, self.bytes) = (communication, waiting, bytes)
  }
}

/// What is run on what.
package struct Setting: Sendable, Hashable {
  /// The fine-tuning method, with what tells it from others of its name: `lora:16`.
  package var method: String
  /// Ranks in all.
  package var ranks: Int
  /// Threads of a rank.
  package var threads: Int
  /// Nodes.
  package var nodes: Int
  /// Reviews of a step over all ranks.
  package var batch: Int
  /// Cores of a node.
  package var cores: Int

  /// A setting.
  package init(method: String, ranks: Int, threads: Int = 1, nodes: Int = 1, batch: Int, cores: Int) {
    (self.method, self.ranks, self.threads) = (method, ranks, threads)
    (self.nodes, self.batch, self.cores) = (nodes, batch, cores)
  }

  /// Ranks of the fullest node.
  package var ranksPerNode: Int { (ranks + nodes - 1) / max(1, nodes) }
  /// How many threads share a core; 1 where each has its own.
  package var crowding: Double { max(1, Double(ranksPerNode * threads) / Double(max(1, cores))) }
  /// How long computing takes where threads share cores, if it takes so many seconds on a core of its own: whole turns in
  /// short steps, `crowding` in long ones. Ranks that wait for others keep their cores busy, so the system moves a thread
  /// from a core that has too many only now and then; the threads of one rank wait asleep.
  package func crowded(_ seconds: Double) -> Double {
    let share = crowding * seconds
    return share + (turns - crowding) * seconds * Setting.betweenMoves / (Setting.betweenMoves + share)
  }
  /// The seconds on a core of its own of computing that takes so many where threads share cores: the inverse.
  package func uncrowded(_ seconds: Double) -> Double {
    let b = Setting.betweenMoves * turns - crowding * seconds
    return ((b * b + 4 * crowding * crowding * seconds * Setting.betweenMoves).squareRoot() - b)
      / (2 * crowding * crowding)
  }
  /// How many threads the fullest core has when no thread is moved.
  private var turns: Double { ranksPerNode > 1 ? crowding.rounded(.up) : crowding }
  /// How long a thread stays on a core that has too many, in seconds; found with 3 and 5 ranks on 2 cores that run one
  /// thread at a time, Linux 6.
  private static let betweenMoves = 0.11
  /// Whether threads share cores, so that the point says little of how the program scales.
  package var isOversubscribed: Bool { ranksPerNode * threads > cores }
  /// How much of a node is at work beside a thread, from 0 (nothing) to 1 (all other cores): they share its memory.
  var company: Double {
    cores < 2 ? 0 : Double(min(ranksPerNode * threads, cores) - 1) / Double(cores - 1)
  }
}
