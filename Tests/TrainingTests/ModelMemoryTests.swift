import BERT
import FineTuning
import Tensors
import Testing
import Training

/// What a model takes of a node before it is begun.
@Suite struct ModelMemoryTests {
  private var shape: BERTConfiguration {
    var shape = BERTConfiguration()
    (shape.vocabularySize, shape.hiddenSize, shape.layerCount) = (1000, 32, 2)
    (shape.attentionHeadCount, shape.intermediateSize, shape.positionCount) = (2, 64, 64)
    return shape
  }

  private func bytes(_ run: TrainingConfiguration?, ranks: Int) throws -> Int {
    let method = FullFineTuning()
    let table = try method.table(for: shape)
    let training = run.map {
      ModelMemory.Training(
        threads: $0.threads, tokensPerPass: 100, shardBuffers: $0.shardBuffers(ranks: ranks), ranksSharingMoments: 1,
        stepShare: Replica.StepShare(tokens: 200, reviews: 10))
    }
    return ModelMemory(table, method.taskModel(shape, table), training: training, ranksOnNode: ranks).nodeBytes
  }

  /// H 32; bottlenecks of 2 and 2, so 7 rows of folded matrices; of two layers the last one reads too few rows.
  @Test func threadsShareWhatIsFolded() throws {
    let setup = try AdapterSetup(["ko": .language, "a": .pfeiffer], .fuse(["ko", "a"]))
    let method = try AdapterFusion(setup)
    let table = try method.table(for: shape)
    func count(threads: Int, tokens: Int, shards: Int? = nil) -> (gradients: Int, folds: Int) {
      Replica.gradientCount(
        of: method.taskModel(shape, table), reached: table.trainableCount, of: table.trainableCount, threads: threads,
        shardBuffers: shards, share: Replica.StepShare(tokens: tokens, reviews: 5))
    }
    let (one, two, few) = (count(threads: 1, tokens: 200), count(threads: 2, tokens: 200), count(threads: 2, tokens: 6))
    #expect(one.gradients == table.trainableCount && few == (2 * table.trainableCount, 0))
    #expect(two.gradients == 2 * table.trainableCount - (3 * 32 * 32 + 2 * 32))
    #expect(two.folds - one.folds == 7 * 32 + 7 + 32 * 6)
    #expect(one.folds == 4 * 7 * 32 + 7 + 3 * 32 * 6)
    #expect(count(threads: 2, tokens: 200, shards: 2) == (3 * table.trainableCount, 0))
  }

  /// 32 reviews are four shards: four ranks have one each, and others none.
  @Test func ranksBeyondTheShardsKeepNone() throws {
    var run = TrainingConfiguration()
    run.globalBatchSize = 32
    let (fourWithout, sixWithout) = (try bytes(run, ranks: 4), try bytes(run, ranks: 6))
    run.deterministic = true
    let shards = try bytes(run, ranks: 4) - fourWithout
    let shardsOfSix = try bytes(run, ranks: 6) - sixWithout
    #expect(shards > 0 && shardsOfSix == shards)
    #expect(run.shardBuffers(ranks: 6)?.ranks == 4)
  }

  /// Of a step of two passes: 64 reviews are eight shards.
  @Test func shardsAreThoseOfAStep() throws {
    var run = TrainingConfiguration()
    (run.globalBatchSize, run.accumulationSteps, run.deterministic) = (32, 2, true)
    #expect(run.shardBuffers(ranks: 8)?.ranks == 8)
    #expect(RunReport.idleWorkers(run, 8) == nil)
    #expect(RunReport.idleWorkers(run, 9)?.hasPrefix("64 reviews a step are computed in 8 parts") == true)
    run.deterministic = false
    #expect(RunReport.idleWorkers(run, 32) == nil)
    #expect(RunReport.idleWorkers(run, 40)?.contains("8 of 40 workers") == true)
  }

  @Test func whatIsOnlyAskedHasNoGradientsAndMoments() throws {
    let asked = try bytes(nil, ranks: 1)
    let table = try FullFineTuning().table(for: shape)
    let numbers = 4 * table.trainableCount
    #expect(asked >= numbers && asked < 2 * numbers + 1 << 20)
    // Gradients and two moments of all but the rows that are looked up.
    let trained = try bytes(TrainingConfiguration(), ranks: 1)
    #expect(trained >= asked + 3 * (numbers - 4 * 1000 * 32))
  }
}
