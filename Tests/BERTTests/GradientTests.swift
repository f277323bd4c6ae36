import BERT
import Kernels
import Tensors
import TestSupport
import Testing

/// Every parameter's gradient against central differences of the loss.
@Suite
struct GradientTests {
  static let reviews = TinyReview.reviews(lengths: [6, 1, 9], labelCount: 3)

  @Test(arguments: [Float(0), 0.1])
  func everyParameter(_ dropout: Float) {
    expectCentralDifferences(TinyModel(TinyModel.configuration(dropout: dropout)), Self.reviews)
  }

  /// Three layers, so that one is neither the first nor the last; large dropout, and another at the head.
  @Test
  func deeper() {
    var configuration = TinyModel.configuration(dropout: 0.3, layers: 3)
    configuration.classifierDropout = 0.5
    configuration.attentionHeadCount = 2
    expectCentralDifferences(TinyModel(configuration), Self.reviews)
  }

  /// Heads of whole lanes, whose products are computed without BLAS.
  @Test
  func headsOfWholeLanes() {
    var configuration = TinyModel.configuration(dropout: 0.2)
    (configuration.hiddenSize, configuration.attentionHeadCount) = (32, 2)
    expectCentralDifferences(
      TinyModel(configuration), Self.reviews,
      names: [0, 1].flatMap { layer in
        ["query", "key", "value"].map { "bert.encoder.layer.\(layer).attention.self.\($0).weight" }
      })
  }

  /// One layer is first and last at once.
  @Test
  func shallow() {
    expectCentralDifferences(TinyModel(TinyModel.configuration(layers: 1)), Self.reviews)
  }

  @Test
  func flexibleHead() {
    var configuration = TinyModel.configuration(dropout: 0.3)
    configuration.head = .flexible("task")
    let model = TinyModel(configuration)
    let heads = model.table.entries.map(\.specification.name).filter { $0.hasPrefix("heads.task.") }
    #expect(heads.count == 4)
    expectCentralDifferences(
      model, Self.reviews, names: heads + ["bert.encoder.layer.1.output.dense.weight"])
  }

  /// The other smooth non-linearities, where they matter.
  @Test(arguments: [Activation.geluTanh, .swish, .tanh])
  func activations(_ activation: Activation) {
    var configuration = TinyModel.configuration()
    configuration.activation = activation
    expectCentralDifferences(
      TinyModel(configuration), Self.reviews,
      names: [0, 1].flatMap { layer in
        [
          "intermediate.dense.weight", "intermediate.dense.bias", "output.dense.weight",
          "attention.self.value.bias",
        ]
        .map { "bert.encoder.layer.\(layer).\($0)" }
      })
  }

  /// Gradients are added to what is there, so that several passes make one step.
  @Test
  func gradientsAreAdded() {
    let model = TinyModel(TinyModel.configuration())
    model.addGradients(Self.reviews)
    let once = model.gradientValues
    model.addGradients(Self.reviews)
    expectClose(model.gradientValues, once.map { 2 * $0 }, relative: 1e-6, absolute: 1e-5)
  }

  /// The gradient of a batch is the sum of its reviews' own: 1e-5 of numbers of size one, added in another order.
  @Test
  func gradientsOfReviewsAddUp() {
    let model = TinyModel(TinyModel.configuration())
    model.addGradients(Self.reviews)
    let together = model.gradientValues
    model.clearGradients()
    for review in Self.reviews.reversed() { model.addGradients([review]) }
    expectClose(model.gradientValues, together, relative: 1e-5, absolute: 1e-5)
  }

  /// The padding token's embedding has no gradient even where a review contains it, as in the reference; the positions
  /// and types it stands at have theirs.
  @Test(arguments: [0, 7])
  func paddingTokenHasNoGradient(_ padTokenID: Int) {
    var configuration = TinyModel.configuration()
    configuration.padTokenID = padTokenID
    let model = TinyModel(configuration)
    let review = TinyReview([3, Int32(padTokenID), 5, Int32(padTokenID)], number: 4, label: 1)
    model.addGradients([review])
    let name = "bert.embeddings.word_embeddings.weight"
    let gradient = model.gradient(name)
    for row in 0..<configuration.vocabularySize {
      let isZero = gradient[row * 24..<row * 24 + 24].allSatisfy { $0 == 0 }
      #expect(isZero == ![3, 5].contains(row), "row \(row)")
    }
    expectCentralDifferences(
      model, [review],
      names: ["bert.embeddings.position_embeddings.weight", "bert.embeddings.token_type_embeddings.weight"])
  }

  /// Rows of tokens and positions that no review has get nothing at all.
  @Test
  func unusedRowsHaveNoGradient() {
    let model = TinyModel(TinyModel.configuration())
    model.addGradients(Self.reviews)
    let used = Set(Self.reviews.flatMap(\.tokens).map { Int($0) })
    for (name, used) in [("word", used), ("position", Set(0..<9))] {
      let gradient = model.gradient("bert.embeddings.\(name)_embeddings.weight")
      for row in 0..<gradient.count / 24 {
        let isZero = gradient[row * 24..<row * 24 + 24].allSatisfy { $0 == 0 }
        #expect(isZero == !used.contains(row), "\(name) \(row)")
      }
    }
  }
}
