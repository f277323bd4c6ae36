package import BERT
internal import Kernels
internal import Tensors

extension TinyModel {
  /// A batch of reviews.
  package static func batch(_ reviews: [TinyReview]) -> TokenBatch {
    let batch = TokenBatch()
    for review in reviews {
      review.tokens.withUnsafeBufferPointer { tokens in
        (review.reads ?? []).withUnsafeBufferPointer { reads in
          batch.append(
            tokens: tokens, secondSegmentStart: review.secondSegmentStart, review: review.number,
            reads: review.reads == nil ? nil : reads)
        }
      }
    }
    return batch
  }

  /// The logits of each review, or of each row that is read; dropout is on while training.
  package func logits(_ reviews: [TinyReview], training: Bool = true) -> [[Float]] {
    let wasTraining = workspace.isTraining
    workspace.isTraining = training
    defer { workspace.isTraining = wasTraining }
    return TinyModel.batch(reviews).withViews { views in
      workspace.arena.reset()
      let logits = model.logits(views, workspace)
      return (0..<logits.rows).map { r in (0..<logits.columns).map { logits.row(r)[$0] } }
    }
  }

  /// The sum of the reviews' losses in training, from a pass forward alone.
  package func loss(_ reviews: [TinyReview]) -> Double {
    zip(logits(reviews), reviews).reduce(0) { total, pair in
      total + crossEntropy(pair.0, count: pair.0.count, label: Int(pair.1.label), gradient: nil)
    }
  }

  /// The mean of the reviews' losses without dropout.
  package func evaluationLoss(_ reviews: [TinyReview]) -> Double {
    zip(logits(reviews, training: false), reviews).reduce(0) { total, pair in
      total + crossEntropy(pair.0, count: pair.0.count, label: Int(pair.1.label), gradient: nil)
    } / Double(reviews.count)
  }

  /// Adds the gradients of the sum of the reviews' losses; returns each loss.
  @discardableResult
  package func addGradients(_ reviews: [TinyReview]) -> [Double] {
    var losses = [Double](repeating: .nan, count: reviews.count)
    TinyModel.batch(reviews).withViews { views in
      workspace.arena.reset()
      model.addGradients(views, labels: reviews.map(\.label), losses: &losses, workspace)
    }
    return losses
  }
}
