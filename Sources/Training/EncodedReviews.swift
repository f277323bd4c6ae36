package import Collectives
package import Datasets
package import Tokenization

/// A data set as token ids: reviews end to end, with labels. The same on every rank.
package struct EncodedReviews: Sendable {
  /// Token ids of all reviews, one after another.
  package let ids: [Int32]
  /// `[count + 1]`: the ids of review `r` are `offsets[r]..<offsets[r + 1]`.
  package let offsets: [Int]
  /// `[count]`: where the second text's tokens begin; the review's length when there is none.
  package let secondSegmentStarts: [Int32]
  /// `[count]`: classes; for pairs of sentences 0 where the second follows the first, 1 where it does not; empty when
  /// there are none.
  package let labels: [Int32]
  /// What hides tokens, whose names are then what is to be learnt; nil in classification.
  package var masking: TokenMasking?
  /// What the loss of a sentence pair counts beside that of a hidden token.
  package var sentenceWeight: Float = 1

  /// How many losses some reviews have: hidden tokens, or classes.
  package func targetCount(_ reviews: some Collection<Int>) -> Int {
    guard let masking else { return reviews.count }
    return reviews.reduce(0) { $0 + masking.count(ids[offsets[$1]..<offsets[$1 + 1]], text: $1) }
  }

  /// How many reviews there are.
  package var count: Int { offsets.count - 1 }
  /// How many tokens a review has.
  package func tokenCount(_ review: Int) -> Int { offsets[review + 1] - offsets[review] }
  /// How many tokens there are in all.
  package var tokenCount: Int { ids.count }

  /// Lets all sentence pairs of some reviews count as much as all their hidden tokens, where there are both.
  package mutating func weighSentences(of reviews: some Collection<Int>) {
    guard masking != nil, !labels.isEmpty else { return }
    sentenceWeight = Float(targetCount(reviews)) / Float(max(1, reviews.count))
  }

  /// Reviews whose ids are known already.
  package init(reviews: [[Int32]], secondSegmentStarts: [Int32]? = nil, labels: [Int32]) {
    ids = reviews.flatMap { $0 }
    var offsets = [0]
    for review in reviews { offsets.append(offsets[offsets.count - 1] + review.count) }
    self.offsets = offsets
    self.secondSegmentStarts = secondSegmentStarts ?? reviews.map { Int32($0.count) }
    self.labels = labels
  }

  /// Encodes a data set: each rank a part of the rows, shared out over its workers; then all ranks have all.
  /// - Parameters:
  ///   - dataset: The texts.
  ///   - tokenizer: The base's tokenizer.
  ///   - maxLength: The longest review, in tokens.
  ///   - communicator: The ranks that share the work.
  ///   - pool: This rank's workers.
  /// - Throws: `Failure` when ranks cannot talk.
  package init(
    _ dataset: Dataset, _ tokenizer: WordPieceTokenizer, maxLength: Int, _ communicator: Communicator,
    _ pool: WorkerPool
  ) throws {
    let pieceCount = communicator.size * pool.count
    let pieces = UnsafeMutableBufferPointer<EncodedPiece>.allocate(capacity: pool.count)
    defer { pieces.deinitialize().deallocate() }
    pieces.initialize(repeating: EncodedPiece())
    // Each worker writes its own element.
    nonisolated(unsafe) let own = pieces
    pool.run { worker in
      let piece = communicator.rank * pool.count + worker
      let rows = dataset.count * piece / pieceCount..<dataset.count * (piece + 1) / pieceCount
      own[worker] = EncodedPiece(dataset, rows, tokenizer, maxLength: maxLength)
    }
    let gathered = (
      ids: try communicator.allGather(pieces.flatMap(\.ids)),
      lengths: try communicator.allGather(pieces.flatMap(\.lengths)),
      seconds: try communicator.allGather(pieces.flatMap(\.secondSegmentStarts))
    )
    ids = gathered.ids.flatMap { $0 }
    var offsets = [0]
    offsets.reserveCapacity(dataset.count + 1)
    for length in gathered.lengths.joined() { offsets.append(offsets[offsets.count - 1] + Int(length)) }
    self.offsets = offsets
    secondSegmentStarts = gathered.seconds.flatMap { $0 }
    labels = dataset.labels
  }
}

/// The rows that one worker encodes.
private struct EncodedPiece: Sendable {
  var ids: [Int32] = []
  var lengths: [Int32] = []
  var secondSegmentStarts: [Int32] = []

  init() {}

  init(_ dataset: Dataset, _ rows: Range<Int>, _ tokenizer: WordPieceTokenizer, maxLength: Int) {
    lengths.reserveCapacity(rows.count)
    var types: [Int32] = []
    for row in rows {
      let start = ids.count
      if dataset.hasTextPairs {
        types.removeAll(keepingCapacity: true)
        dataset.withText(row) { first in
          dataset.withTextPair(row) { second in
            // Only truncation that one text alone may bear can fail; longest-first never does.
            try? tokenizer.encode(
              first.span, second.span, maxLength: maxLength, to: &ids, tokenTypeIDs: &types)
          }
        }
        secondSegmentStarts.append(Int32(types.prefix { $0 == 0 }.count))
      } else {
        dataset.withText(row) { tokenizer.encode($0.span, maxLength: maxLength, to: &ids) }
        secondSegmentStarts.append(Int32(ids.count - start))
      }
      lengths.append(Int32(ids.count - start))
    }
  }
}
