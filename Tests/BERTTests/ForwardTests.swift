import BERT
import Kernels
import Tensors
import TestSupport
import Testing

/// The model against a padded `Double` reference of its own: logits are of size one and pass through some forty
/// roundings a layer, each a few u; the worst that is seen here is 1.3e-6.
@Suite
struct ForwardTests {
  static let reviews = TinyReview.reviews(lengths: [7, 1, 12, 2, 20, 5], labelCount: 3)

  func expectReference(_ model: TinyModel, _ reviews: [TinyReview], training: Bool) {
    let reference = DoubleBERT(model, drops: training)
    let found = model.logits(reviews, training: training)
    #expect(found.count == reviews.count)
    let longest = reviews.map(\.tokens.count).max() ?? 0
    for (review, logits) in zip(reviews, found) {
      let expected = reference.logits(review, paddedTo: longest)
      expectClose(logits, expected, absolute: 1e-5, "review of \(review.tokens.count) tokens")
    }
    #expect(model.isIntactAround)
  }

  @Test(arguments: Activation.allCases, [false, true])
  func logits(_ activation: Activation, _ training: Bool) {
    var configuration = TinyModel.configuration()
    configuration.activation = activation
    expectReference(TinyModel(configuration), Self.reviews, training: training)
  }

  /// Other depths, one head, many heads, one class, an epsilon that matters, and dropout that differs by its place.
  @Test(arguments: 0..<6)
  func shapes(_ variant: Int) {
    var configuration = TinyModel.configuration(dropout: 0.2, layers: [1, 3, 2, 2, 2, 2][variant])
    configuration.attentionHeadCount = [3, 1, 24, 2, 3, 8][variant]
    configuration.labelCount = [2, 7, 1, 2, 3, 4][variant]
    configuration.layerNormEpsilon = [1e-12, 1e-5, 0.1, 0, 1e-12, 1e-3][variant]
    configuration.hiddenDropout = [0.2, 0, 0.4, 0.1, 0, 0.3][variant]
    configuration.attentionDropout = [0.2, 0.3, 0, 0.5, 0, 0][variant]
    configuration.classifierDropout = [nil, 0.3, 0, 0.6, 0.5, nil][variant]
    let model = TinyModel(configuration)
    expectReference(model, Self.reviews, training: true)
    expectReference(model, Self.reviews, training: false)
  }

  /// Heads of whole lanes, whose products are computed without BLAS.
  @Test(arguments: [false, true])
  func headsOfWholeLanes(_ training: Bool) {
    var configuration = TinyModel.configuration(dropout: 0.2)
    (configuration.hiddenSize, configuration.attentionHeadCount) = (32, 2)
    expectReference(TinyModel(configuration), Self.reviews, training: training)
  }

  /// AdapterHub's flexible head: two maps of its own on the raw first token, dropout before each.
  @Test(arguments: [false, true])
  func flexibleHead(_ training: Bool) {
    var configuration = TinyModel.configuration(dropout: 0.4)
    configuration.head = .flexible("task")
    let model = TinyModel(configuration)
    #expect(model.table.entry("bert.pooler.dense.weight") == nil)
    expectReference(model, Self.reviews, training: training)
  }

  /// Token types: none of type 1, from the second token on, and the last token alone.
  @Test(arguments: [1, 4, 6, 7])
  func segments(_ secondSegmentStart: Int) {
    var review = Self.reviews[0]
    review.secondSegmentStart = secondSegmentStart
    expectReference(TinyModel(TinyModel.configuration()), [review], training: false)
  }

  /// Padding in the reference changes nothing: it really is masked there.
  @Test
  func referenceIgnoresPadding() {
    let reference = DoubleBERT(TinyModel(TinyModel.configuration()), drops: true)
    let review = Self.reviews[0]
    expectClose(
      reference.logits(review, paddedTo: 7), reference.logits(review, paddedTo: 20), absolute: 1e-14)
  }

  /// Dropout is a function of the step: another one gives other logits, the same one the same to the last bit.
  @Test
  func steps() {
    let model = TinyModel(TinyModel.configuration())
    let first = model.logits(Self.reviews)
    #expect(model.logits(Self.reviews) == first)
    model.workspace.step += 1
    let second = model.logits(Self.reviews)
    #expect(zip(first, second).allSatisfy { $0 != $1 })
    let evaluated = model.logits(Self.reviews, training: false)
    model.workspace.step += 1
    #expect(model.logits(Self.reviews, training: false) == evaluated, "no dropout outside training")
  }

  /// Each review's loss is the cross-entropy of its logits.
  @Test
  func losses() {
    let model = TinyModel(TinyModel.configuration())
    let logits = model.logits(Self.reviews)
    let losses = model.addGradients(Self.reviews)
    for (index, review) in Self.reviews.enumerated() {
      let expected = crossEntropy(logits[index], count: 3, label: Int(review.label), gradient: nil)
      expectClose(losses[index], expected, absolute: 1e-6)
    }
  }
}
