import BERT
import Failures
import FineTuning
import Planning
import ScalingModel
import Testing
import Training

@Suite("Plans")
struct PlanTests {
  /// A shape with round numbers.
  private var shape: BERTConfiguration {
    var shape = BERTConfiguration()
    (shape.vocabularySize, shape.hiddenSize, shape.layerCount) = (1000, 32, 2)
    (shape.attentionHeadCount, shape.intermediateSize, shape.positionCount) = (2, 64, 64)
    return shape
  }

  private func request(
    _ method: String, ranks: Int = 2, memory: Int = 8 << 30, measures: Bool = false, on other: BERTConfiguration? = nil,
    _ change: (inout TrainingConfiguration) -> Void = { _ in }
  ) throws -> RunPlan.Request {
    var run = TrainingConfiguration()
    (run.method, run.epochs) = (method, 3)
    change(&run)
    let shape = other ?? shape
    return RunPlan.Request(
      run, shape, ReviewLengths(madeUp: 100, meanLength: 12, maxLength: 64, shape), ranks: ranks, nodes: 1, cores: 4,
      memoryBytes: memory, network: try #require(Network("1e-6,1e-9")), measures: measures)
  }

  private func bytes(_ plan: RunPlan, _ start: String) throws -> (Int, MemoryPlan.Owner) {
    let part = try #require(plan.memory.parts.first { $0.name.hasPrefix(start) })
    return (part.bytes, part.owner)
  }

  @Test("frozen numbers once a node, trained ones with gradients and moments for each rank")
  func blocks() throws {
    let plan = try RunPlan(request("lora") { $0.threads = 2 })
    let figures = try MethodFigures(FineTuningMethods.planned("lora", FineTuningOptions()), on: shape)
    #expect(plan.trainableCount == figures.trainableCount && plan.totalCount == figures.totalCount)
    #expect(try bytes(plan, "frozen") == (4 * (figures.totalCount - figures.trainableCount), .node))
    #expect(try bytes(plan, "trained") == (4 * figures.trainableCount, .rank))
    #expect(try bytes(plan, "gradients") == (2 * 4 * figures.trainableCount, .rank))
    #expect(try bytes(plan, "the optimiser") == (8 * (figures.trainableCount / 2), .rank))
    let whole = try RunPlan(request("lora") { $0.shardOptimizer = false })
    #expect(try bytes(whole, "the optimiser") == (8 * figures.trainableCount, .rank))
    #expect(try bytes(plan, "the copy") == (12 * figures.trainableCount, .first))
    #expect(plan.bytesPerStep == 4 * figures.trainableCount)
    let memory = plan.memory
    #expect(memory.nodeBytes == memory.sharedBytes + memory.privateBytes() + memory.privateBytes(ofFirst: true))
    #expect(try bytes(RunPlan(request("lora", ranks: 1)), "frozen").1 == .rank)
  }

  @Test("with shards, gradients of the rank, of a shard for each thread and of sums that wait")
  func shards() throws {
    let trainable = try MethodFigures(FineTuningMethods.planned("lora", FineTuningOptions()), on: shape).trainableCount
    // 32 reviews are four shards.
    for (ranks, threads, kept) in [(1, 1, 3), (1, 2, 3), (1, 4, 4), (2, 1, 2), (4, 1, 1)] {
      let plan = try RunPlan(
        request("lora", ranks: ranks) { ($0.deterministic, $0.threads, $0.globalBatchSize) = (true, threads, 32) })
      #expect(try bytes(plan, "gradients").0 == 4 * (1 + kept) * trainable)
    }
    let short: (inout TrainingConfiguration) -> Void = { ($0.deterministic, $0.globalBatchSize) = (true, 32) }
    let memory = try RunPlan(request("lora", ranks: 6, short)).memory
    let all = memory.sharedBytes + 6 * memory.privateBytes() + 12 * trainable
    #expect(memory.nodeBytes == all - 2 * 4 * trainable, "two of six ranks have no shard")
    // A step of two passes has twice as many.
    let plan = try RunPlan(
      request("lora", ranks: 1) {
        short(&$0)
        $0.accumulationSteps = 2
      })
    #expect(try bytes(plan, "gradients").0 == 4 * (1 + 4) * trainable)
  }

  @Test("room for pieces on their way")
  func exchange() throws {
    let trainable = try MethodFigures(FineTuningMethods.planned("full", FineTuningOptions()), on: shape).trainableCount
    for ranks in [2, 8, 32] {
      let tile = max(1024, min(1 << 16, trainable / (8 * ranks) / 1024 * 1024))
      // Sixteen pieces, each with what every rank of the node sends.
      #expect(try bytes(RunPlan(request("full", ranks: ranks)), "the exchange").0 == 16 * ranks * 4 * tile)
    }
  }

  @Test("rows of embeddings that do not occur get no gradients, unless weights decay")
  func embeddings() throws {
    // Memory comes in pages, and here a row is a page.
    var wide = shape
    (wide.hiddenSize, wide.vocabularySize) = (1024, 5000)
    let sparse = try bytes(RunPlan(request("full", ranks: 1, on: wide)), "the optimiser").0
    let dense = try bytes(RunPlan(request("full", ranks: 1, on: wide) { $0.weightDecay = 0.01 }), "the optimiser").0
    let trainable = try MethodFigures(FineTuningMethods.planned("full", FineTuningOptions()), on: wide).trainableCount
    #expect(dense == 8 * trainable)
    let stepped = try RunPlan(request("full", ranks: 1, on: wide)).memory.steppedCount
    let decaying = try RunPlan(request("full", ranks: 1, on: wide) { $0.weightDecay = 0.01 }).memory.steppedCount
    let shared = try RunPlan(request("full", ranks: 4, on: wide) { $0.weightDecay = 0.01 }).memory.steppedCount
    #expect(decaying == trainable && stepped < trainable)
    // Four ranks share all but the table of embeddings.
    #expect(shared == 5000 * 1024 + (trainable - 5000 * 1024) / 4)
    #expect(sparse < dense && sparse >= 8 * (trainable - 5000 * 1024))
    let figures = try MethodFigures(FineTuningMethods.planned("full", FineTuningOptions()), on: shape)
    // A step of 32 reviews of 12 tokens has some 230 of a thousand tokens.
    #expect(try RunPlan(request("full")).bytesPerStep < 4 * (figures.trainableCount - 600 * 32))
  }

  @Test("steps and operations")
  func steps() throws {
    let plan = try RunPlan(request("full", measures: true) { $0.globalBatchSize = 8 })
    let time = try #require(plan.time)
    #expect(time.stepsPerEpoch == 13 && time.steps == 39)
    #expect(time.step.total > 0 && abs(time.seconds - 39 * time.step.total) < 1e-9)
    #expect(time.calibration.arenaBytesPerToken > 0 && time.calibration.gigaflops > 0)
    let limited = try RunPlan(
      request("full", measures: true) {
        $0.globalBatchSize = 8
        $0.maxSteps = 5
      })
    #expect(limited.time?.steps == 5)
    #expect(abs(limited.operationsPerStep / plan.operationsPerStep - 1) < 1e-9)
  }

  @Test("kept outputs: a row a review below the head alone, a row a token below a layer, up to half of the memory")
  func kept() throws {
    let name = "what frozen layers"
    let probe = try RunPlan(request("linear-probe") { $0.cacheFrozen = true })
    #expect(try bytes(probe, name) == (4 * 100 * (32 + 1), .node))
    let upper: (inout TrainingConfiguration) -> Void = {
      $0.cacheFrozen = true
      $0.methodOptions.loraLayers = [1]
    }
    let tokens = try request("lora", upper).reviews.tokens.reduce(0, +)
    #expect(try bytes(RunPlan(request("lora", ranks: 1, upper)), name) == (4 * (32 * tokens + 100), .rank))
    let full = try RunPlan(request("lora", upper)).memory.nodeBytes
    #expect(try bytes(RunPlan(request("lora", memory: full, upper)), name).0 <= full / 2)
    #expect(throws: Failure.self) { try RunPlan(request("full") { $0.cacheFrozen = true }) }
    #expect(try !RunPlan(request("linear-probe")).memory.parts.contains { $0.name.hasPrefix(name) })
  }

  @Test("evaluating takes memory as well: a whole pass of the longest reviews")
  func evaluation() throws {
    let change: (inout TrainingConfiguration) -> Void = { $0.globalBatchSize = 2 }
    let without = try RunPlan(request("linear-probe", measures: true, change))
    let with = try RunPlan(
      request("linear-probe", measures: true) {
        change(&$0)
        $0.testFile = "test.tsv"
      })
    let known = try #require(with.time).calibration.evaluationArenaBytes
    #expect(try bytes(with, "activations").0 >= known)
    #expect(try bytes(without, "activations").0 < known)
  }

  @Test("what does not fit is refused, with a number of ranks that does")
  func refusal() throws {
    let fits = try RunPlan(request("full", ranks: 4)).memory
    #expect(throws: Failure.self) { try RunPlan(request("full", ranks: 4, memory: fits.nodeBytes - 1)) }
    do {
      _ = try RunPlan(request("full", ranks: 4, memory: fits.nodeBytes - 1))
    } catch let failure as Failure {
      #expect(failure.kind == .other && failure.message.contains("at most 3 on a node"))
    }
    _ = try RunPlan(request("full", ranks: 4, memory: fits.nodeBytes))
  }

  @Test("made-up reviews have the mean that was asked for")
  func lengths() {
    let reviews = ReviewLengths(madeUp: 100_000, meanLength: 20, maxLength: 128, shape)
    let mean = Double(reviews.tokens.reduce(0, +)) / Double(reviews.tokens.count)
    #expect(abs(mean - 20) < 0.6)
    #expect(reviews.tokens.allSatisfy { (3...128).contains($0) })
    #expect(reviews.reviewCount == 100_000)
  }
}
