package import Collectives
package import Console
package import Datasets
internal import Failures
internal import FineTuning
internal import Kernels

/// A trained file over its base, ready to be asked.
package final class Inference {
  /// How the file was trained.
  package let configuration: TrainingConfiguration
  private let shared: SharedBase
  private let model: ModelState
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
  ///   - communicator: All ranks.
  ///   - screen: What rank 0 shows.
  /// - Throws: The same `Failure` on all ranks.
  package init(
    checkpoint: String, basePath: String?, merged: Bool, threads: Int, maxLength: Int?,
    _ communicator: Communicator, _ screen: Screen
  ) throws {
    guard (1...1024).contains(threads) else {
      throw Failure(.usage, "--threads is \(threads), expected a whole number from 1 to 1024.")
    }
    let trained = try communicator.collectively { try TrainedFile(checkpoint) }
    var configuration = trained.configuration
    configuration.maxLength = maxLength ?? configuration.maxLength
    guard configuration.maxLength >= 3 else {
      throw Failure(.usage, "--max-length is \(configuration.maxLength), expected 3 or more.")
    }
    let base = basePath ?? configuration.base
    shared = try SharedBase(base, communicator)
    guard shared.sha256 == trained.baseSHA256 else {
      throw Failure(
        .badContent,
        "\(checkpoint) was trained on the base \(trained.baseSHA256.prefix(12))…, but \(base ?? "the demo") is \(shared.sha256.prefix(12))…; pass the base it belongs to with --base."
      )
    }
    let shape = try shared.configuration(
      labelCount: configuration.labelCount, dropout: configuration.dropout, maxLength: configuration.maxLength
    )
    let method = try configuration.fineTuningMethod()
    let asked: any FineTuningMethod = merged && method.canMerge ? Merged(method) : method
    model = try ModelState(
      base: shared.base, names: shared.tensorNames, shape, asked, seed: configuration.seed,
      overlay: checkpoint,
      communicator)
    pool = WorkerPool(count: threads)
    replica = Replica(
      asked, shape, model.store, pool, seed: configuration.seed, maxLength: configuration.maxLength,
      trains: false)
    self.configuration = configuration
    self.communicator = communicator
    self.screen = screen
  }

  /// Frees what ranks share; collective.
  package func close() throws {
    pool.close()
    try model.free()
  }

  /// The metrics of labelled reviews.
  /// - Returns: The result on rank 0; nil elsewhere.
  /// - Throws: `Failure` when ranks cannot talk.
  package func evaluate(_ dataset: Dataset, name: String) throws -> Evaluation? {
    try Evaluator(replica, classes: configuration.labelCount, communicator, screen)
      .evaluate(try encode(dataset), name: name)
  }

  /// The class and its probability of each text.
  /// - Returns: The predictions on rank 0; nil elsewhere.
  /// - Throws: `Failure` when ranks cannot talk.
  package func predict(_ dataset: Dataset) throws -> [(label: Int, probability: Double)]? {
    let data = try encode(dataset)
    let bar = screen.progress("predicting", total: data.count, unit: "texts")
    defer { bar.finish() }
    let logits = try replica.logits(data, communicator) { done, total in
      bar.update(total > 0 ? data.count * done / total : data.count)
    }
    guard let logits else { return nil }
    let classes = configuration.labelCount
    return logits.withUnsafeBufferPointer { logits in
      guard let base = logits.baseAddress else { return [] }
      return (0..<data.count).map { row in
        let probabilities = softmaxProbabilities(base + row * classes, count: classes)
        let label = (1..<classes).reduce(0) { probabilities[$1] > probabilities[$0] ? $1 : $0 }
        return (label, probabilities[label])
      }
    }
  }

  private func encode(_ dataset: Dataset) throws -> EncodedReviews {
    try EncodedReviews(
      dataset, shared.tokenizer, maxLength: configuration.maxLength, communicator, pool)
  }
}
