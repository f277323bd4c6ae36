import BERT
import Collectives
import Datasets
import Failures
import FineTuning
import Kernels
import Randomness
import Tensors
import Tokenization
import Training

/// Training steps and an evaluation of one method over random weights of a shape, timed.
struct Throughput {
  let bench: Bench
  let methodName: String
  /// Measures the peak between steps, by a library.
  let products: Products
  let library: ProductLibrary

  /// - Returns: What was measured, the same on every rank.
  /// - Throws: `Failure` when the method does not fit, or ranks cannot talk.
  func run(_ communicator: Communicator) throws -> Measurement {
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
    let pool = try WorkerPool(count: bench.threads)
    defer { pool.close() }
    let data = try reviews(communicator, pool, configuration)
    let replica = try Replica(
      method, configuration, store, pool, seed: 1, maxLength: bench.maxLength,
      stepShare: Replica.StepShare(reviews: bench.globalBatchSize, of: data, ranks: communicator.size))
    var measurement = try train(replica, data, method, communicator)
    if bench.evaluationReviews > 0 {
      measurement.evaluationReviewsPerSecond = try evaluate(replica, data, communicator)
    }
    return measurement
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

  // MARK: Training

  private func train(
    _ replica: Replica, _ data: EncodedReviews, _ method: any FineTuningMethod, _ communicator: Communicator
  ) throws -> Measurement {
    let clock = StepClock(in: .compute)
    let exchange = GradientExchange(
      communicator, replica.store.table, replica.stages, isSharded: bench.shardOptimizer)
    let optimizer = try Optimizer(
      replica.store, Optimizer.Settings(), tiles: exchange.optimizerTiles, overwritten: replica.overwritten)
    let passes = StepPasses(
      replica, optimizer, exchange, method, communicator, clock, reviewsPerPass: bench.globalBatchSize)
    let order = SampleOrder(count: data.count, seed: 1)
    let needed = try OperationCount(method, bench.size.configuration)
    var memory = MemoryPeak()
    var reviews: [Int] = []
    var sums = Measurement.Sums()
    var before = Snapshot(communicator, clock)
    KernelClock.isOn = true
    defer { KernelClock.isOn = false }
    for step in 0..<bench.warmupSteps + bench.steps {
      if step == bench.warmupSteps {
        memory.sample()
        try communicator.barrier()
        before = Snapshot(communicator, clock)
      }
      order.reviews(of: order.step(step, reviewsPerStep: bench.globalBatchSize), into: &reviews)
      if step >= bench.warmupSteps {
        clock.enter(.preparation)
        KernelClock.isOn = false
        sums.peaks.append(try products.peakNow(by: library))
        KernelClock.isOn = true
      }
      let start = monotonicSeconds()
      let sum = try passes.run(reviews, of: data, step: step)
      try passes.update(norm: sum.norm, learningRate: 1e-5, defers: true)
      guard step >= bench.warmupSteps else { continue }
      sums.seconds.append(monotonicSeconds() - start)
      sums.tokens += sum.tokens
      sums.reviews += reviews.count
      sums.operations += reviews.reduce(0) { $0 + needed.operations(tokens: data.tokenCount($1)) }
    }
    let after = Snapshot(communicator, clock)
    passes.settle()
    memory.sample()
    return try Measurement(
      methodName, bench, trainableCount: replica.store.table.trainableCount, sums, after - before,
      nodeMemory: memory.gather(communicator).node, communicator)
  }

  // MARK: Evaluation

  /// Reviews a second, of some of the data.
  private func evaluate(
    _ replica: Replica, _ data: EncodedReviews, _ communicator: Communicator
  ) throws -> Double {
    let some = (0..<min(data.count, bench.evaluationReviews)).map {
      Array(data.ids[data.offsets[$0]..<data.offsets[$0 + 1]])
    }
    let part = EncodedReviews(reviews: some, labels: some.map { _ in 0 })
    var seconds: [Double] = []
    for _ in 0..<3 {
      try communicator.barrier()
      let start = monotonicSeconds()
      _ = try replica.evaluate(part, communicator)
      seconds.append(monotonicSeconds() - start)
    }
    // The first one finds cold memory.
    return try Double(part.count) / communicator.maximum(of: seconds.dropFirst().min() ?? .infinity)
  }
}

/// What a rank's clocks and counters say at a moment.
struct Snapshot {
  var phases: PhaseTimes
  var collectives: CollectiveStatistics
  var products: Double
  var attention: Double
  var optimizer: Double
  var operations: Double

  init(_ communicator: Communicator, _ clock: StepClock) {
    (phases, collectives) = (clock.times, communicator.statistics)
    (products, attention) = (KernelClock.seconds(.products), KernelClock.seconds(.attention))
    optimizer = KernelClock.seconds(.optimizer)
    operations = KernelClock.operations
  }

  static func - (later: Snapshot, earlier: Snapshot) -> Snapshot {
    var result = later
    result.phases = later.phases - earlier.phases
    result.collectives = later.collectives - earlier.collectives
    result.products -= earlier.products
    result.attention -= earlier.attention
    result.optimizer -= earlier.optimizer
    result.operations -= earlier.operations
    return result
  }
}
