internal import Collectives
internal import Console
internal import Datasets
internal import Metrics
internal import Tokenization

/// What a run trains for: how texts become examples, how a model is judged, and what file the run ends with.
protocol Objective {
  /// What is trained on.
  /// - Throws: `Failure` when ranks cannot talk, or the texts cannot be used.
  func examples(_ dataset: Dataset, _ encoder: TextEncoder) throws -> TrainingExamples
  /// What a model is judged on.
  /// - Throws: `Failure` when ranks cannot talk, or the texts cannot be used.
  func heldOut(_ dataset: Dataset, _ encoder: TextEncoder) throws -> EncodedReviews
  /// Judges a replica; collective.
  /// - Parameters:
  ///   - data: What `heldOut` made.
  ///   - split: What it is called.
  ///   - evaluator: All ranks compute, rank 0 judges.
  ///   - isCancelled: Asked between passes whether to leave it.
  /// - Returns: The result on rank 0; nil elsewhere.
  /// - Throws: `Failure` when ranks cannot talk, or any of them has left it.
  func evaluate(
    _ data: EncodedReviews, split: String, _ evaluator: Evaluator, isCancelled: () -> Bool
  ) throws -> Evaluation?
  /// Writes what was trained into the run directory; on rank 0.
  /// - Throws: `Failure` when it cannot be written.
  func writeResult(_ model: ModelState, _ checkpoint: TrainingCheckpoint, _ inputs: RunInputs) throws
}

/// The examples of a run, epoch by epoch: always as many.
struct TrainingExamples {
  /// Those of the first epoch.
  let first: EncodedReviews
  private let make: (Int) -> EncodedReviews

  /// The same examples in every epoch.
  init(_ data: EncodedReviews) { self.init(data) { _ in data } }

  /// Others in every epoch.
  init(_ first: EncodedReviews, _ make: @escaping (_ epoch: Int) -> EncodedReviews) {
    self.first = first
    self.make = make
  }

  /// How many there are.
  var count: Int { first.count }

  /// In which order they are seen, and which of them make a step.
  func order(_ run: TrainingConfiguration) -> SampleOrder {
    let batches = run.pretraining?.batchTokens.map {
      LengthBatches(lengths: (0..<count).map { first.tokenCount($0) }, positions: $0)
    }
    return SampleOrder(count: count, seed: run.seed, batches: batches)
  }

  /// How many all ranks compute at once: where steps are of so many tokens, whatever a step has.
  func reviewsPerPass(_ run: TrainingConfiguration) -> Int {
    run.pretraining?.batchTokens == nil ? run.globalBatchSize : max(1, count)
  }

  /// Those of an epoch, counted from 0.
  func epoch(_ epoch: Int) -> EncodedReviews { make(epoch) }
}

/// Turns data sets into tokens, on all ranks together.
struct TextEncoder {
  let tokenizer: WordPieceTokenizer
  let maxLength: Int
  let communicator: Communicator
  let pool: WorkerPool

  /// The tokens of a data set.
  /// - Throws: `Failure` when ranks cannot talk.
  func callAsFunction(_ dataset: Dataset) throws -> EncodedReviews {
    try EncodedReviews(dataset, tokenizer, maxLength: maxLength, communicator, pool)
  }
}

/// Classes of labelled reviews.
struct Classification: Objective {
  /// Which test reviews have a text that also occurs in training.
  let isInTraining: [Bool]
  /// The run directory.
  let output: String

  func examples(_ dataset: Dataset, _ encoder: TextEncoder) throws -> TrainingExamples {
    TrainingExamples(try encoder(dataset))
  }

  func heldOut(_ dataset: Dataset, _ encoder: TextEncoder) throws -> EncodedReviews { try encoder(dataset) }

  func evaluate(
    _ data: EncodedReviews, split: String, _ evaluator: Evaluator, isCancelled: () -> Bool
  ) throws -> Evaluation? {
    try evaluator.evaluate(
      data, name: split, isInTraining: split == "test" ? isInTraining : [], isCancelled: isCancelled)
  }

  func writeResult(_ model: ModelState, _ checkpoint: TrainingCheckpoint, _ inputs: RunInputs) throws {
    try checkpoint.writeModel(to: output + "/model.h5", model)
  }
}
