package import BERT
internal import Collectives
package import Datasets
internal import Failures
internal import Glibc

/// How long the reviews of a run are, in the order in which its first epoch takes them: for planning and for models of
/// what a step takes. For one process.
package struct ReviewLengths: Sendable {
  /// Tokens of each review, in the order of the steps; the beginning of it for many reviews.
  package let tokens: [Int]
  /// How many reviews an epoch has.
  package let reviewCount: Int
  /// How many different tokens these reviews have: the rows of a trained table of embeddings that get memory.
  package let distinctTokenCount: Int
  /// Bytes of the training texts, which every rank keeps.
  package let textBytes: Int
  /// Bytes of the texts of the other data files, which every rank keeps as well.
  package let heldOutTextBytes: Int
  /// The longest review that is not cut, in tokens.
  package let maxLength: Int
  /// The model's shape.
  package let configuration: BERTConfiguration
  /// What a review costs.
  package var cost: ReviewCost {
    ReviewCost(hiddenSize: configuration.hiddenSize, intermediateSize: configuration.intermediateSize)
  }

  /// Reads a run's base and reviews.
  /// - Parameters:
  ///   - run: What names them.
  ///   - limit: How many reviews are looked at.
  /// - Throws: `Failure` when anything is missing or wrong.
  package init(_ run: TrainingConfiguration, limit: Int = 32_768) throws {
    var run = run
    // Adapters make reviews neither longer nor shorter.
    (run.method, run.fuse, run.languageAdapter, run.trainsAdapters) = ("full", [], nil, false)
    let alone = Communicator(program: "bert-ddp")
    let inputs = try RunInputs(&run, alone)
    let pool = try WorkerPool(count: 1)
    defer { pool.close() }
    let order = SampleOrder(count: inputs.training.count, seed: run.seed)
    var reviews: [Int] = []
    order.reviews(
      of: order.step(0, reviewsPerStep: min(inputs.training.count, limit)), into: &reviews)
    let part = inputs.training.selecting(reviews)
    let encoded = try EncodedReviews(part, inputs.tokenizer, maxLength: run.maxLength, alone, pool)
    guard encoded.count > 0 else { throw Failure(.badContent, "there are no reviews to train on.") }
    tokens = (0..<encoded.count).map(encoded.tokenCount)
    distinctTokenCount = Set(encoded.ids).count
    // Texts that --train-limit leaves out are let go: six bytes a token are about what Korean takes.
    textBytes = 6 * encoded.ids.count / encoded.count * inputs.training.count
    heldOutTextBytes = [run.validationFile, run.testFile].compactMap { $0 }.reduce(0) { total, path in
      var information = stat()
      return stat(path, &information) == 0 ? total + Int(information.st_size) : total
    }
    (reviewCount, maxLength, configuration) = (inputs.training.count, run.maxLength, inputs.configuration)
  }

  /// Reviews that are made up, for a plan before there are data: most short, a few long, as short reviews are.
  /// - Parameters:
  ///   - count: How many.
  ///   - meanLength: Tokens on average.
  ///   - maxLength: Tokens at most.
  ///   - configuration: The model's shape.
  package init(madeUp count: Int, meanLength: Double, maxLength: Int, _ configuration: BERTConfiguration) {
    let looked = min(count, 32_768)
    // An exponential distribution above the two tokens that every review has, cut at the longest.
    let quantiles = (0..<looked).map { index in
      // Every quantile once, in an order that mixes short and long (a multiple of the golden ratio).
      let u = (Double(index) * 0.618_033_988_749_895).truncatingRemainder(dividingBy: 1)
      return min(maxLength, max(3, Int((2 - (meanLength - 2) * log(1 - u * 0.9999)).rounded())))
    }
    tokens = quantiles
    (reviewCount, self.maxLength, self.configuration) = (count, maxLength, configuration)
    // Heaps' law with the constants of newspaper text.
    let all = Double(count) * meanLength
    distinctTokenCount = min(configuration.vocabularySize, Int(44 * pow(all, 0.49)))
    (textBytes, heldOutTextBytes) = (Int(all * 6), 0)
  }
}

extension Replica.StepShare {
  /// The share of a rank, among so many, of steps of so many reviews of such lengths.
  package init(reviews: Int, of lengths: ReviewLengths, ranks: Int) {
    let mean = Double(lengths.tokens.reduce(0, +)) / Double(max(1, lengths.tokens.count))
    self.init(reviews: reviews, meanTokens: mean, ranks: ranks)
  }
}
