package import BERT
internal import Datasets
internal import FineTuning
internal import Glibc
internal import Kernels
internal import Tensors

/// One thread's replica: a model over the shared parameters, memory of its own, and gradients of its own but for those
/// that a rank's workers compute together: of the encoder's matrices, and of fusions (`SharedFolds`).
package final class Worker {
  /// Its instance of the model.
  package let model: any TaskModel
  /// Its memory, and where its passes find parameters and put gradients.
  package let workspace: Workspace
  /// The sum of the gradients of this worker's reviews, in the layout of the trainable block.
  package let gradients: UnsafeMutableBufferPointer<Float>
  /// The sum of losses and the number of reviews and tokens since the last `takeTally`.
  private var tally = Tally()
  /// Told, on this worker's thread, of the stages of the passes that complete them.
  var completed: ((_ stage: Int) -> Void)?
  private let batch: TokenBatch
  /// What frozen layers make of reviews, where that is kept, and a batch of those of which it is not known.
  private let frozen: FrozenOutputs?
  private let unknown: TokenBatch
  /// The reviews in the batch: those that have something to read.
  private var batched: [Int] = []
  /// `[reads]`.
  private var labels: [Int32] = []
  private var losses: [Double] = []
  private var masked: [Int32] = []
  private var positions: [Int32] = []

  /// What passes have added up.
  package struct Tally: Sendable {
    /// The sum of losses.
    package var loss = 0.0
    /// How many reviews.
    package var reviews = 0
    /// How many tokens.
    package var tokens = 0
    /// Over how many losses a mean is taken: one for each review, or for each hidden token.
    package var targets = 0

    /// Adds what other passes have added up.
    static func += (total: inout Tally, other: Tally) {
      total.loss += other.loss
      total.reviews += other.reviews
      total.tokens += other.tokens
      total.targets += other.targets
    }
  }

  init(
    _ method: any FineTuningMethod, _ configuration: BERTConfiguration, _ store: ParameterStore, seed: UInt32,
    tokensPerPass: Int, trains: Bool, isFirst: Bool,
    frozen: FrozenOutputs?
  ) throws {
    model = method.taskModel(configuration, store.table)
    // A pass has no more, so a step like an earlier one allocates nothing.
    batch = TokenBatch(tokens: tokensPerPass)
    unknown = TokenBatch(tokens: frozen == nil ? 0 : tokensPerPass)
    self.frozen = frozen
    batched.reserveCapacity(tokensPerPass)
    labels.reserveCapacity(tokensPerPass)
    losses.reserveCapacity(tokensPerPass)
    masked.reserveCapacity(tokensPerPass)
    positions.reserveCapacity(tokensPerPass)
    // The encoder's matrices have gradients in the first worker's alone, which all compute together.
    gradients = try zeroedFloats(
      trains ? store.table.trainableCount : 0, isSparse: !isFirst && !JointGradients.ranges(of: model.encoder).isEmpty)
    let arena = try ActivationArena(
      capacity: model.arenaBytes(tokens: tokensPerPass, reviews: tokensPerPass, longest: tokensPerPass)
        + (frozen == nil ? 0 : 4 * tokensPerPass * configuration.hiddenSize))
    workspace = Workspace(
      parameters: store, gradients: trains ? gradients.baseAddress : nil, arena: arena, seed: seed)
  }

  deinit { free(gradients.baseAddress) }

  /// Has the gradients of the encoder's matrices added up with other workers.
  /// - Parameters:
  ///   - joint: All workers' way to them.
  ///   - worker: Which one this is.
  ///   - count: How many there are.
  /// - Throws: `Failure` when there is no room for two more arenas.
  func addsGradients(to joint: JointGradients, as worker: Int, of count: Int) throws {
    workspace.weightGradients = JointGradientsOfWorker(joint, worker: worker)
    if count == 1 { return }
    // A layer's backward takes less than a layer's share of a whole pass, and that twice is room enough.
    let bytes = 2 * workspace.arena.capacity / (model.configuration.layerCount + 2)
    workspace.spares = try (0..<2).map { _ in try ActivationArena(capacity: bytes) }
  }

  /// Has later passes add all their gradients elsewhere than in `gradients`.
  package func addsGradients(to values: UnsafeMutablePointer<Float>) {
    workspace.gradients = values
    workspace.weightGradients = nil
  }

  /// A pass over some reviews, forward and backward; `completed` is told of the stages of backward where that completes
  /// them.
  func addGradients<Reviews: Collection<Int>>(
    _ reviews: Reviews, of data: EncodedReviews, step: Int, completes: Bool = false
  ) {
    workspace.completed = completes ? completed : nil
    defer { workspace.completed = nil }
    tally.targets += fill(reviews, data)
    for review in reviews {
      tally.reviews += 1
      tally.tokens += data.tokenCount(review)
    }
    guard !batched.isEmpty else { return }
    while losses.count < labels.count { losses.append(0) }
    workspace.step = UInt32(truncatingIfNeeded: step)
    workspace.isTraining = true
    workspace.arena.reset()
    if let frozen { workspace.frozenOutput = frozenOutput(frozen, data) }
    defer { workspace.frozenOutput = nil }
    workspace.sentenceWeight = data.sentenceWeight
    labels.withUnsafeBufferPointer { labels in
      losses.withUnsafeMutableBufferPointer { losses in
        guard let labels = labels.baseAddress, let losses = losses.baseAddress else { return }
        batch.withViews { model.addGradients($0, labels: labels, losses: losses, workspace) }
      }
    }
    for index in 0..<labels.count { tally.loss += losses[index] }
  }

  /// What the frozen layers make of the batch: read where it is kept; else computed, without dropout, and kept.
  /// - Returns: As `BERTModel.frozenForward`.
  private func frozenOutput(_ kept: FrozenOutputs, _ data: EncodedReviews) -> Matrix {
    let output = workspace.arena.matrix(
      batched.reduce(0) { $0 + kept.rowCount($1) }, model.configuration.hiddenSize)
    var row = 0
    if kept.computesAlone {
      for index in batched.indices { row = fill(output, from: row, batched[index...index], kept, data) }
    } else {
      row = fill(output, from: row, batched[...], kept, data)
    }
    return output
  }

  /// Fills rows with what the frozen layers make of reviews; what is not known of them is computed together.
  /// - Returns: The row after them.
  private func fill(
    _ output: Matrix, from start: Int, _ reviews: ArraySlice<Int>, _ kept: FrozenOutputs, _ data: EncodedReviews
  ) -> Int {
    unknown.removeAll()
    data.ids.withUnsafeBufferPointer { ids in
      for review in reviews where !kept.has(review) {
        unknown.append(
          tokens: UnsafeBufferPointer(rebasing: ids[data.offsets[review]..<data.offsets[review + 1]]),
          secondSegmentStart: Int(data.secondSegmentStarts[review]), review: UInt32(truncatingIfNeeded: review))
      }
    }
    let mark = workspace.arena.mark
    defer { workspace.arena.rewind(to: mark) }
    var computed: Matrix?
    if unknown.reviewCount > 0 {
      workspace.isTraining = false
      computed = unknown.withViews { model.encoder.frozenForward($0, workspace) }
      workspace.isTraining = true
    }
    var (row, next) = (start, 0)
    for review in reviews {
      let part = output.rows(row..<row + kept.rowCount(review))
      row += part.rows
      if kept.read(review, into: part) { continue }
      if let computed { part.copy(from: computed.rows(next..<next + part.rows)) }
      next += part.rows
      kept.keep(review, part)
    }
    return row
  }

  /// A pass forward over some reviews: writes what the model says of review `r` at `output + r · outputCount`.
  package func evaluate<Reviews: Collection<Int>>(
    _ reviews: Reviews, of data: EncodedReviews, into output: UnsafeMutablePointer<Float>
  ) {
    _ = fill(reviews, data)
    let columns = model.outputCount
    guard !batched.isEmpty else { return }
    workspace.isTraining = false
    workspace.arena.reset()
    labels.withUnsafeBufferPointer { labels in
      guard let labels = labels.baseAddress else { return }
      batch.withViews { views in
        model.evaluate(views, labels: labels, into: { output + batched[$0] * columns }, workspace)
      }
    }
  }

  func takeTally() -> Tally {
    defer { tally = Tally() }
    return tally
  }

  /// Puts reviews into the batch, tokens hidden where that is what the data are for; a review of which nothing is read
  /// is left out.
  /// - Returns: Over how many losses a mean is taken.
  private func fill<Reviews: Collection<Int>>(_ reviews: Reviews, _ data: EncodedReviews) -> Int {
    batch.removeAll()
    batched.removeAll(keepingCapacity: true)
    labels.removeAll(keepingCapacity: true)
    return data.ids.withUnsafeBufferPointer { ids in
      var targets = 0
      for review in reviews {
        let tokens = UnsafeBufferPointer(rebasing: ids[data.offsets[review]..<data.offsets[review + 1]])
        let second = Int(data.secondSegmentStarts[review])
        let number = UInt32(truncatingIfNeeded: review)
        if let masking = data.masking {
          targets += hide(tokens, review, data, masking)
          guard !positions.isEmpty else { continue }
          masked.withUnsafeBufferPointer { tokens in
            positions.withUnsafeBufferPointer { reads in
              batch.append(tokens: tokens, secondSegmentStart: second, review: number, reads: reads)
            }
          }
        } else {
          batch.append(tokens: tokens, secondSegmentStart: second, review: number)
          labels.append(data.labels.isEmpty ? 0 : data.labels[review])
          targets += 1
        }
        batched.append(review)
      }
      return targets
    }
  }

  /// Fills `masked` and `positions`, and appends a label for each position.
  private func hide(
    _ tokens: UnsafeBufferPointer<Int32>, _ review: Int, _ data: EncodedReviews, _ masking: TokenMasking
  ) -> Int {
    masked.removeAll(keepingCapacity: true)
    masked.append(contentsOf: tokens)
    positions.removeAll(keepingCapacity: true)
    if !data.labels.isEmpty {
      positions.append(0)
      labels.append(data.labels[review])
    }
    var hidden = 0
    masking.hide(&masked, text: review) { position, id in
      positions.append(Int32(position))
      labels.append(id)
      hidden += 1
    }
    return hidden
  }
}
