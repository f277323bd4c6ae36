import BERT
import Tensors
import TestSupport
import Testing

/// Backward goes no further into the lowest trained layer than what is trained there, and what it computes is the same,
/// to the last bit, as if it had gone all the way.
@Suite
struct ReachTests {
  static let reviews = TinyReview.reviews(lengths: [6, 1, 9], labelCount: 3)

  /// What is trained in the layer, how far backward has to go for it, and the projections it then passes.
  static let cases: [(String, EncoderLayer.Reach, passed: Int)] = [
    ("output.LayerNorm.bias", .output, 0), ("output.dense.bias", .outputDense, 1),
    ("output.dense.weight", .outputDense, 1), ("intermediate.dense.bias", .intermediateDense, 2),
    ("intermediate.dense.weight", .intermediateDense, 2), ("attention.output.LayerNorm.weight", .attentionOutput, 2),
    ("attention.output.dense.bias", .attentionDense, 3), ("attention.output.dense.weight", .attentionDense, 3),
    ("attention.self.query.bias", .attention, 6), ("attention.self.key.weight", .attention, 6),
    ("attention.self.value.bias", .attention, 6),
  ]

  /// Does nothing to the embeddings but ask for their gradient.
  final class Idle: EmbeddingBranch {
    let isTrainable = true
    let floatsPerRow = 0
    func forward(_ x: Matrix, _ rows: Rows, _ workspace: Workspace) {}
    func backward(_ dx: Matrix, _ rows: Rows, _ workspace: Workspace) {}
  }

  /// Notes that backward came by; nothing of it is trained.
  final class Witness: ProjectionBranch {
    let needsBias = false
    let isTrainable = false
    let floatsPerRow = 0
    private(set) var backwardCount = 0
    func forward(_ x: Matrix, into y: Matrix, _ rows: Rows, _ workspace: Workspace) {}
    func backward(_ dy: Matrix, _ x: Matrix, dx: Matrix?, _ rows: Rows, _ workspace: Workspace) { backwardCount += 1 }
  }

  static func model(
    _ trained: String, layer: Int, goesAllTheWay: Bool
  ) -> (model: TinyModel, witnesses: [Witness]) {
    let witnesses = (0..<6).map { _ in Witness() }
    let table = ParameterTable(
      TinyModel.configuration().parameters { name in
        name == "bert.encoder.layer.\(layer).\(trained)" || name.hasPrefix("classifier.")
      })
    let model = TinyModel(TinyModel.configuration(), table: table) {
      let model = SequenceClassifier($0, $1)
      if goesAllTheWay { model.encoder.embeddings.branch = Idle() }
      for (projection, witness) in zip(model.encoder.layers[layer].projections, witnesses) {
        projection.branch = witness
      }
      model.branchesWereAttached()
      return model
    }
    return (model, witnesses)
  }

  @Test(arguments: cases.indices, [0, 1])
  func stopsInTime(_ index: Int, _ layer: Int) {
    let (trained, reach, passed) = Self.cases[index]
    let (short, seen) = Self.model(trained, layer: layer, goesAllTheWay: false)
    let (long, seenOnTheWay) = Self.model(trained, layer: layer, goesAllTheWay: true)
    #expect(short.model.encoder.lowestTrainable == layer && long.model.encoder.lowestTrainable == -1)
    #expect(short.model.encoder.layers[layer].backwardReach(needsInput: false) == reach)
    #expect(short.model.encoder.layers[layer].backwardReach(needsInput: true) == .attention)
    #expect(short.addGradients(Self.reviews) == long.addGradients(Self.reviews))
    #expect(short.gradientValues.map(\.bitPattern) == long.gradientValues.map(\.bitPattern))
    #expect(short.gradient("bert.encoder.layer.\(layer).\(trained)").contains { $0 != 0 } || trained.contains("key"))
    #expect(short.isIntactAround)
    #expect(seen.reduce(0) { $0 + $1.backwardCount } == passed)
    #expect(seenOnTheWay.allSatisfy { $0.backwardCount == 1 })
  }
}
