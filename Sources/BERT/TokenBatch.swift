/// Which tokens the rows of an activation are: reviews lie end to end, no padding anywhere.
package struct Rows: BitwiseCopyable, @unchecked Sendable {
  /// How many rows.
  package let count: Int
  /// How many reviews.
  package let reviewCount: Int
  /// `[reviewCount + 1]`: the rows of review `b` are `offsets[b]..<offsets[b + 1]`.
  package let offsets: UnsafePointer<Int32>
  /// `[count]`: the position of each row's token within its review.
  package let positions: UnsafePointer<Int32>
  /// `[count]`: which review of the data set each row belongs to, for what is random.
  package let reviews: UnsafePointer<UInt32>

  /// The rows of a review.
  func range(_ review: Int) -> Range<Int> { Int(offsets[review])..<Int(offsets[review + 1]) }
}

/// The reviews of one pass through the model, end to end, and which of their rows the head reads.
///
/// Its memory is reused from pass to pass; it grows to the largest pass and stays.
package final class TokenBatch {
  private var ids: [Int32] = []
  private var types: [Int32] = []
  private var positions: [Int32] = []
  private var rowReviews: [UInt32] = []
  private var offsets: [Int32] = [0]
  private var readIndices: [Int32] = []
  private var readPositions: [Int32] = []
  private var readReviews: [UInt32] = []
  private var readOffsets: [Int32] = [0]

  /// A batch without reviews, with room for so many tokens.
  package init(tokens: Int = 0) {
    ids.reserveCapacity(tokens)
    types.reserveCapacity(tokens)
    positions.reserveCapacity(tokens)
    rowReviews.reserveCapacity(tokens)
    offsets.reserveCapacity(tokens + 1)
    readIndices.reserveCapacity(tokens)
    readPositions.reserveCapacity(tokens)
    readReviews.reserveCapacity(tokens)
    readOffsets.reserveCapacity(tokens + 1)
  }

  /// How many reviews it holds.
  package var reviewCount: Int { offsets.count - 1 }
  /// How many tokens it holds.
  package var tokenCount: Int { ids.count }

  /// Takes every review out.
  package func removeAll() {
    ids.removeAll(keepingCapacity: true)
    types.removeAll(keepingCapacity: true)
    positions.removeAll(keepingCapacity: true)
    rowReviews.removeAll(keepingCapacity: true)
    readIndices.removeAll(keepingCapacity: true)
    readPositions.removeAll(keepingCapacity: true)
    readReviews.removeAll(keepingCapacity: true)
    offsets.removeAll(keepingCapacity: true)
    readOffsets.removeAll(keepingCapacity: true)
    offsets.append(0)
    readOffsets.append(0)
  }

  /// Appends a review.
  /// - Parameters:
  ///   - tokens: Its token ids, `[CLS]` first.
  ///   - secondSegmentStart: Where the tokens of type 1 begin; the length when there is no second segment.
  ///   - review: Its number in the data set: what its random numbers are keyed by.
  ///   - reads: Which positions the head reads; `[CLS]` alone when left out.
  package func append(
    tokens: UnsafeBufferPointer<Int32>, secondSegmentStart: Int, review: UInt32,
    reads: UnsafeBufferPointer<Int32>? = nil
  ) {
    precondition(!tokens.isEmpty, "a review has at least one token")
    let start = Int32(ids.count)
    for (position, id) in tokens.enumerated() {
      ids.append(id)
      types.append(position < secondSegmentStart ? 0 : 1)
      positions.append(Int32(position))
      rowReviews.append(review)
    }
    offsets.append(Int32(ids.count))
    if let reads {
      for position in reads { appendRead(position, start, review) }
    } else {
      appendRead(0, start, review)
    }
    readOffsets.append(Int32(readIndices.count))
  }

  private func appendRead(_ position: Int32, _ start: Int32, _ review: UInt32) {
    readIndices.append(start + position)
    readPositions.append(position)
    readReviews.append(review)
  }

  /// Calls `body` with views of the batch that are valid until it returns.
  package func withViews<R>(_ body: (BatchViews) throws -> R) rethrows -> R {
    try ids.withUnsafeBufferPointer { ids in
      try types.withUnsafeBufferPointer { types in
        try readIndices.withUnsafeBufferPointer { indices in
          try withRows(offsets, positions, rowReviews) { tokens in
            try withRows(readOffsets, readPositions, readReviews) { reads in
              guard let ids = ids.baseAddress, let types = types.baseAddress,
                let indices = indices.baseAddress
              else { preconditionFailure("a pass needs a review") }
              return try body(
                BatchViews(ids: ids, types: types, tokens: tokens, reads: reads, readIndices: indices))
            }
          }
        }
      }
    }
  }

  private func withRows<R>(
    _ offsets: [Int32], _ positions: [Int32], _ reviews: [UInt32], _ body: (Rows) throws -> R
  ) rethrows -> R {
    try offsets.withUnsafeBufferPointer { offsets in
      try positions.withUnsafeBufferPointer { positions in
        try reviews.withUnsafeBufferPointer { reviews in
          guard let o = offsets.baseAddress, let p = positions.baseAddress, let r = reviews.baseAddress
          else { preconditionFailure("a pass needs a row to read") }
          return try body(
            Rows(
              count: positions.count, reviewCount: offsets.count - 1, offsets: o, positions: p, reviews: r))
        }
      }
    }
  }
}

/// Views of a batch during a pass.
package struct BatchViews: BitwiseCopyable {
  /// `[tokens]`: token ids.
  package let ids: UnsafePointer<Int32>
  /// `[tokens]`: token types.
  package let types: UnsafePointer<Int32>
  /// Every token.
  package let tokens: Rows
  /// The rows that the head reads: `[CLS]` of each review, in classification.
  package let reads: Rows
  /// `[reads]`: which row of `tokens` each of them is.
  package let readIndices: UnsafePointer<Int32>
}
