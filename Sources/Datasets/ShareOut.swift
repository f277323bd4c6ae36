/// What a review costs, relative to others: `tokens · (linearCost + tokens)`.
///
/// Per layer and token a forward pass multiplies 4H² + 2H·I weights and, in attention, 2H per token of the review; so
/// with everything divided by 2H the cost is `tokens · (2H + I + tokens)`. Whole numbers: every rank gets the same sums.
package struct ReviewCost: Sendable, Equatable {
  /// The cost of a token apart from attention, in units of what attending to one token costs.
  package let linearCost: Int

  /// The cost for a linear part given outright.
  package init(linearCost: Int) {
    precondition(linearCost >= 0, "a negative cost")
    self.linearCost = linearCost
  }

  /// The cost for a model's shape.
  package init(hiddenSize: Int, intermediateSize: Int) {
    self.init(linearCost: 2 * hiddenSize + intermediateSize)
  }

  /// The cost of a review.
  package func callAsFunction(tokens: Int) -> Int { tokens * (linearCost + tokens) }
}

/// Shares the reviews of a step out over ranks, or a rank's reviews over its workers, so that costs balance.
///
/// Longest processing time first: from the dearest review on, each goes to the part with the least cost so far (the
/// first of equals; of reviews with equal token counts the one with the smaller number goes first). The outcome depends
/// on the set of reviews, their token counts and the number of parts, and on nothing else. No part costs more than
/// `mean + (1 − 1/parts) · dearest review`, nor more than 4/3 of what the best sharing's dearest part costs. Buffers
/// are kept: a step like an earlier one allocates nothing.
///
/// - SeeAlso: Graham: *Bounds on multiprocessing timing anomalies*, SIAM J. Appl. Math. 17, 1969.
package struct ShareOut: Sendable {
  private let cost: ReviewCost
  private var sorted: [UInt64] = []
  private var partOf: [Int32] = []
  private var members: [Int] = []
  private var memberTokens: [Int32] = []
  private var bounds: [Int] = [0]
  private var costs: [Int] = []

  /// Room for sharing by a cost.
  package init(cost: ReviewCost) { self.cost = cost }

  /// How many parts there are.
  package var partCount: Int { costs.count }
  /// The reviews of a part, dearest first; may be empty.
  package func part(_ part: Int) -> ArraySlice<Int> { members[bounds[part]..<bounds[part + 1]] }
  /// The cost of a part.
  package func cost(ofPart part: Int) -> Int { costs[part] }

  /// Shares reviews out.
  /// - Parameters:
  ///   - reviews: The reviews, each once, below 2⁴⁰.
  ///   - partCount: Over how many parts.
  ///   - tokenCount: The number of tokens of a review, below 2²⁴.
  package mutating func share(
    _ reviews: ArraySlice<Int>, over partCount: Int, tokenCount: (_ review: Int) -> Int
  ) {
    precondition(partCount > 0, "there must be at least one part")
    sorted.removeAll(keepingCapacity: true)
    for review in reviews {
      let tokens = tokenCount(review)
      precondition(
        tokens >= 0 && tokens < 1 << 24 && review >= 0 && review < 1 << 40, "a review out of bounds")
      // Ascending keys: most tokens first, then the smallest review.
      sorted.append(UInt64(1 << 24 - 1 - tokens) << 40 | UInt64(review))
    }
    heapSort(&sorted)
    assignParts(partCount)
    groupByPart(partCount)
  }

  private mutating func assignParts(_ partCount: Int) {
    costs.removeAll(keepingCapacity: true)
    for _ in 0..<partCount { costs.append(0) }
    partOf.removeAll(keepingCapacity: true)
    for key in sorted {
      var cheapest = 0
      for part in 1..<max(partCount, 1) where costs[part] < costs[cheapest] { cheapest = part }
      costs[cheapest] += cost(tokens: ShareOut.tokens(of: key))
      partOf.append(Int32(cheapest))
    }
  }

  private mutating func groupByPart(_ partCount: Int) {
    members.removeAll(keepingCapacity: true)
    memberTokens.removeAll(keepingCapacity: true)
    bounds.removeAll(keepingCapacity: true)
    bounds.append(0)
    for part in 0..<partCount {
      for index in sorted.indices where partOf[index] == part {
        members.append(Int(sorted[index] & (1 << 40 - 1)))
        memberTokens.append(Int32(ShareOut.tokens(of: sorted[index])))
      }
      bounds.append(members.count)
    }
  }

  private static func tokens(of key: UInt64) -> Int { 1 << 24 - 1 - Int(key >> 40) }
}

// MARK: Micro-batches

extension ShareOut {
  /// A part cut into pieces, in order, each of at most `maxTokens` tokens; a review that has more is a piece alone.
  package func microBatches(ofPart part: Int, maxTokens: Int) -> MicroBatches {
    MicroBatches(
      reviews: members[bounds[part]..<bounds[part + 1]],
      tokens: memberTokens[bounds[part]..<bounds[part + 1]],
      maxTokens: maxTokens)
  }

  /// The pieces of a part.
  package struct MicroBatches: Sequence, IteratorProtocol {
    private let reviews: ArraySlice<Int>
    private let tokens: ArraySlice<Int32>
    private let maxTokens: Int
    private var position: Int

    fileprivate init(reviews: ArraySlice<Int>, tokens: ArraySlice<Int32>, maxTokens: Int) {
      self.reviews = reviews
      self.tokens = tokens
      self.maxTokens = maxTokens
      position = reviews.startIndex
    }

    /// The reviews of the next piece.
    package mutating func next() -> ArraySlice<Int>? {
      guard position < reviews.endIndex else { return nil }
      let start = position
      var total = 0
      repeat {
        total += Int(tokens[position])
        position += 1
      } while position < reviews.endIndex && total + Int(tokens[position]) <= maxTokens
      return reviews[start..<position]
    }
  }
}
