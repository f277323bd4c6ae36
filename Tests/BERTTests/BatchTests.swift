import BERT
import TestSupport
import Testing

/// A review's numbers do not depend on what else is in its batch. A product over more rows may add in another order:
/// with half of all numbers dropped and the others doubled, 2e-6 of logits of size one or two; 1e-6 without dropout.
@Suite
struct BatchTests {
  static let reviews = TinyReview.reviews(lengths: [9, 1, 17, 4, 4, 20, 2, 13], labelCount: 3)
  static let dropouts: [Float] = [0, 0.5]

  /// Half of all numbers dropped: a mask that depended on batch mates would change the logits altogether.
  @Test(arguments: dropouts)
  func logits(_ dropout: Float) {
    let model = TinyModel(TinyModel.configuration(dropout: dropout))
    let alone = Self.reviews.map { model.logits([$0])[0] }
    for order in [Array(0..<8), Array((0..<8).reversed()), [3, 1, 5], [7, 0, 2, 6, 4], [5, 5]] {
      let found = model.logits(order.map { Self.reviews[$0] })
      for (place, review) in order.enumerated() {
        expectClose(
          found[place], alone[review], absolute: dropout > 0 ? 2e-6 : 1e-6, "review \(review) in \(order)")
      }
    }
  }

  @Test(arguments: dropouts)
  func losses(_ dropout: Float) {
    let model = TinyModel(TinyModel.configuration(dropout: dropout))
    let alone = Self.reviews.map { model.addGradients([$0])[0] }
    expectClose(model.addGradients(Self.reviews), alone, absolute: 2e-6)
    expectClose(model.addGradients(Self.reviews.reversed()), alone.reversed(), absolute: 2e-6)
  }

  /// Two reviews of the same text are dropped differently, and one that is read again alike.
  @Test
  func masksAreTheReviewsOwn() {
    let model = TinyModel(TinyModel.configuration(dropout: 0.5))
    var twin = Self.reviews[2]
    twin.number += 1
    let found = model.logits([Self.reviews[2], twin, Self.reviews[2]])
    expectClose(found[0], found[2], absolute: 1e-6)
    #expect(zip(found[0], found[1]).allSatisfy { abs($0 - $1) > 1e-4 })
    let evaluated = model.logits([Self.reviews[2], twin], training: false)
    expectClose(evaluated[0], evaluated[1], absolute: 1e-6)
  }

  /// Tokens are not mixed between reviews: moving a token from one to its neighbour changes both, and no third.
  @Test
  func reviewsAreSeparate() {
    let model = TinyModel(TinyModel.configuration(dropout: 0))
    let before = model.logits(Self.reviews)
    var reviews = Self.reviews
    let moved = reviews[3].tokens.removeLast()
    reviews[4].tokens.insert(moved, at: 1)
    let after = model.logits(reviews)
    for index in reviews.indices {
      if index == 3 || index == 4 {
        #expect(zip(before[index], after[index]).contains { abs($0 - $1) > 1e-4 }, "review \(index)")
      } else {
        expectClose(after[index], before[index], absolute: 1e-6, "review \(index)")
      }
    }
  }
}
