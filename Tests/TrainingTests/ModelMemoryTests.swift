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
        threads: $0.threads, tokensPerPass: 100, shardBuffers: $0.shardBuffers(ranks: ranks), ranksSharingMoments: 1)
    }
    return ModelMemory(table, method.taskModel(shape, table), training: training, ranksOnNode: ranks).nodeBytes
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
