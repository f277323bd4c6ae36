import BERT
import Datasets
import FineTuning
import Kernels
import Tensors
import TestSupport
import Testing
import Training

/// Gradients that workers compute together, against those of one worker that adds them to zeros alone.
@Suite struct JointGradientsTests {
  /// Lengths of reviews; a pass has 1,024 tokens, so of three long ones one worker has a pass more than others.
  private static let cases: [[Int]] = [[600, 600, 600], [5, 9, 2, 14, 30, 7], [3], [700, 4, 4, 4, 4]]

  private static let configuration: BERTConfiguration = {
    var c = BERTConfiguration()
    (c.vocabularySize, c.hiddenSize, c.layerCount, c.attentionHeadCount) = (50, 32, 2, 2)
    (c.intermediateSize, c.positionCount, c.initializerRange) = (64, 700, 0.1)
    return c
  }()

  /// The gradients of some reviews, added to NaN where a step is said to overwrite them.
  /// - Parameters:
  ///   - lengths: How many tokens each review has.
  ///   - threads: How many workers compute them together; nil for one that does not know of others.
  ///   - precision: What products read.
  ///   - calls: In how many calls.
  /// - Returns: The trainable block's, in its layout.
  /// - Throws: `Failure` when the method does not fit the model.
  private func gradients(
    _ lengths: [Int], threads: Int?, precision: Precision = .fp32, calls: Int = 1
  ) throws -> [Float] {
    var configuration = Self.configuration
    configuration.precision = precision
    let method = try FineTuningMethods.method(named: "full", FineTuningOptions())
    let table = try method.table(for: configuration)
    let frozen = UnsafeMutablePointer<Float>.allocate(capacity: max(1, table.frozenCount))
    let trainable = UnsafeMutablePointer<Float>.allocate(capacity: table.trainableCount)
    let rounded = UnsafeMutablePointer<BFloat16>.allocate(capacity: table.trainableCount)
    defer {
      frozen.deallocate()
      trainable.deallocate()
      rounded.deallocate()
    }
    let store = ParameterStore(
      table: table, frozen: frozen, trainable: trainable, rounded: RoundedBlocks(frozen: rounded, trainable: rounded))
    for entry in table.entries { store.initialize(entry, seed: 3) }
    store.refreshRounded()
    let pool = try WorkerPool(count: threads ?? 1)
    defer { pool.close() }
    let replica = try Replica(method, configuration, store, pool, seed: 1, maxLength: 700)
    #expect(!replica.overwritten.isEmpty)
    for range in replica.overwritten {
      for index in range { replica.gradients[index] = .nan }
    }
    let own = UnsafeMutableBufferPointer<Float>.allocate(capacity: table.trainableCount)
    own.initialize(repeating: 0)
    defer { own.deallocate() }
    if threads == nil, let start = own.baseAddress { replica.workers[0].addsGradients(to: start) }
    let texts = lengths.enumerated().map { review, length in
      (0..<length).map { Int32((review * 7 + $0 * 3) % 50) }
    }
    let data = EncodedReviews(reviews: texts, labels: texts.indices.map { Int32($0 % 2) })
    // What is told to be complete must not change any more: it may be on its way to other ranks.
    var told: [Int: [Float]] = [:]
    let ofStage = { (stage: Int) in
      replica.stages.ranges[stage].filter { $0.lowerBound >= table["bert.embeddings.LayerNorm.weight"].offset }
        .flatMap { range in range.map { replica.gradients[$0] } }
    }
    replica.completed = { last in
      for stage in 0..<(last + 1) where told[stage] == nil { told[stage] = ofStage(stage) }
    }
    defer {
      if threads != nil {
        for (stage, values) in told { #expect(values == ofStage(stage), "stage \(stage) changed") }
      }
    }
    for call in 0..<calls {
      let part = texts.count * call / calls..<texts.count * (call + 1) / calls
      _ = replica.addGradients(
        Array(part)[...], of: data, step: 0, rank: 0, size: 1, begins: call == 0, completes: call == calls - 1)
    }
    if threads != nil {
      let squares = replica.overwritten.joined().reduce(0.0) { sum, index in
        sum + Double(replica.gradients[index]) * Double(replica.gradients[index])
      }
      expectClose(replica.squaresOfOverwritten, squares, relative: 1e-6, absolute: 1e-30, "squares")
    }
    return Array(threads == nil ? own : replica.gradients)
  }

  @Test(arguments: cases, [1, 2, 3, 5])
  func sumsAreThoseOfOneWorker(_ lengths: [Int], _ threads: Int) throws {
    let alone = try gradients(lengths, threads: nil)
    let scale = alone.map(abs).max() ?? 0
    #expect(scale > 0.01)
    let together = try gradients(lengths, threads: threads)
    expectClose(together, alone.map(Double.init), absolute: Double(scale) * 1e-5)
    #expect(try gradients(lengths, threads: threads) == together, "the same from run to run")
  }

  @Test func someCallsAreAsGoodAsOne() throws {
    let whole = try gradients([5, 9, 2, 14, 30, 7], threads: 2)
    let scale = Double(whole.map(abs).max() ?? 0)
    expectClose(
      try gradients([5, 9, 2, 14, 30, 7], threads: 2, calls: 3), whole.map(Double.init), absolute: scale * 1e-5)
  }

  @Test(arguments: [1, 2])
  func withoutReviewsAllIsZero(_ threads: Int) throws {
    #expect(try gradients([], threads: threads).allSatisfy { $0 == 0 })
  }

  @Test(.enabled(if: RoundedProducts.obstacle == nil, "needs oneDNN and a processor with AVX512-BF16 or AMX"))
  func roundedSumsAreThoseOfOneWorker() throws {
    let alone = try gradients([5, 9, 2, 14, 30, 7], threads: nil, precision: .bf16)
    let together = try gradients([5, 9, 2, 14, 30, 7], threads: 2, precision: .bf16)
    let scale = Double(alone.map(abs).max() ?? 0)
    expectClose(together, alone.map(Double.init), absolute: scale * 1e-4)
  }
}
