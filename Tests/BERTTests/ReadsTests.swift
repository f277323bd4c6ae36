import BERT
import Tensors
import TestSupport
import Testing

/// The last layer computes what the head reads, and that is exactly what computing every row gives. A product over
/// fewer rows may add in another order: 1e-6, absolute and relative.
@Suite
struct ReadsTests {
  static let reviews = TinyReview.reviews(lengths: [9, 1, 20, 4, 12], labelCount: 3)

  static func reading(_ positions: (TinyReview) -> [Int32]) -> [TinyReview] {
    reviews.map {
      var review = $0
      review.reads = positions($0)
      return review
    }
  }

  /// The head on every row, of which `[CLS]`'s are picked, against the head on `[CLS]` alone.
  @Test(arguments: [Float(0), 0.3], 1...3)
  func everyRow(_ dropout: Float, _ layers: Int) {
    let model = TinyModel(TinyModel.configuration(dropout: dropout, layers: layers))
    let few = model.logits(Self.reviews)
    let every = model.logits(Self.reading { review in review.tokens.indices.map { Int32($0) } })
    var start = 0
    for (index, review) in Self.reviews.enumerated() {
      expectClose(few[index], every[start], relative: 1e-6, absolute: 1e-6, "review \(index)")
      start += review.tokens.count
    }
    #expect(every.count == start)
  }

  /// Any rows in any order, as masked-language modelling reads them: the same dropout and the same logits as all rows.
  @Test(arguments: [Float(0), 0.3])
  func someRows(_ dropout: Float) {
    let model = TinyModel(TinyModel.configuration(dropout: dropout))
    let every = model.logits(Self.reading { review in review.tokens.indices.map { Int32($0) } })
    let some = Self.reading { review in
      let last = Int32(review.tokens.count - 1)
      // The third choice begins and ends as the first tokens in order do.
      return last == 0 ? [0] : last < 10 ? [last, last / 2] : [0, 9, 2]
    }
    let found = model.logits(some)
    var (start, row) = (0, 0)
    for review in some {
      for position in review.reads ?? [] {
        expectClose(
          found[row], every[start + Int(position)], relative: 1e-6, absolute: 1e-6, "position \(position)")
        row += 1
      }
      start += review.tokens.count
    }
    #expect(row == found.count)
  }

  /// The last layer by itself: `[CLS]`'s rows of a pass over all of them.
  @Test
  func lastLayer() {
    let model = TinyModel(TinyModel.configuration(dropout: 0.3))
    TinyModel.batch(Self.reviews).withViews { views in
      model.workspace.arena.reset()
      let x = model.model.encoder.embeddings.forward(views, model.workspace)
      let layer = model.model.encoder.layers[1]
      let every = layer.forward(Operand(x), views, onlyReads: false, saves: false, model.workspace).values
      let few = layer.forward(Operand(x), views, onlyReads: true, saves: false, model.workspace).values
      #expect(every.rows == views.tokens.count && few.rows == views.reads.count)
      for r in 0..<few.rows {
        expectClose(
          UnsafeBufferPointer(start: few.row(r), count: few.columns),
          UnsafeBufferPointer(start: every.row(Int(views.readIndices[r])), count: few.columns),
          relative: 1e-6, absolute: 1e-6)
      }
    }
  }

  /// What backward keeps changes no number of the pass forward.
  @Test
  func savingChangesNothing() {
    let model = TinyModel(TinyModel.configuration(dropout: 0.3))
    TinyModel.batch(Self.reviews).withViews { views in
      model.workspace.arena.reset()
      let x = model.model.encoder.embeddings.forward(views, model.workspace)
      let layer = model.model.encoder.layers[0]
      let saved = layer.forward(Operand(x), views, onlyReads: false, saves: true, model.workspace).values
      let unsaved = layer.forward(Operand(x), views, onlyReads: false, saves: false, model.workspace).values
      for r in 0..<saved.rows {
        #expect((0..<saved.columns).allSatisfy { saved.row(r)[$0] == unsaved.row(r)[$0] }, "row \(r)")
      }
    }
  }
}
