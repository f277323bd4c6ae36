import BERT
import Collectives
import Datasets
import FineTuning
import Kernels
import Randomness
import Tensors
import TestSupport
import Training

/// What must hold of training at any number of ranks: every rank compares the job's run with one of its own, alone.
let trainingChecks: [Check] =
  methodTrials.flatMap { trial in
    [
      Check("\(trial.name): losses and trained tensors are those of one rank, dropout on, with a short last step") {
        try compare(try TrialRun(trial, reviews: 45), steps: 14, threads: 1, $0, $1)
      },
      Check("\(trial.name): the same with two threads a rank") {
        try compare(try TrialRun(trial, reviews: 45), steps: 8, threads: 2, $0, $1)
      },
    ]
  } + [
    Check("sharded: trained tensors and losses of any number of ranks and threads, bit for bit") {
      for name in ["full", "lora"] {
        for threads in [1, 2, 3] { try compareBits(try TrialRun(name, reviews: 45), threads: threads, $0, $1) }
      }
      try compareBits(try TrialRun("lora", reviews: 2), threads: 1, $0, $1)
    },
    Check("a model whose products are large: the same by whoever multiplies these, sharded to the last bit") {
      let trial = try TrialRun("full", reviews: 45, hidden: 192)
      $1.expectEqual(ProductLibrary.forProduct(20, 3 * 192, 192), .forLarge, "who multiplies")
      try compare(trial.withoutDropout, steps: 4, threads: 2, $0, $1)
      try compareBits(trial, threads: 2, $0, $1)
    },
    Check("bf16: losses and trained tensors are those of one rank; sharded, and evaluations, to the last bit") {
      try checkRounded($0, $1)
    },
    Check("sharded: as if 1 to 14 ranks had computed it, bit for bit, every review once") { _, findings in
      let trial = try TrialRun("full", reviews: 45)
      let expected = try trial.shardedGradients(ranks: 1, threads: 1)
      findings.expect(expected.contains { $0 != 0 }, "no gradients")
      for ranks in 2...14 {
        let found = try trial.shardedGradients(ranks: ranks, threads: 1 + ranks % 3)
        findings.expect(hasSameBits(found, expected), "gradients differ with \(ranks) ranks")
      }
    },
    Check("every registered method is among them, a fusion with frozen adapters and with a trained one") {
      _, findings in
      findings.expectEqual(Set(methodTrials.map(\.method)), Set(FineTuningMethods.names), "methods")
      findings.expectEqual(methodTrials.count { $0.method == "fusion" }, 3, "fusions")
    },
    Check("every remainder of reviews by batch: as on one rank over two epochs; sharded, bit for bit") {
      for reviews in 11...20 {
        try compare(try TrialRun("lora", reviews: reviews), steps: 4, threads: 1, $0, $1)
        try compareBits(try TrialRun("lora", reviews: reviews), threads: 1, $0, $1)
      }
    },
    Check("a step of fewer reviews than ranks is complete, and nobody waits for ever") {
      try compare(try TrialRun("lora", reviews: 2), steps: 3, threads: 1, $0, $1)
    },
    Check("a step all-reduces 4 bytes for each trainable parameter and nothing else of its gradients") {
      world, findings in
      let trial = try TrialRun("lora", reviews: 45)
      let before = world.statistics
      _ = try trial.train(steps: 5, threads: 1, world)
      let sent = (world.statistics - before)[.allReduceFloats]
      findings.expectEqual(sent.bytes, 5 * 4 * trial.table.trainableCount, "bytes of five steps")
    },
    Check("rows that no token of a step has are not sent, and the result is that of sending and stepping all") {
      world, findings in
      for weightDecay in [0.0, 0.1] {
        let trial = try TrialRun("full", reviews: 12, vocabulary: 5000)
        var settings = Optimizer.Settings()
        (settings.weightDecay, settings.maxGradientNorm) = (weightDecay, nil)
        let before = world.statistics
        let sparse = try trial.train(steps: 6, threads: 2, settings: settings, world)
        let middle = world.statistics
        let dense = try trial.train(steps: 6, threads: 2, isDense: true, settings: settings, world)
        let (few, all) = (middle - before, world.statistics - middle)
        findings.expect(
          2 * few[.allReduceFloats].bytes < all[.allReduceFloats].bytes, "most of the table was sent")
        // Ranks are added in their order, whatever pieces the block is cut into.
        findings.expect(
          hasSameBits(sparse.trained, dense.trained), "weight decay \(weightDecay): trained tensors differ")
      }
    },
    Check("moments shared out over ranks: the bits of moments on every rank, at any number of threads") {
      world, findings in
      for name in ["full", "lora", "adapter", "linear-probe"] {
        let trial = try TrialRun(name, reviews: 45, vocabulary: 400)
        for (threads, weightDecay) in [(1, 0.0), (2, 0.1)] {
          var settings = Optimizer.Settings()
          settings.weightDecay = weightDecay
          for isSharded in [false, true] {
            func train(shares: Bool) throws -> (losses: [Double], trained: [Float]) {
              try trial.train(
                steps: 6, threads: threads, isSharded: isSharded, sharesOptimizer: shares, settings: settings, world)
            }
            let (whole, shared) = (try train(shares: false), try train(shares: true))
            findings.expectEqual(shared.losses, whole.losses, "losses with \(threads) threads")
            findings.expect(hasSameBits(shared.trained, whole.trained), "tensors differ with \(threads) threads")
          }
        }
      }
    },
    Check("passes that are accumulated add up to the pass of all of them") { world, findings in
      let trial = try TrialRun("lora", reviews: 45)
      let whole = try trial.train(steps: 4, threads: 2, world)
      let parts = try trial.train(steps: 4, threads: 2, reviewsPerPass: 3, world)
      findings.expect(
        differenceReport(parts.losses, whole.losses, absolute: 1e-5) == nil, "accumulated passes give other losses")
    },
    Check("an evaluation gives the same logits, bit for bit, at any number of ranks and threads") {
      world, findings in
      let trial = try TrialRun("full", reviews: 301)
      let alone = Communicator(program: "mpi-check")
      let expected = try trial.logits(threads: 1, alone)
      for threads in [1, 2] {
        let found = try trial.logits(threads: threads, world)
        if world.isFirst { findings.expect(found == expected, "logits differ with \(threads) threads") }
      }
    },
    Check("a fault is noticed: a run with another seed is not the same") { world, findings in
      let one = try TrialRun("full", reviews: 45).train(steps: 6, threads: 1, world)
      let other = try TrialRun("full", reviews: 45, seed: 2).train(steps: 6, threads: 1, world)
      findings.expect(
        differenceReport(one.losses, other.losses, absolute: 1e-5) != nil,
        "another seed gives the same losses")
    },
  ]

/// The tolerances are those of float sums in another order: losses 1e-5, each trained tensor 1e-4 of its norm. A key's
/// bias has a true gradient of zero, so AdamW steps along rounding noise; it is left out.
private func compare(
  _ trial: TrialRun, steps: Int, threads: Int, _ world: Communicator, _ findings: Findings
) throws {
  let alone = try trial.train(steps: steps, threads: 1, Communicator(program: "mpi-check"))
  let together = try trial.train(steps: steps, threads: threads, world)
  if let report = differenceReport(together.losses, alone.losses, absolute: 1e-5) {
    findings.expect(false, "losses: \(report)")
  }
  for entry in trial.table.trainableEntries where !entry.specification.name.hasSuffix("key.bias") {
    let range = entry.parameter.offset..<entry.parameter.offset + entry.parameter.count
    let distance = relativeL2(together.trained[range], alone.trained[range])
    findings.expect(distance <= 1e-4, "\(entry.specification.name) is off by \(distance) of its norm")
  }
}

/// The tolerances of `compare` are those of sums; in bfloat16 a sum that differs in its last bit may be rounded to the
/// next number, 2⁻⁸ away, so only what is added in one order can be compared.
private func checkRounded(_ world: Communicator, _ findings: Findings) throws {
  guard RoundedProducts.obstacle == nil else {
    if world.isFirst { print("  left out: no oneDNN, or neither AVX512-BF16 nor AMX") }
    return
  }
  for name in ["full", "lora"] {
    let trial = try TrialRun(name, reviews: 45, precision: .bf16)
    for threads in [1, 2] { try compareBits(trial, threads: threads, world, findings) }
    let alone = Communicator(program: "mpi-check")
    let one = try trial.train(steps: 8, threads: 1, alone)
    let together = try trial.train(steps: 8, threads: 1, world)
    if let report = differenceReport(together.losses, one.losses, absolute: 0x1p-8) {
      findings.expect(false, "losses of \(name): \(report)")
    }
    let expected = try trial.logits(threads: 1, alone)
    let found = try trial.logits(threads: 2, world)
    if world.isFirst { findings.expect(found == expected, "logits of \(name) differ") }
    let exact = try TrialRun(name, reviews: 45).train(steps: 8, threads: 1, alone)
    findings.expect(exact.losses != one.losses, "bf16 makes no difference")
  }
}

func hasSameBits(_ a: [Float], _ b: [Float]) -> Bool {
  a.count == b.count && zip(a, b).allSatisfy { $0.bitPattern == $1.bitPattern }
}

private func compareBits(_ trial: TrialRun, threads: Int, _ world: Communicator, _ findings: Findings) throws {
  let alone = try trial.train(
    steps: 8, threads: 1, isSharded: true, Communicator(program: "mpi-check"))
  let together = try trial.train(steps: 8, threads: threads, isSharded: true, world)
  findings.expect(hasSameBits(alone.trained, together.trained), "tensors differ with \(threads) threads")
  findings.expectEqual(together.losses, alone.losses, "losses with \(threads) threads")
}

/// A tiny model and reviews, the same on every rank, and training runs of it from the same start.
struct TrialRun {
  let method: any FineTuningMethod
  private(set) var configuration: BERTConfiguration
  let table: ParameterTable
  let data: EncodedReviews
  let seed: UInt32

  init(
    _ name: String, reviews: Int, vocabulary: Int = 60, hidden: Int = 32, precision: Precision = .fp32, seed: UInt32 = 1
  ) throws {
    try self.init(
      MethodTrial(name), reviews: reviews, vocabulary: vocabulary, hidden: hidden, precision: precision, seed: seed)
  }

  /// The same without the base's dropout.
  var withoutDropout: TrialRun {
    var trial = self
    (trial.configuration.hiddenDropout, trial.configuration.attentionDropout) = (0, 0)
    return trial
  }

  /// All of a model learns the tokens that are hidden from it.
  static func ofHiddenTokens(texts: Int) throws -> TrialRun {
    let tokens = TokenMasking.Tokens(count: 60, mask: 4, special: [0, 1, 2, 3, 4]) { _ in false }
    return try TrialRun(MethodTrial("full"), reviews: texts, masking: TokenMasking(tokens, .tokens, seed: 1))
  }

  init(
    _ trial: MethodTrial, reviews: Int, vocabulary: Int = 60, hidden: Int = 32, precision: Precision = .fp32,
    seed: UInt32 = 1, masking: TokenMasking? = nil
  ) throws {
    method = try FineTuningMethods.method(named: trial.method, trial.options)
    var c = BERTConfiguration()
    (c.vocabularySize, c.hiddenSize, c.layerCount, c.attentionHeadCount) = (vocabulary, hidden, 3, 4)
    (c.intermediateSize, c.positionCount, c.initializerRange) = (2 * hidden, 32, 0.1)
    c.precision = precision
    if masking != nil { c.task = .maskedLanguage(nextSentence: false) }
    configuration = c
    table = try method.table(for: c)
    self.seed = seed
    let generator = Philox(seed: seed, purpose: .test)
    let texts = (0..<reviews).map { review in
      (0..<2 + generator.index(below: 20, UInt32(review))).map {
        Int32(generator.index(below: vocabulary, UInt32(review), UInt32($0 + 1)))
      }
    }
    var data = EncodedReviews(reviews: texts, labels: masking == nil ? texts.indices.map { Int32($0 % 2) } : [])
    data.masking = masking
    self.data = data
  }

  private func withReplica<R>(
    threads: Int, trains: Bool, frozen: FrozenOutputs? = nil, share: Replica.StepShare? = nil,
    _ body: (Replica, UnsafeMutableBufferPointer<Float>) throws -> R
  ) throws -> R {
    let blocks = try ParameterBlocks(table, Communicator(program: "mpi-check"))
    defer { try? blocks.freeFrozen() }
    let store = blocks.store
    try blocks.fillFrozen { store in
      for entry in table.entries where !entry.parameter.isTrainable { store.initialize(entry, seed: 7) }
    }
    for entry in table.trainableEntries { store.initialize(entry, seed: 7) }
    store.refreshRounded()
    let pool = try WorkerPool(count: threads)
    defer { pool.close() }
    let replica = try Replica(
      method, configuration, store, pool, seed: seed, maxLength: 32, trains: trains, frozen: frozen, stepShare: share)
    return try body(replica, blocks.trainable)
  }

  /// Steps of 10 reviews at a high rate, so that a mistake shows; in dense ones every row of every table is added up,
  /// sent and stepped along, touched or not.
  func train(
    steps: Int, threads: Int, isSharded: Bool = false, isDense: Bool = false, sharesOptimizer: Bool = false,
    reviewsPerPass: Int = 10, settings: Optimizer.Settings = Optimizer.Settings(), countsAllocations: Bool = false,
    frozen: FrozenOutputs? = nil, _ world: Communicator
  ) throws -> (losses: [Double], trained: [Float]) {
    let share = isSharded ? nil : Replica.StepShare(reviews: 10, of: data, ranks: world.size)
    return try withReplica(threads: threads, trains: true, frozen: frozen, share: share) { replica, trainable in
      let exchange = GradientExchange(world, table, replica.stages, isSharded: sharesOptimizer)
      let optimizer = try Optimizer(
        replica.store, settings, tiles: exchange.optimizerTiles, overwritten: isSharded ? [] : replica.overwritten)
      let passes = StepPasses(
        replica, optimizer, exchange, method, world, StepClock(in: .compute), reviewsPerPass: reviewsPerPass,
        isDeterministic: isSharded, isDense: isDense)
      let order = SampleOrder(count: data.count, seed: seed)
      var reviews: [Int] = []
      var losses: [Double] = []
      losses.reserveCapacity(steps)
      for step in 0..<steps {
        if countsAllocations, step > 0 { Allocations.begin() }
        order.reviews(of: order.step(step, reviewsPerStep: 10), into: &reviews)
        let sums = try passes.run(reviews, of: data, step: step)
        losses.append(sums.loss / Double(sums.reviews))
        try passes.update(norm: sums.norm, learningRate: 1e-3, defers: true)
        Allocations.end()
      }
      passes.settle()
      return (losses, Array(trainable))
    }
  }

  /// The gradients of a step as several ranks would compute them, one after another in this process.
  func shardedGradients(ranks: Int, threads: Int) throws -> [Float] {
    try withReplica(threads: threads, trains: true) { replica, _ in
      final class Values {
        var numbers: [Float]
        init(_ numbers: [Float]) { self.numbers = numbers }
      }
      let sharded = ShardedGradients(replica)
      var sums = PartialSums<Values>(SumTree(partCount: ShardedGradients.shardCount(of: data.count)))
      var reviews = 0
      for rank in 0..<ranks {
        var losses = [Double](repeating: 0, count: ShardedGradients.shardCount(of: data.count))
        let tally = losses.withUnsafeMutableBufferPointer {
          sharded.addGradients(Array(0..<data.count)[...], of: data, step: 0, rank: rank, size: ranks, losses: $0)
        }
        reviews += tally.reviews
        for node in sharded.takeNodes() {
          sums.append(node.parts, Values(node.values)) { left, right in
            for index in left.numbers.indices { left.numbers[index] += right.numbers[index] }
          }
        }
      }
      precondition(
        sharded.buffersTaken == ShardedGradients.bufferCount(reviews: data.count, ranks: ranks, threads: threads),
        "as many shards' gradients as the plan says")
      precondition(reviews == data.count && sums.nodes.count == 1, "every review once")
      return sums.nodes[0].values.numbers
    }
  }

  func logits(threads: Int, _ world: Communicator) throws -> [Float]? {
    try withReplica(threads: threads, trains: false) { replica, _ in try replica.evaluate(data, world) }
  }
}
