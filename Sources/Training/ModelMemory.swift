package import BERT
internal import Failures
package import Tensors

/// What a model takes of a node's memory at least, before any of it is taken: a base whose sizes are absurd ends in a
/// sentence.
package struct ModelMemory: Sendable {
  /// Frozen weights, which are there once.
  let sharedBytes: Int
  /// What each rank has: what is trained, its moments, gradients, and activations for each thread.
  let rankBytes: Int
  /// What each rank has besides that computes shards (`ShardedGradients`).
  let shardBytes: Int
  /// How many ranks the node has, and how many of them may compute shards.
  let ranks: (onNode: Int, withShards: Int)
  /// Activations of a thread, and how many threads a rank has.
  private let activations: (bytes: Int, threads: Int)

  /// All of it, on the node.
  package var nodeBytes: Int { sharedBytes + ranks.onNode * rankBytes + ranks.withShards * shardBytes }

  /// Adds up.
  /// - Parameters:
  ///   - table: The parameters.
  ///   - model: The model that they are of.
  ///   - training: How it is trained; nil where it is only asked, which takes neither gradients nor moments.
  ///   - ranksOnNode: How many ranks share the node's memory.
  package init(_ table: ParameterTable, _ model: any TaskModel, training: Training?, ranksOnNode: Int) {
    sharedBytes = 4 * table.frozenCount + 2 * table.roundedCount + table.transposeBytes
    let threads = training?.threads ?? 1
    activations = (model.leastArenaBytes(tokens: training?.tokensPerPass ?? 0), threads)
    var count = table.trainableCount
    if let training {
      // Of rows that are looked up only those count that a run is sure to have: none.
      let reached = table.trainableCount - LookedUpRows(table).range.count
      count += 2 * reached / training.ranksSharingMoments
      let own = Replica.gradientCount(
        of: model, reached: reached, of: table.trainableCount, threads: threads,
        shardBuffers: training.shardBuffers.map { _ in 0 }, share: training.stepShare)
      count += own.gradients + own.folds
    }
    rankBytes = 4 * count + threads * activations.bytes
    shardBytes = 4 * (training?.shardBuffers?.perRank ?? 0) * table.trainableCount
    // Ranks beyond the shards have none.
    ranks = (ranksOnNode, min(ranksOnNode, training?.shardBuffers?.ranks ?? 0))
  }

  /// Refuses a model that no memory could hold.
  /// - Throws: `Failure` that says what it takes and what the node has.
  func check(_ table: ParameterTable) throws {
    let present = memoryBytes
    guard nodeBytes > present else { return }
    throw Failure(
      .other,
      "\(table.trainableCount) trained of \(table.count) parameters, with \(activations.bytes >> 20) MiB of activations for each of \(activations.threads) threads, take \((rankBytes + shardBytes) >> 30) GiB a rank and \(sharedBytes >> 30) GiB once, and this node has \(present >> 30) GiB for its \(ranks.onNode); choose fewer ranks a node, fewer --threads, a smaller model or a smaller --lora-rank."
    )
  }
}

extension ModelMemory {
  /// What decides how much memory training takes.
  package struct Training: Sendable {
    /// Threads of a rank.
    package let threads: Int
    /// How many tokens a thread has at once, on average.
    package let tokensPerPass: Int
    /// Shards' gradients that ranks keep at once; nil without shards.
    package let shardBuffers: ShardedGradients.Buffers?
    /// Over how many ranks the optimiser's moments are shared out.
    package let ranksSharingMoments: Int
    /// What a rank has of a step.
    package let stepShare: Replica.StepShare

    /// A way to train.
    package init(
      threads: Int, tokensPerPass: Int, shardBuffers: ShardedGradients.Buffers?, ranksSharingMoments: Int,
      stepShare: Replica.StepShare
    ) {
      (self.threads, self.tokensPerPass, self.stepShare) = (threads, tokensPerPass, stepShare)
      (self.shardBuffers, self.ranksSharingMoments) = (shardBuffers, ranksSharingMoments)
    }

    /// How a run trains on some reviews.
    init(_ run: TrainingConfiguration, _ reviews: EncodedReviews, ranks: Int) {
      let perReview = Double(reviews.tokenCount) / Double(max(1, reviews.count))
      let tokens = run.pretraining?.batchTokens.map(Double.init) ?? Double(run.globalBatchSize) * perReview
      self.init(
        threads: run.threads,
        tokensPerPass: min(
          Replica.tokensPerPass(maxLength: run.maxLength), Int(tokens / Double(ranks * run.threads))),
        shardBuffers: run.shardBuffers(ranks: ranks), ranksSharingMoments: run.shardOptimizer ? ranks : 1,
        stepShare: Replica.StepShare(reviews: run.reviewsPerStep, of: reviews, ranks: ranks))
    }
  }
}
