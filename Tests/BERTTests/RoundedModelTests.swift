import BERT
import Kernels
import Tensors
import TestSupport
import Testing

/// The model with weights and inputs of products in bfloat16, beside the same weights in floats.
///
/// Rounding to eight bits moves an input of a product by at most 2⁻⁸ of itself, by less than 2⁻⁹ on average, at random. A
/// loss of two layers depends on a path of some 2 × 6 products with an input each; were all errors average and of one
/// sign, that were 12 · 2⁻⁹ = 2.3 %.
@Suite(.enabled(if: RoundedProducts.obstacle == nil, "needs oneDNN and a processor with AVX512-BF16 or AMX"))
struct RoundedModelTests {
  private static let reviews = TinyReview.reviews(lengths: [6, 1, 9], labelCount: 3)
  private static let bound = 12 * 0x1p-9

  private static func models(
    dropout: Float = 0.1, trains: (String) -> Bool = { _ in true }
  ) -> (rounded: TinyModel, exact: TinyModel) {
    var configuration = TinyModel.configuration(dropout: dropout)
    let exact = TinyModel(configuration, trains: trains)
    configuration.precision = .bf16
    let rounded = TinyModel(configuration, trains: trains)
    // The same numbers in both, so that all that differs is what becomes of activations.
    for entry in rounded.table.entries where entry.parameter.precision == .bf16 {
      let parameter = entry.parameter
      exact.store[entry.specification.name].expand(from: rounded.store.rounded(parameter))
      if parameter.isTrainable { rounded.store[parameter].expand(from: rounded.store.rounded(parameter)) }
    }
    return (rounded, exact)
  }

  @Test(arguments: [true, false])
  func losses(_ isTrained: Bool) {
    let (rounded, exact) = Self.models { _ in isTrained }
    for review in Self.reviews {
      let (found, expected) = (rounded.loss([review]), exact.loss([review]))
      #expect(found != expected, "nothing was rounded")
      expectClose(found, expected, relative: Self.bound)
    }
  }

  /// Gradients come by a path of up to twice that length; each tensor by its norm.
  @Test
  func gradients() {
    let (rounded, exact) = Self.models()
    rounded.addGradients(Self.reviews)
    exact.addGradients(Self.reviews)
    for entry in rounded.table.entries where !entry.specification.name.hasSuffix("key.bias") {
      let name = entry.specification.name
      let distance = relativeL2(rounded.gradient(name), exact.gradient(name))
      #expect(distance < 2 * Self.bound, "the gradient of \(name) is off by \(distance) of its norm")
    }
    #expect(rounded.isIntactAround)
  }

  /// Query and value trained, key not: three products where there was one.
  @Test
  func gradientsOfSome() {
    let trains = { (name: String) in name.contains("query") || name.contains("value") || name.contains("output.dense") }
    let (rounded, exact) = Self.models(trains: trains)
    rounded.addGradients(Self.reviews)
    exact.addGradients(Self.reviews)
    for entry in rounded.table.trainableEntries {
      let name = entry.specification.name
      let distance = relativeL2(rounded.gradient(name), exact.gradient(name))
      #expect(distance < 2 * Self.bound, "the gradient of \(name) is off by \(distance) of its norm")
    }
  }

  @Test
  func everyMatrixOfTheEncoderIsRounded() {
    var configuration = TinyModel.configuration()
    configuration.precision = .bf16
    let frozen = ParameterTable(configuration.parameters { _ in false })
    let rounded = frozen.entries.filter(\.parameter.isOnlyRounded).map(\.specification.name)
    #expect(rounded.count == 1 + 2 * 6 && rounded.contains("bert.embeddings.word_embeddings.weight"))
    #expect(2 * frozen.roundedCount > frozen.count, "most of a model")
    // A table that is trained is read in its floats: there is nothing to keep beside them.
    let trained = ParameterTable(configuration.parameters { _ in true })
    #expect(trained.roundedCount == 0)
    #expect(trained["bert.embeddings.word_embeddings.weight"].precision == .fp32)
    #expect(trained["bert.encoder.layer.1.output.dense.weight"].precision == .bf16)
  }
}
