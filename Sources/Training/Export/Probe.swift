internal import BERT
internal import Collectives
internal import Datasets
internal import Randomness

/// Made-up reviews of many lengths, the same everywhere: two models are the same when their logits on these are.
enum Probe {
  /// How many there are.
  static let count = 64

  private static func reviews(_ shape: BERTConfiguration) -> EncodedReviews {
    let generator = Philox(seed: 1, purpose: .test)
    let reviews = (0..<count).map { review in
      let length = 1 + generator.index(below: min(shape.positionCount, 64), UInt32(review))
      return (0..<length).map {
        Int32(generator.index(below: shape.vocabularySize, UInt32(review), UInt32($0 + 1)))
      }
    }
    var data = EncodedReviews(reviews: reviews, labels: [])
    if shape.task != .classification {
      let tokens = TokenMasking.Tokens(count: shape.vocabularySize, mask: 0, special: []) { _ in false }
      data.masking = TokenMasking(tokens, .heldOut, seed: 0)
    }
    return data
  }

  /// The logits of a model, `[reviews, classes]`, or the losses of hidden tokens where it has no classes; collective.
  /// - Returns: The logits on rank 0; nil elsewhere.
  /// - Throws: `Failure` when ranks cannot talk.
  static func logits(of model: ModelState, _ communicator: Communicator) throws -> [Float]? {
    let shape = model.configuration
    let pool = try WorkerPool(count: 1)
    defer { pool.close() }
    let replica = try Replica(
      model.method, shape, model.store, pool, seed: 1, maxLength: shape.positionCount, trains: false)
    return try replica.evaluate(reviews(shape), communicator)
  }
}
