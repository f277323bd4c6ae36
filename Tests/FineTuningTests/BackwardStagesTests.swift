import BERT
import FineTuning
import Tensors
import TestSupport
import Testing

/// What a backward pass says of its progress is what overlapped sums rely on.
@Suite struct BackwardStagesTests {
  /// Copies of what was said to be complete are what the pass ends with; every method, every part.
  @Test(arguments: MethodCase.all)
  func gradientsSaidToBeCompleteDoNotChange(_ test: MethodCase) throws {
    let model = try test.variedModel(layers: 3)
    let stages = BackwardStages(model.configuration, model.table)
    let count = model.table.trainableCount
    let covered = stages.ranges.joined().sorted { $0.lowerBound < $1.lowerBound }
    #expect(covered.reduce(0) { $0 + $1.count } == count, "the stages cover the block")
    #expect(zip(covered, covered.dropFirst()).allSatisfy { $0.upperBound <= $1.lowerBound })

    var seen = -1
    var copies: [(stage: Int, range: Range<Int>, values: [Float])] = []
    model.workspace.completed = { stage in
      #expect(stage > seen, "stages come in order")
      for done in seen + 1..<stage + 1 {
        for range in stages.ranges[done] { copies.append((done, range, model.values(range))) }
      }
      seen = stage
    }
    model.addGradients(TinyModel.reviews)
    // A linear probe ends at the head.
    #expect(seen >= 0 || test.method.name == "linear-probe")
    for (stage, range, values) in copies {
      #expect(values == model.values(range), "stage \(stage), \(range)")
    }
  }

  /// In full training nearly everything is complete before the embeddings are.
  @Test func layersOfFullTrainingAreCompleteOneByOne() throws {
    let test = try #require(MethodCase.all.first { $0.method.name == "full" })
    let model = try test.model(layers: 3)
    var told: [Int] = []
    model.workspace.completed = { told.append($0) }
    model.addGradients(TinyModel.reviews)
    #expect(told == [0, 1, 2, 3])
    let stages = BackwardStages(model.configuration, model.table)
    #expect(stages.ranges.allSatisfy { $0.count <= 2 && !$0.isEmpty })
    let layer = model.table["bert.encoder.layer.2.output.dense.weight"]
    #expect(stages.ranges[1].contains { $0.contains(layer.offset) })
  }
}

extension TinyModel {
  fileprivate func values(_ range: Range<Int>) -> [Float] { range.map { gradients[$0] } }
}
