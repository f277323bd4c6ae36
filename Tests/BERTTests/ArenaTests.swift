import BERT
import Tensors
import TestSupport
import Testing

/// A pass fits into the memory that the model says it needs, whatever the reviews are like.
@Suite
struct ArenaTests {
  /// Batches at the ends of what can come: many tiny reviews, whose masks are mostly padding; few long ones, whose
  /// attention is large; and one of each.
  static let batches: [(name: String, lengths: [Int])] = [
    ("one-token reviews", [Int](repeating: 1, count: 1500)),
    ("three-token reviews", (0..<600).map { 1 + $0 % 3 }),
    ("128-token reviews", [Int](repeating: 128, count: 10)),
    ("one review of one token", [1]),
    ("one long among short ones", [128] + [Int](repeating: 2, count: 500)),
  ]

  static func model(_ dropout: Float, heads: Int, tokens: Int, reviews: Int, longest: Int) -> (TinyModel, Int) {
    var configuration = TinyModel.configuration(dropout: dropout)
    configuration.hiddenSize = 16
    configuration.intermediateSize = 16
    configuration.attentionHeadCount = heads
    configuration.positionCount = 128
    let plain = TinyModel(configuration)
    let promised = plain.model.arenaBytes(tokens: tokens, reviews: reviews, longest: longest)
    return (TinyModel(configuration, arenaBytes: 2 * promised), promised)
  }

  @Test(arguments: batches.indices, [(Float(0), 2), (0.1, 8)])
  func promisedBytesSuffice(_ index: Int, _ shape: (Float, Int)) {
    let lengths = Self.batches[index].lengths
    let reviews = TinyReview.reviews(lengths: lengths, labelCount: 3)
    let (model, promised) = Self.model(
      shape.0, heads: shape.1, tokens: lengths.reduce(0, +), reviews: lengths.count,
      longest: lengths.max() ?? 0)
    let losses = model.addGradients(reviews)
    #expect(losses.allSatisfy { $0.isFinite })
    let peak = model.workspace.arena.peak
    #expect(peak <= promised, "\(Self.batches[index].name): \(peak) of \(promised) bytes")
    // A promise of sixteen times too much would not be one either. What a pass without a token is promised is left out:
    // 4 MiB and room for 64 tokens.
    let constant = model.model.arenaBytes(tokens: 0, reviews: 0, longest: lengths.max() ?? 0)
    #expect(promised - constant <= 16 * peak, "\(Self.batches[index].name): \(peak) of \(promised) bytes")
  }

  /// With an arena that fills with not-a-number what it takes back, no stale or unwritten number gets into a result:
  /// neither in a first pass nor in one over the remains of a larger one.
  @Test
  func nothingStale() {
    let reviews = TinyReview.reviews(lengths: [20, 1, 3, 17], labelCount: 3)
    let model = TinyModel(TinyModel.configuration())
    #expect(model.workspace.arena.poisons)
    let first = model.addGradients(reviews)
    let gradients = model.gradientValues
    #expect(gradients.allSatisfy { $0.isFinite } && first.allSatisfy { $0.isFinite })
    for _ in 0..<2 {
      model.clearGradients()
      #expect(model.addGradients(reviews) == first)
      #expect(model.gradientValues == gradients, "the same to the last bit")
      _ = model.addGradients([reviews[2]])
      _ = model.logits(reviews, training: false)
    }
  }
}
