import BERT
import Datasets
import FineTuning
import Kernels
import Tensors
import TestSupport
import Testing
import Training

/// Fusions that a rank's workers fold together once a step, against one worker that folds nothing.
@Suite struct SharedFoldsTests {
  /// Lengths of reviews; a pass has 1,024 tokens, so of three long ones one worker has a pass more than others.
  private static let cases: [[Int]] = [
    [600, 600, 600], [25, 19, 22, 14, 30, 17], [90], [700, 4, 4, 4, 4], (0..<40).map { 5 + $0 % 7 },
  ]

  private static let configuration: BERTConfiguration = {
    var c = BERTConfiguration()
    (c.vocabularySize, c.hiddenSize, c.layerCount, c.attentionHeadCount) = (50, 32, 3, 2)
    (c.intermediateSize, c.positionCount, c.initializerRange) = (64, 700, 0.1)
    return c
  }()

  /// Fusions: of frozen adapters, of adapters that are trained too, without a value matrix, over another adapter, at both
  /// ends of a layer.
  private static let methods: [any FineTuningMethod] = {
    let adapters: [String: AdapterConfiguration] = [
      "ko": .language, "a": .pfeiffer, "b": .pfeiffer, "h": .houlsby, "i": .houlsby,
    ]
    do {
      return [
        try AdapterFusion(AdapterSetup(adapters, .fuse(["ko", "a"]))),
        try AdapterFusion(AdapterSetup(adapters, .fuse(["a", "b"])), trained: ["b"]),
        try AdapterFusion(AdapterSetup(adapters, .fuse(["a", "b"]), fusion: .fixed), trained: ["a"]),
        try AdapterFusion(AdapterSetup(adapters, .fuse(["h", "i"])), trained: ["h"]),
        try AdapterFusion(AdapterSetup(adapters, .stack([.single("ko"), .fuse(["a", "b"])])), trained: ["ko", "a"]),
      ]
    } catch {
      preconditionFailure("a setup for tests: \(error)")
    }
  }()

  /// The gradients of some reviews.
  /// - Parameters:
  ///   - lengths: How many tokens each review has.
  ///   - method: The fusion.
  ///   - threads: How many workers fold together; nil for one that folds nothing.
  ///   - calls: In how many calls.
  ///   - steps: How many times: what is left of one step must not get into the next.
  ///   - endsEmpty: Whether one more step comes after them, without reviews.
  /// - Returns: The trainable block's, in its layout.
  /// - Throws: `Failure` when the method does not fit the model.
  private func gradients(
    _ lengths: [Int], _ method: any FineTuningMethod, threads: Int?, calls: Int = 1, steps: Int = 1,
    endsEmpty: Bool = false
  ) throws -> [Float] {
    let table = try method.table(for: Self.configuration)
    let frozen = UnsafeMutablePointer<Float>.allocate(capacity: table.frozenCount)
    let trainable = UnsafeMutablePointer<Float>.allocate(capacity: table.trainableCount)
    defer {
      frozen.deallocate()
      trainable.deallocate()
    }
    let store = ParameterStore(table: table, frozen: frozen, trainable: trainable)
    var numbers = MadeUpNumbers(11)
    for entry in table.entries {
      store.initialize(entry, seed: 3)
      // A fusion begins with a bias of zero and values that are the identity.
      guard entry.specification.name.contains("adapter") else { continue }
      let values = store[entry.parameter]
      for i in 0..<entry.parameter.count { values.base[i] += numbers.number(in: -0.1...0.1) }
    }
    let pool = try WorkerPool(count: threads ?? 1)
    defer { pool.close() }
    let texts = lengths.enumerated().map { review, length in
      (0..<length).map { Int32((review * 7 + $0 * 3) % 50) }
    }
    let data = EncodedReviews(reviews: texts, labels: texts.indices.map { Int32($0 % 2) })
    let replica = try Replica(
      method, Self.configuration, store, pool, seed: 1, maxLength: 700,
      stepShare: threads.map { _ in Replica.StepShare(reviews: texts.count, of: data, ranks: 1) })
    let ends = replica.workers.flatMap { $0.model.encoder.layers.map(\.output) }
    if threads == nil { for end in ends { (end.branch as? AdapterBranch)?.fusionOrder = .plain } }
    // What is told to be complete must not change any more: it may be on its way to other ranks.
    var told: [Int: [Float]] = [:]
    let ofStage = { (stage: Int) in replica.stages.ranges[stage].flatMap { $0.map { replica.gradients[$0] } } }
    replica.completed = { last in
      for stage in 0..<(last + 1) where told[stage] == nil { told[stage] = ofStage(stage) }
    }
    for _ in 0..<steps {
      told = [:]
      replica.gradients.update(repeating: 0)
      for call in 0..<calls {
        let part = texts.count * call / calls..<texts.count * (call + 1) / calls
        _ = replica.addGradients(
          Array(part)[...], of: data, step: 0, rank: 0, size: 1, begins: call == 0, completes: call == calls - 1)
      }
      for (stage, values) in told { #expect(values == ofStage(stage), "stage \(stage) changed") }
    }
    if endsEmpty {
      replica.gradients.update(repeating: 0)
      _ = replica.addGradients([], of: data, step: 0, rank: 0, size: 1)
      return Array(replica.gradients)
    }
    if threads != nil {
      // The last layer computes what the head reads, a row for each review.
      let found = replica.workers[0].model.encoder.layers.map { ($0.output.branch as? AdapterBranch)?.fusionOrder }
      #expect(found.dropLast().allSatisfy { $0 == .folded })
      #expect(found.last == (lengths.count == 40 ? .folded : .plain))
    }
    return Array(replica.gradients)
  }

  @Test(arguments: cases, [1, 2, 3, 5])
  func sumsAreThoseOfOneWorker(_ lengths: [Int], _ threads: Int) throws {
    for method in Self.methods {
      let alone = try gradients(lengths, method, threads: nil)
      let scale = alone.map(abs).max() ?? 0
      #expect(scale > 0.01)
      let together = try gradients(lengths, method, threads: threads)
      expectClose(together, alone.map(Double.init), absolute: Double(scale) * 1e-5)
      #expect(try gradients(lengths, method, threads: threads) == together, "the same from run to run")
    }
  }

  @Test(arguments: [1, 2])
  func someCallsAreAsGoodAsOne(_ threads: Int) throws {
    for method in Self.methods {
      let whole = try gradients(Self.cases[1], method, threads: threads)
      let scale = Double(whole.map(abs).max() ?? 0)
      let several = try gradients(Self.cases[1], method, threads: threads, calls: 3)
      expectClose(several, whole.map(Double.init), absolute: scale * 1e-5)
    }
  }

  @Test(arguments: [1, 2])
  func aStepLeavesNothingToTheNext(_ threads: Int) throws {
    for method in Self.methods {
      let once = try gradients(Self.cases[1], method, threads: threads)
      #expect(try gradients(Self.cases[1], method, threads: threads, steps: 3) == once)
    }
  }

  @Test(arguments: [1, 2])
  func withoutReviewsAllIsZero(_ threads: Int) throws {
    for method in Self.methods {
      let values = try gradients(Self.cases[1], method, threads: threads, endsEmpty: true)
      #expect(values.allSatisfy { $0 == 0 })
    }
  }
}
