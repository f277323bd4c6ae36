package import Collectives
package import Console
package import Datasets
internal import Failures
internal import FineTuning
internal import Kernels
package import Tensors

/// What a model says of a text.
package struct Prediction: Sendable {
  /// The class.
  package let label: Int
  /// Its probability.
  package let probability: Double
  /// `[classes]`.
  package let logits: [Float]
}

/// A trained file over its base, ready to be asked.
package final class Inference {
  /// How the file was trained.
  package var configuration: TrainingConfiguration { trained.configuration }
  private let trained: TrainedModel
  private let replica: Replica
  private let pool: WorkerPool
  private let communicator: Communicator
  private let screen: Screen

  /// Loads a trained file; collective.
  /// - Parameters:
  ///   - checkpoint: A checkpoint or `model.h5`.
  ///   - basePath: The base it belongs to; where it was trained from when nil.
  ///   - merged: Whether low-rank updates are folded into the weights first, which makes passes cheaper.
  ///   - threads: Threads a rank.
  ///   - maxLength: The longest review; as in training when nil.
  ///   - precision: What products are computed in; as in training when nil.
  ///   - communicator: All ranks.
  ///   - screen: What rank 0 shows.
  /// - Throws: The same `Failure` on all ranks.
  package init(
    checkpoint: String, basePath: String?, merged: Bool, threads: Int, maxLength: Int?, precision: Precision? = nil,
    _ communicator: Communicator, _ screen: Screen
  ) throws {
    guard (1...1024).contains(threads) else {
      throw Failure(.usage, "--threads is \(threads), expected a whole number from 1 to 1024.")
    }
    trained = try TrainedModel(
      checkpoint: checkpoint, base: basePath, merged: merged, maxLength: maxLength, precision: precision, communicator)
    if trained.usesHeadOfBase { screen.line("the head is the base's: \(checkpoint) brings none") }
    pool = try WorkerPool(count: threads)
    replica = try Replica(
      trained.model.method, trained.shape, trained.model.store, pool, seed: trained.configuration.seed,
      maxLength: trained.configuration.maxLength, trains: false)
    self.communicator = communicator
    self.screen = screen
    // Hours of passes without a word to other ranks are no stall.
    let watch = communicator.watch
    replica.progress = { watch.beat() }
  }

  /// Frees what ranks share; collective.
  package func close() throws {
    pool.close()
    try trained.model.free()
  }

  /// Whether the model was pre-trained and names hidden tokens, not classes.
  package var isPretrained: Bool { configuration.pretraining != nil }

  /// The metrics of labelled reviews; of a model that was pre-trained, how well it names hidden tokens of texts.
  /// - Returns: The result on rank 0; nil elsewhere.
  /// - Throws: `Failure` when ranks cannot talk.
  package func evaluate(_ dataset: Dataset, name: String) throws -> Evaluation? {
    let evaluator = Evaluator(replica, classes: configuration.labelCount, communicator, screen)
    guard isPretrained else { return try evaluator.evaluate(try encode(dataset), name: name) }
    let tokens = try TokenMasking.Tokens(trained.shared.tokenizer)
    return try evaluator.evaluateMasked(
      MaskedLanguageObjective.heldOut(try encode(dataset), tokens), name: name)
  }

  /// Refuses pairs of texts where the base has one type of tokens.
  /// - Throws: `Failure` of kind `usage`.
  package func requirePairs(_ hasPairs: Bool) throws { try trained.shape.requirePairs(hasPairs) }

  /// The class of each text, its probability and the logits.
  /// - Returns: The predictions on rank 0; nil elsewhere.
  /// - Throws: `Failure` when ranks cannot talk.
  package func predict(_ dataset: Dataset) throws -> [Prediction]? {
    guard !isPretrained else {
      throw Failure(.usage, "this model was pre-trained and knows no classes; fine-tune it with train first.")
    }
    let data = try encode(dataset)
    let bar = screen.progress("predicting", total: data.count, unit: "texts")
    defer { bar.finish() }
    let logits = try replica.evaluate(
      data, communicator, progress: { done, total in bar.update(total > 0 ? data.count * done / total : data.count) })
    guard let logits else { return nil }
    let classes = configuration.labelCount
    return logits.withUnsafeBufferPointer { logits in
      guard let base = logits.baseAddress else { return [] }
      return (0..<data.count).map { row in
        let probabilities = softmaxProbabilities(base + row * classes, count: classes)
        let label = (1..<classes).reduce(0) { probabilities[$1] > probabilities[$0] ? $1 : $0 }
        return Prediction(
          label: label, probability: probabilities[label],
          logits: Array(logits[row * classes..<(row + 1) * classes]))
      }
    }
  }

  private func encode(_ dataset: Dataset) throws -> EncodedReviews {
    try EncodedReviews(
      dataset, trained.shared.tokenizer, maxLength: configuration.maxLength, communicator, pool)
  }
}
