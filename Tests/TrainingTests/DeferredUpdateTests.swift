import BERT
import Collectives
import Datasets
import FineTuning
import Kernels
import Tensors
import TestSupport
import Testing
import Training

/// Steps whose update goes on beside the next one's forward, against steps that are done at once: the same bits.
@Suite struct DeferredUpdateTests {
  private static let configuration: BERTConfiguration = {
    var c = BERTConfiguration()
    (c.vocabularySize, c.hiddenSize, c.layerCount, c.attentionHeadCount) = (50, 32, 3, 2)
    (c.intermediateSize, c.positionCount, c.initializerRange) = (64, 64, 0.1)
    return c
  }()

  /// How steps are done.
  enum Way: String, CaseIterable, CustomTestStringConvertible {
    case atOnce, deferred
    /// Deferred, and settled after every other step, as before a checkpoint.
    case settledBetween

    var testDescription: String { rawValue }
  }

  /// Losses and parameters after six steps.
  private func train(
    _ way: Way, threads: Int, reviewsPerStep: Int, reviewsPerPass: Int = 100, precision: Precision = .fp32
  ) throws -> (losses: [Double], trained: [Float], moments: [Float]) {
    var configuration = Self.configuration
    configuration.precision = precision
    let method = try FineTuningMethods.method(named: "full", FineTuningOptions())
    let table = try method.table(for: configuration)
    let world = Communicator(program: "tests")
    let blocks = try ParameterBlocks(table, world)
    defer { try? blocks.freeFrozen() }
    for entry in table.entries { blocks.store.initialize(entry, seed: 3) }
    blocks.store.refreshRounded()
    let pool = try WorkerPool(count: threads)
    defer { pool.close() }
    let replica = try Replica(method, configuration, blocks.store, pool, seed: 1, maxLength: 64)
    let exchange = GradientExchange(world, table, replica.stages)
    var settings = Optimizer.Settings()
    settings.weightDecay = 0.01
    let optimizer = try Optimizer(replica.store, settings, overwritten: replica.overwritten)
    let passes = StepPasses(
      replica, optimizer, exchange, method, world, StepClock(in: .compute), reviewsPerPass: reviewsPerPass)
    let texts = (0..<24).map { review in
      (0..<3 + review % 5 * 4).map { Int32((review * 7 + $0 * 3) % 50) }
    }
    let data = EncodedReviews(reviews: texts, labels: texts.indices.map { Int32($0 % 2) })
    var losses: [Double] = []
    for step in 0..<6 {
      let reviews = (0..<reviewsPerStep).map { (step * reviewsPerStep + $0) % texts.count }
      let sums = try passes.run(reviews, of: data, step: step)
      losses.append(sums.loss)
      try passes.update(norm: sums.norm, learningRate: 1e-2, defers: way != .atOnce)
      if way == .settledBetween, step % 2 == 1 { passes.settle() }
    }
    passes.settle()
    return (losses, Array(blocks.trainable), Array(optimizer.firstMoments) + Array(optimizer.secondMoments))
  }

  private func expectSame(
    threads: Int, reviewsPerStep: Int, reviewsPerPass: Int = 100, precision: Precision = .fp32
  ) throws {
    let atOnce = try train(
      .atOnce, threads: threads, reviewsPerStep: reviewsPerStep, reviewsPerPass: reviewsPerPass, precision: precision)
    #expect(atOnce.losses.first != atOnce.losses.last, "steps change something")
    for way in [Way.deferred, .settledBetween] {
      let found = try train(
        way, threads: threads, reviewsPerStep: reviewsPerStep, reviewsPerPass: reviewsPerPass, precision: precision)
      #expect(found.losses == atOnce.losses, "losses, \(way.rawValue)")
      // Not the lists themselves: where they differ, telling how takes minutes.
      let (sameParameters, sameMoments) = (found.trained == atOnce.trained, found.moments == atOnce.moments)
      #expect(sameParameters, "parameters, \(way.rawValue)")
      #expect(sameMoments, "moments, \(way.rawValue)")
    }
  }

  @Test(arguments: [1, 2, 3, 5])
  func theBitsAreThoseOfStepsDoneAtOnce(_ threads: Int) throws {
    try expectSame(threads: threads, reviewsPerStep: 8)
  }

  @Test func workersWithoutReviewsDoTheirPart() throws { try expectSame(threads: 4, reviewsPerStep: 2) }

  @Test func accumulatedStepsAreTheSame() throws { try expectSame(threads: 2, reviewsPerStep: 8, reviewsPerPass: 3) }

  @Test(.enabled(if: RoundedProducts.obstacle == nil, "needs oneDNN and a processor with AVX512-BF16 or AMX"))
  func roundedWeightsAreTheSame() throws { try expectSame(threads: 2, reviewsPerStep: 8, precision: .bf16) }
}
