package import BERT
internal import Failures
internal import FineTuning
internal import Glibc
internal import Kernels
internal import Tensors

/// One thread's replica: a model over the shared parameters, gradients and memory of its own.
package final class Worker {
  package let model: SequenceClassifier
  package let workspace: Workspace
  /// The sum of the gradients of this worker's reviews, in the layout of the trainable block.
  package let gradients: UnsafeMutableBufferPointer<Float>
  /// The sum of losses and the number of reviews and tokens since the last `takeTally`.
  private var tally = Tally()
  private let batch = TokenBatch()
  private var labels: [Int32] = []
  private var losses: [Double] = []

  /// What passes have added up.
  package struct Tally: Sendable {
    /// The sum of losses.
    package var loss = 0.0
    /// How many reviews.
    package var reviews = 0
    /// How many tokens.
    package var tokens = 0
  }

  init(
    _ method: any FineTuningMethod, _ configuration: BERTConfiguration, _ store: ParameterStore, seed: UInt32,
    tokensPerPass: Int, trains: Bool
  ) {
    model = method.model(configuration, store.table)
    gradients = zeroedFloats(trains ? store.table.trainableCount : 0)
    let arena = ActivationArena(
      capacity: model.arenaBytes(tokens: tokensPerPass, reviews: tokensPerPass, longest: tokensPerPass))
    workspace = Workspace(
      parameters: store, gradients: trains ? gradients.baseAddress : nil, arena: arena, seed: seed)
  }

  deinit { free(gradients.baseAddress) }

  /// Has later passes add their gradients elsewhere than in `gradients`.
  func addsGradients(to values: UnsafeMutablePointer<Float>) { workspace.gradients = values }

  /// A pass over some reviews, forward and backward; `completed` is told of the stages of backward.
  func addGradients<Reviews: Collection<Int>>(
    _ reviews: Reviews, of data: EncodedReviews, step: Int, completed: ((_ stage: Int) -> Void)? = nil
  ) {
    workspace.completed = completed
    defer { workspace.completed = nil }
    fill(reviews, data)
    labels.removeAll(keepingCapacity: true)
    for review in reviews { labels.append(data.labels[review]) }
    while losses.count < labels.count { losses.append(0) }
    workspace.step = UInt32(truncatingIfNeeded: step)
    workspace.isTraining = true
    workspace.arena.reset()
    labels.withUnsafeBufferPointer { labels in
      losses.withUnsafeMutableBufferPointer { losses in
        guard let labels = labels.baseAddress, let losses = losses.baseAddress else { return }
        batch.withViews { model.addGradients($0, labels: labels, losses: losses, workspace) }
      }
    }
    for index in 0..<labels.count { tally.loss += losses[index] }
    tally.reviews += labels.count
    tally.tokens += batch.tokenCount
  }

  /// A pass forward over some reviews: writes the logits of review `r` at `logits + r · C`.
  func predict<Reviews: Collection<Int>>(
    _ reviews: Reviews, of data: EncodedReviews, into logits: UnsafeMutablePointer<Float>
  ) {
    fill(reviews, data)
    workspace.isTraining = false
    workspace.arena.reset()
    batch.withViews { views in
      let output = model.logits(views, workspace)
      for (row, review) in reviews.enumerated() {
        (logits + review * output.columns).update(from: output.row(row), count: output.columns)
      }
    }
  }

  func takeTally() -> Tally {
    defer { tally = Tally() }
    return tally
  }

  private func fill<Reviews: Collection<Int>>(_ reviews: Reviews, _ data: EncodedReviews) {
    batch.removeAll()
    data.ids.withUnsafeBufferPointer { ids in
      for review in reviews {
        batch.append(
          tokens: UnsafeBufferPointer(rebasing: ids[data.offsets[review]..<data.offsets[review + 1]]),
          secondSegmentStart: Int(data.secondSegmentStarts[review]),
          review: UInt32(truncatingIfNeeded: review))
      }
    }
  }
}
