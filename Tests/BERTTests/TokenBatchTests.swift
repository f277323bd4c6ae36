import BERT
import TestSupport
import Testing

@Suite
struct TokenBatchTests {
  @Test
  func views() {
    var reviews = [
      TinyReview([2, 9, 4, 7], secondSegmentStart: 2, number: 70), TinyReview([3], number: 5),
      TinyReview([8, 8, 1], secondSegmentStart: 0, number: 4_000_000_000),
    ]
    reviews[2].reads = [2, 0]
    let batch = TinyModel.batch(reviews)
    #expect(batch.reviewCount == 3 && batch.tokenCount == 8)
    batch.withViews { views in
      func all<T>(_ pointer: UnsafePointer<T>, _ count: Int) -> [T] { (0..<count).map { pointer[$0] } }
      #expect(all(views.ids, 8) == [2, 9, 4, 7, 3, 8, 8, 1])
      #expect(all(views.types, 8) == [0, 0, 1, 1, 0, 1, 1, 1])
      #expect(views.tokens.count == 8 && views.tokens.reviewCount == 3)
      #expect(all(views.tokens.offsets, 4) == [0, 4, 5, 8])
      #expect(all(views.tokens.positions, 8) == [0, 1, 2, 3, 0, 0, 1, 2])
      #expect(
        all(views.tokens.reviews, 8) == [70, 70, 70, 70, 5, 4_000_000_000, 4_000_000_000, 4_000_000_000])
      #expect(views.reads.count == 4 && views.reads.reviewCount == 3)
      #expect(all(views.readIndices, 4) == [0, 4, 7, 5])
      #expect(all(views.reads.positions, 4) == [0, 0, 2, 0])
      #expect(all(views.reads.offsets, 4) == [0, 1, 2, 4])
      #expect(all(views.reads.reviews, 4) == [70, 5, 4_000_000_000, 4_000_000_000])
    }
  }

  /// A batch is filled again and again; nothing of an earlier pass stays.
  @Test
  func reuse() {
    let batch = TinyModel.batch([TinyReview([2, 9, 4, 7], number: 1), TinyReview([5, 5], number: 2)])
    batch.removeAll()
    #expect(batch.reviewCount == 0 && batch.tokenCount == 0)
    batch.withViews { #expect($0.reads.count == 0) }
    [Int32(6), 3].withUnsafeBufferPointer { batch.append(tokens: $0, secondSegmentStart: 1, review: 9) }
    batch.withViews { views in
      #expect(views.tokens.offsets[0] == 0 && views.tokens.offsets[1] == 2 && views.tokens.reviewCount == 1)
      #expect(views.ids[0] == 6 && views.types[1] == 1 && views.tokens.reviews[1] == 9)
    }
  }

  /// A rank that gets no review of a step may still run a pass: no logits, no gradient.
  @Test
  func noReviews() {
    let model = TinyModel(TinyModel.configuration())
    #expect(model.logits([]).isEmpty)
    #expect(model.addGradients([]).isEmpty)
    #expect(model.gradientValues.allSatisfy { $0 == 0 } && model.isIntactAround)
  }

  /// A review of which the head reads nothing, as one without hidden tokens in masked-language modelling.
  @Test
  func noReads() {
    let model = TinyModel(TinyModel.configuration())
    var reviews = TinyReview.reviews(lengths: [3, 5, 2, 4], labelCount: 3)
    let alone = [1, 3].map { model.logits([reviews[$0]])[0] }
    reviews[0].reads = []
    reviews[2].reads = []
    let found = model.logits(reviews)
    #expect(found.count == 2)
    for (a, b) in zip(found, alone) { expectClose(a, b, relative: 1e-6, absolute: 1e-6) }
  }

  @Test
  func aReviewWithoutTokensIsRefused() async {
    await #expect(processExitsWith: .failure) {
      TokenBatch().append(tokens: UnsafeBufferPointer(start: nil, count: 0), secondSegmentStart: 0, review: 1)
    }
  }
}
