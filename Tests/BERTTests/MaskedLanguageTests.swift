import BERT
import Tensors
import TestSupport
import Testing

/// The heads of pre-training: every gradient against central differences, the tied table among them.
@Suite
struct MaskedLanguageTests {
  static func model(dropout: Float, nextSentence: Bool) -> TinyMaskedModel {
    TinyMaskedModel(TinyModel.configuration(dropout: dropout), nextSentence: nextSentence) {
      ParameterTable($0.parameters { _ in true })
    } make: {
      MaskedLanguageModel($0, $1)
    }
  }

  @Test(arguments: [(Float(0), false), (0.1, false), (0.1, true)])
  func everyGradient(_ dropout: Float, _ nextSentence: Bool) {
    let model = Self.model(dropout: dropout, nextSentence: nextSentence)
    model.workspace.sentenceWeight = 2.5
    model.addGradients()
    // Six hidden tokens, and three pairs of weight 2.5.
    expectCentralDifferences(
      model.store, gradient: model.gradient, lossCount: nextSentence ? 13.5 : 6
    ) { model.loss() }
  }

  /// The padding token's row has no gradient from being read, and has one from being a token that could have stood there.
  @Test
  func tiedTableIsTrainedEverywhere() throws {
    let model = Self.model(dropout: 0, nextSentence: false)
    model.addGradients()
    let (name, width) = ("bert.embeddings.word_embeddings.weight", TinyModel.configuration().hiddenSize)
    let gradient = model.gradient(name)
    for row in 0..<TinyModel.configuration().vocabularySize {
      #expect(gradient[row * width..<(row + 1) * width].contains { $0 != 0 }, "row \(row)")
    }
    let specification = try #require(model.store.table.entry(name)?.specification)
    #expect(!specification.isLookedUp, "a step touches every row")
  }

  /// What an evaluation says is what training computes without dropout.
  @Test(arguments: [false, true])
  func evaluation(_ nextSentence: Bool) {
    let model = Self.model(dropout: 0, nextSentence: nextSentence)
    expectClose(model.evaluationLoss(), model.loss(), relative: 1e-6)
  }

  /// Without pairs the pooler is there for those who use the base later: it changes nothing, and nobody trains it.
  @Test
  func poolerIsIdentity() throws {
    let model = Self.model(dropout: 0, nextSentence: false)
    let pooler = try #require(model.store.table.entry("bert.pooler.dense.weight"))
    #expect(!pooler.parameter.isTrainable)
    let view = model.store[pooler.parameter]
    for r in 0..<view.rows {
      for c in 0..<view.columns { #expect(view.row(r)[c] == (r == c ? 1 : 0)) }
    }
  }
}
