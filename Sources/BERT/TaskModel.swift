internal import Tensors

/// BERT with the head of a task: one worker's instance, over parameters that all workers share.
///
/// What the head reads are the batch's reads; each of them has a label and a loss.
package protocol TaskModel: AnyObject {
  /// The model's shape.
  var configuration: BERTConfiguration { get }
  /// The encoder.
  var encoder: BERTModel { get }
  /// Every linear map that a fine-tuning method can name, the encoder's first.
  var projections: [Projection] { get }
  /// To be called when branches have been attached: finds out how far down backward has to go.
  func branchesWereAttached()
  /// One pass forward and backward: adds the gradient of the *sum* of all losses to the workspace's gradients.
  /// - Parameters:
  ///   - batch: The reviews.
  ///   - labels: `[reads]`.
  ///   - losses: `[reads]`, receives each read's cross-entropy.
  ///   - workspace: Parameters, where gradients go, memory, dropout.
  func addGradients(
    _ batch: BatchViews, labels: UnsafePointer<Int32>, losses: UnsafeMutablePointer<Double>,
    _ workspace: Workspace)
  /// How many numbers `evaluate` gives for a review.
  var outputCount: Int { get }
  /// One pass forward.
  /// - Parameters:
  ///   - batch: The reviews.
  ///   - labels: `[reads]`.
  ///   - output: Where the numbers of the batch's n-th review go, `[outputCount]`.
  ///   - workspace: Parameters, memory.
  func evaluate(
    _ batch: BatchViews, labels: UnsafePointer<Int32>, into output: (Int) -> UnsafeMutablePointer<Float>,
    _ workspace: Workspace)
  /// How many bytes of arena the head takes at most for so many reads, beside what a layer does.
  func headBytes(reads: Int) -> Int
}

extension TaskModel {
  /// Nothing worth counting.
  package func headBytes(reads: Int) -> Int { 0 }

  /// How many bytes of arena a training pass over `tokens` tokens takes at least, whatever its reviews: what the trained
  /// layers but the last keep for backward, and every layer's output.
  package func leastArenaBytes(tokens: Int) -> Int {
    let c = configuration
    let kept = encoder.layers.indices.dropLast().filter { $0 >= encoder.lowestTrainable }
      .reduce(0) { total, index in
        let keepsActivated = encoder.layers[index].outputDense.isTrainable
        return total + 7 * c.hiddenSize + (keepsActivated ? 2 : 1) * c.intermediateSize
      }
    return 4 * tokens * (kept + c.layerCount * c.hiddenSize)
  }

  /// How many bytes of arena a pass over `tokens` tokens of `reviews` reviews takes at most, for reservation.
  package func arenaBytes(tokens: Int, reviews: Int, longest: Int) -> Int {
    let c = configuration
    let perToken = 24 * c.hiddenSize + 5 * c.intermediateSize
    let masks = (3 * (c.hiddenSize + 128) + 16 * c.hiddenSize) / 4
    let prefix = encoder.layers.map { $0.attentionPrefix?.length ?? 0 }.max() ?? 0
    let attention = c.attentionHeadCount * (longest + prefix + 128) * 5 / 4 + 2 * 128
    let backward = 16 * c.hiddenSize + 3 * c.intermediateSize + longest
    let ends = encoder.layers.flatMap(\.blockOutputs)
    let branches =
      ends.reduce(encoder.embeddings.branch?.floatsPerRow ?? 0) { $0 + ($1.branch?.floatsPerRow ?? 0) }
      + projections.reduce(0) { $0 + ($1.branch?.floatsPerRow ?? 0) }
    let floats = (tokens + 64) * ((perToken + masks + attention) * (c.layerCount + 2) + backward + branches)
    // A review has at least a token, and its prefix is copied for it in each layer and once more in backward.
    let prefixes = prefix * c.hiddenSize * (2 * min(reviews, tokens) + 16) * (c.layerCount + 2)
    return 4 * (floats + prefixes) + reviews * (c.hiddenSize * 64) + headBytes(reads: tokens) + (1 << 22)
  }
}
