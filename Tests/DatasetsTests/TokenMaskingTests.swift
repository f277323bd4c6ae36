import Datasets
import Testing

/// Which tokens are hidden: the shares, what is never hidden, and that nothing but seed, epoch and text decides.
@Suite
struct TokenMaskingTests {
  /// Ids 0…4 are special, 4 the mask; odd ids from 51 on go on a word.
  private static let tokens = TokenMasking.Tokens(count: 100, mask: 4, special: [0, 1, 2, 3, 4]) {
    $0 > 50 && $0 % 2 == 1
  }
  private static let text: [Int32] = [2] + (0..<60).map { Int32(5 + ($0 * 37) % 95) } + [1, 3]

  private func hidden(
    _ masking: TokenMasking, _ text: [Int32] = text, number: Int
  ) -> (ids: [Int32], positions: [Int], labels: [Int32]) {
    var (ids, positions, labels): ([Int32], [Int], [Int32]) = (text, [], [])
    masking.hide(&ids, text: number) {
      positions.append($0)
      labels.append($1)
    }
    return (ids, positions, labels)
  }

  /// Of 60,000 candidates 15 % ± 5σ are hidden; of these 80 % become the mask, and about 10 % stay.
  @Test
  func shares() {
    let masking = TokenMasking(Self.tokens, .tokens, seed: 1)
    var (count, masks, kept, candidates) = (0, 0, 0, 0)
    for number in 0..<1000 {
      let found = hidden(masking, number: number)
      candidates += 60
      count += found.positions.count
      for (position, label) in zip(found.positions, found.labels) {
        #expect(label == Self.text[position])
        masks += found.ids[position] == 4 ? 1 : 0
        kept += found.ids[position] == label ? 1 : 0
      }
      for position in Self.text.indices where !found.positions.contains(position) {
        #expect(found.ids[position] == Self.text[position])
      }
    }
    func deviation(_ n: Int, _ p: Double) -> Double { 5 * (Double(n) * p * (1 - p)).squareRoot() }
    #expect(abs(Double(count) - 0.15 * Double(candidates)) < deviation(candidates, 0.15))
    // One in a hundred random tokens is the mask or the token itself.
    #expect(abs(Double(masks) - 0.801 * Double(count)) < deviation(count, 0.801))
    #expect(abs(Double(kept) - 0.101 * Double(count)) < deviation(count, 0.101))
  }

  @Test
  func specialTokensStay() {
    let masking = TokenMasking(Self.tokens, .tokens, probability: 0.999, seed: 1)
    for number in 0..<50 {
      let positions = hidden(masking, number: number).positions
      #expect(!positions.contains(0) && !positions.contains(61) && !positions.contains(62))
      #expect(positions.count > 50)
    }
  }

  @Test
  func aFunctionOfSeedEpochAndText() {
    func positions(seed: UInt32, epoch: Int, number: Int) -> [Int] {
      var masking = TokenMasking(Self.tokens, .tokens, seed: seed)
      masking.epoch = epoch
      return hidden(masking, number: number).positions
    }
    let one = positions(seed: 1, epoch: 0, number: 7)
    #expect(one == positions(seed: 1, epoch: 0, number: 7))
    #expect(one != positions(seed: 2, epoch: 0, number: 7))
    #expect(one != positions(seed: 1, epoch: 1, number: 7))
    #expect(one != positions(seed: 1, epoch: 0, number: 8))
  }

  /// Words are hidden whole, no more than the budget, and at least one token where a word fits.
  @Test
  func wholeWords() {
    let masking = TokenMasking(Self.tokens, .words, seed: 3)
    let budget = 9  // 63 · 0.15 rounded
    for number in 0..<200 {
      let positions = Set(hidden(masking, number: number).positions)
      #expect(!positions.isEmpty && positions.count <= budget)
      for position in 2..<61 where Self.text[position] > 50 && Self.text[position] % 2 == 1 {
        #expect(positions.contains(position) == positions.contains(position - 1), "a word is cut at \(position)")
      }
    }
    // A text of one word of one token hides it; a word that is too long for the budget is passed over.
    #expect(hidden(masking, [2, 10, 3], number: 0).positions == [1])
    #expect(hidden(masking, [2, 10, 51, 3], number: 0).positions.isEmpty)
  }

  /// The rule beside the published base: in row r position i is hidden when (i + r) mod 7 is 3, first and last left out.
  @Test
  func heldOut() {
    let masking = TokenMasking(Self.tokens, .heldOut, seed: 9)
    let text: [Int32] = [2] + (10..<24).map { Int32($0) } + [3]
    let first = hidden(masking, text, number: 0)
    #expect(first.positions == [3, 10])
    #expect(first.labels == [12, 19])
    #expect(first.ids[3] == 4 && first.ids[10] == 4)
    #expect(hidden(masking, text, number: 4).positions == [6, 13])
    #expect(masking.count(text[...], text: 4) == 2)
  }
}
