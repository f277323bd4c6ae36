package import BERT
package import Collectives
internal import Console
internal import Failures
package import FineTuning
package import Tensors

/// What the frozen layers below everything that is trained make of each training review (`--cache-frozen`): computed the
/// first time, without dropout, and kept.
///
/// The ranks of a node keep it together, in shared memory, because in the next epoch a review lands on any of them. A
/// review that moves to another node is computed once more there. In an epoch one worker of all ranks has a review, and
/// between its steps in two epochs lie the sums of a step, so what was written is there to be read.
package final class FrozenOutputs {
  /// How many reviews there is room for: the first ones.
  package let reviewCount: Int
  /// How many reviews there are.
  let totalCount: Int
  /// How many layers are frozen from the embeddings up.
  let layerCount: Int
  /// Whether a review is computed alone, so that what is kept of it does not hang on what it first came with.
  let computesAlone: Bool
  /// How many bytes are kept in all, on each node.
  package var bytes: Int { 4 * window.count }

  /// What there is room in, as a person calls it.
  private let limit: String
  private let window: SharedWindow<Float>
  private let columns: Int
  /// `[reviews + 1]`: where a review's rows begin.
  private let rows: [Int]

  /// Room for the outputs of reviews.
  /// - Parameters:
  ///   - method: How the base is fine-tuned.
  ///   - configuration: The base's shape.
  ///   - data: The reviews.
  ///   - computesAlone: Whether a review is computed alone, for bits that are the same in every run.
  ///   - availableBytes: How much may be kept; half of what the node with the least has free when left out.
  ///   - sharedBytes: What shared memory has room for; asked of the system unless a test says otherwise.
  ///   - communicator: All ranks; each node's ranks share.
  /// - Throws: `Failure` when nothing is frozen below what is trained, or there is no memory.
  package init(
    _ method: any FineTuningMethod, _ configuration: BERTConfiguration, _ data: EncodedReviews,
    computesAlone: Bool = false, availableBytes: Int? = nil, sharedBytes: Int? = nil, _ communicator: Communicator
  ) throws {
    self.computesAlone = computesAlone
    layerCount = try FrozenOutputs.layerCount(method, configuration)
    columns = configuration.hiddenSize
    totalCount = data.count
    // Of the last layer the head reads one row a review.
    let isWhole = layerCount == configuration.layerCount
    rows = isWhole ? Array(0...data.count) : data.offsets
    let own = availableBytes.map { ($0, "what was given") } ?? FrozenOutputs.availableBytes(communicator)
    limit = own.1
    let most = try communicator.minimum(of: own.0) / 4
    // A review costs its rows, and a number that says whether they are there.
    let (width, rows) = (columns, rows)
    var count = data.count
    while count > 0, count + rows[count] * width > most { count -= 1 }
    var window = try SharedWindow<Float>(
      count: max(1, count + rows[count] * width), on: communicator, availableBytes: sharedBytes)
    if window.note != nil {
      // Rather none than a copy for each rank, which would see few reviews again; on all nodes, since all ranks make the
      // next window together.
      try window.free()
      (window, count) = (try SharedWindow<Float>(count: 1, on: communicator), 0)
    }
    (self.window, reviewCount) = (window, count)
  }

  /// How many layers are frozen from the embeddings up.
  /// - Throws: `Failure` of kind `usage` when it is none.
  package static func layerCount(_ method: any FineTuningMethod, _ configuration: BERTConfiguration) throws -> Int {
    let model = method.taskModel(configuration, try method.table(for: configuration))
    let count = model.encoder.lowestTrainable
    guard count > 0 else {
      throw Failure(
        .usage,
        "--cache-frozen needs layers that are frozen below everything that is trained, and \(method.name) trains \(count < 0 ? "the embeddings" : "layer 0"); leave it out, or train upper layers alone (linear-probe, --lora-layers, --adapter-leave-out)."
      )
    }
    return count
  }

  /// Half of what is free, of shared memory three quarters: MPI has notes of its own there.
  private static func availableBytes(_ communicator: Communicator) -> (bytes: Int, limit: String) {
    let free = availableMemory / 2
    guard communicator.localSize > 1 else { return (free, "half of the free memory") }
    let directory = SharedMemory.directory
    let shared = SharedMemory.available(in: directory, ranks: communicator.localSize) / 4 * 3
    return shared < free
      ? (shared, "what there is of shared memory (\(directory); in a container --shm-size)")
      : (free, "half of the free memory")
  }

  /// How many rows a review has.
  func rowCount(_ review: Int) -> Int { rows[review + 1] - rows[review] }

  /// Whether a review's rows are there.
  package func has(_ review: Int) -> Bool { review < reviewCount && window.places[review] != 0 }

  /// A review's rows, where there is room for them.
  private func matrix(_ review: Int) -> Matrix? {
    guard review < reviewCount, let start = window.places.baseAddress else { return nil }
    return Matrix(start + reviewCount + rows[review] * columns, rows: rowCount(review), columns: columns)
  }

  /// A review's rows, one after another; none where they are not there.
  package func values(_ review: Int) -> [Float] {
    guard has(review), let kept = matrix(review) else { return [] }
    return Array(UnsafeBufferPointer(start: kept.base, count: kept.rows * columns))
  }

  /// Copies a review's rows.
  /// - Returns: Whether they are there.
  func read(_ review: Int, into target: Matrix) -> Bool {
    guard has(review), let kept = matrix(review) else { return false }
    target.copy(from: kept)
    return true
  }

  /// Keeps a review's rows, where there is room for them.
  package func keep(_ review: Int, _ values: Matrix) {
    guard let place = matrix(review) else { return }
    place.copy(from: values)
    window.places[review] = 1
  }

  /// Gives the memory back; collective.
  package func free() throws { try window.free() }

  /// What is kept, in words.
  var summary: String {
    let layers = layerCount == 1 ? "layer 0" : "layers 0 to \(layerCount - 1)"
    let part =
      reviewCount == totalCount
      ? "every review"
      : "\(Format.count(reviewCount)) of \(Format.count(totalCount)) reviews, which take \(limit)"
    return "frozen: embeddings and \(layers), without dropout; output kept for \(part), \(Format.bytes(bytes)) a node"
  }
}
