import BERT
import Collectives
import Datasets
import Failures
import FineTuning
import FoundationEssentials
import Glibc
import Kernels
import Randomness
import Tensors
import Tokenization
import Training

/// Training steps of one method over random weights of a shape, timed.
struct Throughput {
  let bench: Bench
  let methodName: String

  init(_ bench: Bench, method: String) {
    self.bench = bench
    methodName = method
  }

  /// What was measured.
  struct Result {
    let method: String
    let trainableCount: Int
    let tokensPerSecond: Double
    let reviewsPerSecond: Double
    let medianStepSeconds: Double
    let flopsPerSecond: Double
    let waitShare: Double
    let bytesPerStep: Int
    let peakResidentBytes: Int

    func json(peak: Double, size: ModelSize, threads: Int, _ worldSize: Int) throws -> String {
      let line = Line(
        method: method, size: size.rawValue, world_size: worldSize, threads: threads,
        trainable_parameters: trainableCount, tokens_per_second: tokensPerSecond,
        reviews_per_second: reviewsPerSecond, gflops: flopsPerSecond / 1e9, sgemm_peak_gflops: peak,
        wait_share: waitShare, all_reduce_bytes_per_step: bytesPerStep, peak_rss_bytes: peakResidentBytes)
      return String(decoding: try JSONEncoder().encode(line), as: UTF8.self)
    }
  }

  /// One line of JSON; names as the peers print them.
  private struct Line: Encodable {
    let method: String, size: String
    // swift-format-ignore: AlwaysUseLowerCamelCase
    let world_size: Int, threads: Int, trainable_parameters: Int
    // swift-format-ignore: AlwaysUseLowerCamelCase
    let tokens_per_second: Double, reviews_per_second: Double, gflops: Double, sgemm_peak_gflops: Double
    // swift-format-ignore: AlwaysUseLowerCamelCase
    let wait_share: Double, all_reduce_bytes_per_step: Int, peak_rss_bytes: Int
  }

  func run(_ communicator: Communicator) throws -> Result {
    var configuration = bench.size.configuration
    configuration.precision = bench.precision
    let method = try BenchMethod(methodName, loraRank: bench.loraRank).method
    let table = try method.table(for: configuration)
    let blocks = try ParameterBlocks(table, communicator)
    defer { try? blocks.freeFrozen() }
    try blocks.fillFrozen { initialize($0, trainable: false) }
    let store = blocks.store
    initialize(store, trainable: true)
    method.completeInitialization(of: Set(table.trainableEntries.map(\.specification.name)), in: store)
    store.refreshRounded()
    let pool = WorkerPool(count: bench.threads)
    defer { pool.close() }
    let data = try reviews(communicator, pool, configuration)
    let replica = Replica(method, configuration, store, pool, seed: 1, maxLength: bench.maxLength)
    let optimizer = Optimizer(store, Optimizer.Settings())
    return try steps(replica, optimizer, data, method, communicator)
  }

  private func initialize(_ store: ParameterStore, trainable: Bool) {
    for entry in store.table.entries where entry.parameter.isTrainable == trainable {
      store.initialize(entry, seed: 1)
    }
  }

  private func reviews(
    _ communicator: Communicator, _ pool: WorkerPool, _ configuration: BERTConfiguration
  ) throws -> EncodedReviews {
    if let file = bench.trainFile, let vocabularyFile = bench.vocabulary {
      let dataset = try Dataset.labelled(path: file, classCount: 2).limited(to: 20_000, seed: 1)
      var settings = TokenizerSettings()
      settings.lowercase = false
      let vocabulary = try Vocabulary(fileContents(of: vocabularyFile), file: vocabularyFile)
      let tokenizer = try WordPieceTokenizer(vocabulary, settings)
      return try EncodedReviews(dataset, tokenizer, maxLength: bench.maxLength, communicator, pool)
    }
    let generator = Philox(seed: 1, purpose: .test)
    let reviews = (0..<4096).map { review in
      // Lengths like those of short reviews: most under 25 tokens, a few long.
      let w = generator.words(UInt32(review))
      let u = Double(Philox.uniform(w.0))
      let length = min(bench.maxLength, max(4, Int(8 / (1.05 - u))))
      return (0..<length).map { position in
        Int32(generator.index(below: configuration.vocabularySize, UInt32(review), UInt32(position), 1))
      }
    }
    return EncodedReviews(reviews: reviews, labels: reviews.indices.map { Int32($0 % 2) })
  }

  private func steps(
    _ replica: Replica, _ optimizer: Optimizer, _ data: EncodedReviews, _ method: any FineTuningMethod,
    _ communicator: Communicator
  ) throws -> Result {
    let order = SampleOrder(count: data.count, seed: 1)
    let needed = try OperationCount(method, bench.size.configuration)
    let lookedUp = LookedUpRows(replica.store.table)
    let exchange = GradientExchange(communicator)
    var reviews: [Int] = []
    var seconds: [Double] = []
    var rates: [Double] = []
    var flops: [Double] = []
    var before = communicator.statistics
    communicator.measuresWaiting = true
    for step in 0..<bench.warmupSteps + bench.steps {
      if step == bench.warmupSteps { before = communicator.statistics }
      order.reviews(of: order.step(step, reviewsPerStep: bench.globalBatchSize), into: &reviews)
      try communicator.barrier()
      let start = now()
      let touched = lookedUp.stretches(of: reviews, in: data)
      _ = replica.addGradients(
        reviews[...], of: data, step: step, touched: touched, rank: communicator.rank, size: communicator.size)
      try exchange.sum(replica.gradients, touched: touched)
      guard let gradients = replica.gradients.baseAddress else { continue }
      method.addRegularizationGradient(to: gradients, of: replica.store, reviewCount: reviews.count, step: step)
      let norm = optimizer.norm(of: gradients, count: reviews.count, touched: touched, pool: replica.pool)
      optimizer.step(
        gradients, count: reviews.count, norm: norm, learningRate: 1e-5, touched: touched, pool: replica.pool)
      let elapsed = now() - start
      guard step >= bench.warmupSteps else { continue }
      let tokens = reviews.reduce(0) { $0 + data.tokenCount($1) }
      seconds.append(elapsed)
      rates.append(Double(tokens) / elapsed)
      flops.append(reviews.reduce(0) { $0 + needed.operations(tokens: data.tokenCount($1)) } / elapsed)
    }
    let after = communicator.statistics - before
    let total = seconds.reduce(0, +)
    var usage = rusage()
    getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
    return Result(
      method: methodName, trainableCount: replica.store.table.trainableCount,
      tokensPerSecond: median(rates), reviewsPerSecond: Double(bench.globalBatchSize) / median(seconds),
      medianStepSeconds: median(seconds), flopsPerSecond: median(flops),
      waitShare: after[.allReduceFloats].seconds / total,
      bytesPerStep: after[.allReduceFloats].bytes / bench.steps,
      peakResidentBytes: Int(usage.ru_maxrss) * 1024)
  }
}
