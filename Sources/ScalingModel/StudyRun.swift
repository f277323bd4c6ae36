/// One measured run of a study: a line of its `runs.jsonl`.
package struct StudyRun: Codable, Sendable, Equatable {
  /// The fine-tuning method as it was asked for: `lora:16`.
  package var method: String
  /// Ranks in all.
  package var ranks: Int
  /// Threads of a rank.
  package var threads: Int
  /// Nodes that the ranks were on.
  package var nodes: Int
  /// Cores of a node that ranks could use.
  package var cores: Int
  /// Reviews of a step over all ranks.
  package var globalBatch: Int
  /// The longest review, in tokens.
  package var sequence: Int
  /// Which repetition, from 1.
  package var repetition: Int
  /// Steps that were measured, those of the warm-up left out.
  package var steps: Int
  /// Reviews of these steps.
  package var samples: Int
  /// Tokens of these reviews.
  package var tokens: Int
  /// Seconds of these steps.
  package var seconds: Double
  /// Of these, computing: the mean over ranks, as the next three.
  package var compute: Double
  /// Moving and adding gradients.
  package var communication: Double
  /// Waiting for the last rank.
  package var waiting: Double
  /// Writing checkpoints and metrics.
  package var inputOutput: Double
  /// Proportional memory (PSS) of all ranks together, in bytes.
  package var proportionalBytes: Int
  /// Bytes of gradients that a rank handed to the all-reduce in these steps.
  package var bytesReduced: Int

  private enum CodingKeys: String, CodingKey {
    case method, ranks, threads, nodes, cores, sequence, repetition, steps, samples, tokens, seconds
    case globalBatch = "global_batch", compute = "compute_s", communication = "comm_s", waiting = "wait_s"
    case inputOutput = "io_s", proportionalBytes = "pss_bytes", bytesReduced = "bytes_reduced"
  }

  /// A run.
  package init(
    _ setting: Setting, sequence: Int, repetition: Int, steps: Int, samples: Int, tokens: Int, seconds: Double,
    compute: Double, communication: Double, waiting: Double, inputOutput: Double, proportionalBytes: Int,
    bytesReduced: Int
  ) {
    (method, ranks, threads) = (setting.method, setting.ranks, setting.threads)
    (nodes, cores, globalBatch) = (setting.nodes, setting.cores, setting.batch)
    (self.sequence, self.repetition, self.steps) = (sequence, repetition, steps)
    (self.samples, self.tokens, self.seconds) = (samples, tokens, seconds)
    (self.compute, self.communication, self.waiting) = (compute, communication, waiting)
    (self.inputOutput, self.proportionalBytes, self.bytesReduced) = (inputOutput, proportionalBytes, bytesReduced)
  }

  /// What was run on what.
  package var setting: Setting {
    Setting(method: method, ranks: ranks, threads: threads, nodes: nodes, batch: globalBatch, cores: cores)
  }
  /// Reviews a second.
  package var samplesPerSecond: Double { Double(samples) / seconds }
}

/// Which runs a study consists of, and in which order.
package struct StudyPlan: Sendable, Equatable {
  /// Methods as they were asked for.
  package let methods: [String]
  /// Numbers of ranks, rising.
  package let ranks: [Int]
  /// Threads of a rank.
  package let threads: Int
  /// Reviews of a step under strong scaling, and for each rank under weak scaling.
  package let batch: Int
  /// What is studied.
  package let growths: [Forecast.Growth]
  /// How often each setting is run.
  package let repetitions: Int

  /// A plan.
  package init(
    methods: [String], ranks: [Int], threads: Int, batch: Int, growths: [Forecast.Growth], repetitions: Int
  ) {
    (self.methods, self.ranks, self.threads) = (methods, Array(Set(ranks)).sorted(), threads)
    (self.batch, self.growths, self.repetitions) = (batch, growths, repetitions)
  }

  /// A run: what is measured for which time.
  package struct Run: Sendable, Hashable {
    /// The method.
    package let method: String
    /// Ranks.
    package let ranks: Int
    /// Reviews of a step over all ranks.
    package let batch: Int
    /// Which repetition, from 1.
    package let repetition: Int
  }

  /// Reviews of a step.
  package func batch(_ growth: Forecast.Growth, ranks: Int) -> Int { growth == .strong ? batch : batch * ranks }

  /// Reviews of a step of the runs that are half as large as the first: two sizes on the same ranks tell what a step costs
  /// from what a review costs.
  package var halfBatch: Int { max(1, batch(growths.first ?? .strong, ranks: ranks.first ?? 1) / 2) }

  /// All runs. Settings are measured in turn, not one to the end and then the next, and every other time in reverse: a
  /// machine that slows down or wakes up meanwhile then does so for all of them.
  package var runs: [Run] {
    var once = methods.map { ($0, ranks.first ?? 1, halfBatch) }
    for count in ranks {
      for growth in growths {
        for method in methods where !once.contains(where: { $0 == (method, count, batch(growth, ranks: count)) }) {
          once.append((method, count, batch(growth, ranks: count)))
        }
      }
    }
    return (1...max(1, repetitions)).flatMap { repetition in
      (repetition % 2 == 1 ? once : once.reversed()).map {
        Run(method: $0.0, ranks: $0.1, batch: $0.2, repetition: repetition)
      }
    }
  }
}
