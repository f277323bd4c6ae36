import Datasets
import Randomness
import Testing

/// A step made up for a test.
struct Case {
  let reviews: [Int]
  let tokens: [Int]
  let parts: Int

  /// Case `number` of a fixed series, with many equal and some extreme token counts.
  init(_ number: Int) {
    let generator = Philox(seed: UInt32(number), purpose: .test)
    let count = generator.index(below: 70, 0)
    let spread = [1, 4, 40, 126, 510][generator.index(below: 5, 1)]
    reviews = (0..<count).map { $0 * 3 + 1 }
    tokens = (0..<3 * count + 1).map { 2 + generator.index(below: spread, 3, UInt32($0)) }
    parts = 1 + generator.index(below: 9, 2)
  }

  func shared(_ reviews: [Int], cost: ReviewCost = ReviewCost(linearCost: 1792)) -> ShareOut {
    var shareOut = ShareOut(cost: cost)
    shareOut.share(reviews[...], over: parts) { tokens[$0] }
    return shareOut
  }
}

@Suite struct ShareOutTests {
  @Test func costIsTheModelsShareOfWork() {
    // 4H² + 2H·I weights and 2H·S of attention per token, over 2H.
    let cost = ReviewCost(hiddenSize: 256, intermediateSize: 1024)
    for tokens in [1, 37, 128] {
      let work = tokens * (4 * 256 * 256 + 2 * 256 * 1024 + 2 * 256 * tokens)
      #expect(cost(tokens: tokens) * 2 * 256 == work)
    }
  }

  @Test(arguments: 0..<300) func everyReviewGoesToExactlyOnePart(_ number: Int) {
    let step = Case(number)
    let shareOut = step.shared(step.reviews)
    #expect(shareOut.partCount == step.parts)
    #expect((0..<step.parts).flatMap { Array(shareOut.part($0)) }.sorted() == step.reviews)
  }

  /// Graham's bounds: `mean + (1 − 1/parts) · dearest`, and parts differ by no more than the dearest review.
  @Test(arguments: 0..<300) func costsBalance(_ number: Int) {
    let step = Case(number)
    let cost = ReviewCost(linearCost: 200)
    let shareOut = step.shared(step.reviews, cost: cost)
    let costs = (0..<step.parts).map { part in
      shareOut.part(part).reduce(0) { $0 + cost(tokens: step.tokens[$1]) }
    }
    #expect(costs == (0..<step.parts).map(shareOut.cost(ofPart:)))
    let dearest = step.reviews.map { cost(tokens: step.tokens[$0]) }.max() ?? 0
    let most = costs.max() ?? 0
    #expect(step.parts * most <= costs.reduce(0, +) + (step.parts - 1) * dearest)
    #expect(most - (costs.min() ?? 0) <= dearest)
  }

  @Test func theBestSharingIsFoundWhereGreedFindsIt() {
    var shareOut = ShareOut(cost: ReviewCost(linearCost: 0))
    let tokens = [2, 9, 4, 5, 1]  // squares 4, 81, 16, 25, 1
    shareOut.share([0, 1, 2, 3, 4][...], over: 2) { tokens[$0] }
    #expect(Array(shareOut.part(0)) == [1] && Array(shareOut.part(1)) == [3, 2, 0, 4])
    shareOut.share([4, 2][...], over: 3) { tokens[$0] }
    #expect(Array(shareOut.part(0)) == [2] && Array(shareOut.part(1)) == [4] && shareOut.part(2).isEmpty)
    shareOut.share([0, 3][...], over: 2) { _ in 7 }
    #expect(Array(shareOut.part(0)) == [0] && Array(shareOut.part(1)) == [3], "ties go by number")
    shareOut.share([], over: 2) { _ in 7 }
    #expect(shareOut.part(0).isEmpty && shareOut.part(1).isEmpty)
  }

  /// The order in which reviews come does not matter, nor what was shared out before.
  @Test(arguments: 0..<100) func onlyTheSetOfReviewsCounts(_ number: Int) {
    let step = Case(number)
    let expected = step.shared(step.reviews)
    let order = Permutation(
      count: step.reviews.count, generator: Philox(seed: UInt32(number), purpose: .test), variant: 1)
    var reused = Case(number + 1).shared(Case(number + 1).reviews)
    reused.share(step.reviews.indices.map { step.reviews[order[$0]] }[...], over: step.parts) {
      step.tokens[$0]
    }
    for part in 0..<step.parts { #expect(expected.part(part) == reused.part(part)) }
  }

  @Test(arguments: 0..<100) func microBatchesCutAPartInOrder(_ number: Int) {
    let step = Case(number)
    let shareOut = step.shared(step.reviews)
    for maxTokens in [0, 1, 64, 128, 4096] {
      for part in 0..<step.parts {
        let pieces = Array(shareOut.microBatches(ofPart: part, maxTokens: maxTokens))
        #expect(pieces.flatMap { Array($0) } == Array(shareOut.part(part)))
        let sizes = pieces.map { $0.reduce(0) { $0 + step.tokens[$1] } }
        for (piece, size) in zip(pieces, sizes) { #expect(size <= maxTokens || piece.count == 1) }
        for (size, next) in zip(sizes, pieces.dropFirst()) {
          #expect(size + step.tokens[next[next.startIndex]] > maxTokens, "the next review would have fitted")
        }
      }
    }
  }

  @Test func aLargeShareOutIsOrdered() {
    let generator = Philox(seed: 1, purpose: .test)
    let tokens = (0..<50_000).map { 2 + generator.index(below: 126, UInt32($0)) }
    var shareOut = ShareOut(cost: ReviewCost(hiddenSize: 256, intermediateSize: 1024))
    shareOut.share(Array(0..<50_000)[...], over: 4) { tokens[$0] }
    let costs = (0..<4).map(shareOut.cost(ofPart:))
    #expect(Double(costs.max() ?? 0) / Double(costs.min() ?? 1) < 1.0001)
    for part in 0..<4 {
      let sizes = shareOut.part(part).map { tokens[$0] }
      #expect(zip(sizes, sizes.dropFirst()).allSatisfy { $0 >= $1 })
    }
  }
}
