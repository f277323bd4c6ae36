internal import Randomness

/// Which tokens of a text masked-language modelling hides, and behind what: a pure function of seed, epoch and text.
///
/// 80 % of them become the mask, 10 % a random token, which may be a special one, and 10 % stay; special tokens are
/// never hidden, but for `Rule.heldOut`, which goes by positions alone.
/// - SeeAlso: Devlin et al.: *BERT*, 2019, §3.1; Liu et al.: *RoBERTa*, 2019, §4.1, for other masks in each epoch.
package struct TokenMasking: Sendable {
  /// What masking has to know of the tokens.
  package struct Tokens: Sendable {
    /// The id of the mask.
    let mask: Int32
    /// Of each id: whether it is special, and whether it goes on a word.
    fileprivate let isSpecial: [Bool]
    fileprivate let isContinuation: [Bool]

    /// - Parameters:
    ///   - count: How many ids there are.
    ///   - mask: The id of the mask.
    ///   - special: The ids of special tokens.
    ///   - isContinuation: Whether a token goes on a word.
    package init(count: Int, mask: Int32, special: [Int32], isContinuation: (Int32) -> Bool) {
      self.mask = mask
      var flags = [Bool](repeating: false, count: count)
      for id in special { flags[Int(id)] = true }
      isSpecial = flags
      self.isContinuation = (0..<Int32(count)).map(isContinuation)
    }

    /// How many ids there are.
    var count: Int { isSpecial.count }
  }

  /// Which tokens are hidden.
  package enum Rule: Sendable, Equatable {
    /// Each with the same probability.
    case tokens
    /// Whole words until as large a share is reached: words in random order, each as long as it fits.
    case words
    /// Those at every seventh position, all behind the mask, the same for any seed: what held-out texts are measured on.
    /// In text r, counted from 0, position i is hidden when (i + r) mod 7 is 3.
    case heldOut
  }

  private let tokens: Tokens
  private let rule: Rule
  private let probability: Double
  private let generator: Philox
  /// The epoch, from 0.
  package var epoch = 0

  /// Masking of texts made of some tokens.
  /// - Parameters:
  ///   - tokens: The tokens.
  ///   - rule: Which are hidden.
  ///   - probability: How large a share.
  ///   - seed: The run's seed.
  package init(_ tokens: Tokens, _ rule: Rule, probability: Double = 0.15, seed: UInt32) {
    self.tokens = tokens
    self.rule = rule
    self.probability = probability
    generator = Philox(seed: seed, purpose: .masking)
  }

  /// Hides tokens of a text.
  /// - Parameters:
  ///   - ids: The text with its special tokens; hidden ones are replaced.
  ///   - text: Its number.
  ///   - hidden: Told of each hidden token where it is and what it was, in the order of positions.
  package func hide(_ ids: inout [Int32], text: Int, _ hidden: (_ position: Int, _ id: Int32) -> Void) {
    switch rule {
    case .tokens:
      for position in ids.indices where !isSpecial(ids[position]) {
        let words = words(text, position)
        guard TokenMasking.fraction(words.0) < probability else { continue }
        hidden(position, ids[position])
        replace(&ids[position], words)
      }
    case .words:
      for position in wordPositions(ids, text) {
        hidden(position, ids[position])
        replace(&ids[position], words(text, position))
      }
    case .heldOut:
      // Without the first and the last token, which are special.
      for position in 1..<max(1, ids.count - 1) where (position + text) % 7 == 3 {
        hidden(position, ids[position])
        ids[position] = tokens.mask
      }
    }
  }

  /// How many tokens of a text are hidden.
  package func count(_ ids: ArraySlice<Int32>, text: Int) -> Int {
    var (copy, count) = (Array(ids), 0)
    hide(&copy, text: text) { _, _ in count += 1 }
    return count
  }

  private func isSpecial(_ id: Int32) -> Bool { tokens.isSpecial[Int(id)] }

  private func words(_ text: Int, _ position: Int) -> (UInt32, UInt32, UInt32, UInt32) {
    generator.words(UInt32(truncatingIfNeeded: position), UInt32(truncatingIfNeeded: text), UInt32(epoch))
  }

  private static func fraction(_ word: UInt32) -> Double { Double(word) * 0x1p-32 }

  private func replace(_ id: inout Int32, _ words: (UInt32, UInt32, UInt32, UInt32)) {
    let place = TokenMasking.fraction(words.1)
    if place < 0.8 {
      id = tokens.mask
    } else if place < 0.9 {
      let wide = UInt64(words.2) << 32 | UInt64(words.3)
      id = Int32(wide.multipliedFullWidth(by: UInt64(tokens.count)).high)
    }
  }

  /// The positions of words drawn in random order, each if it still fits, as Transformers' `DataCollatorForWholeWordMask`
  /// draws them, but that special tokens are no words; in rising order.
  private func wordPositions(_ ids: [Int32], _ text: Int) -> [Int] {
    let words = wordRanges(ids)
    let keys = words.map { word in
      // Other numbers than those that decide about a token's replacement.
      let w = generator.words(UInt32(word.lowerBound), UInt32(truncatingIfNeeded: text), UInt32(epoch), 1)
      return UInt64(w.0) << 32 | UInt64(w.1)
    }
    let budget = min(512, max(1, Int((Double(ids.count) * probability).rounded(.toNearestOrEven))))
    var positions: [Int] = []
    for word in words.indices.sorted(by: { (keys[$0], $0) < (keys[$1], $1) }) {
      if positions.count + words[word].count <= budget { positions += words[word] }
    }
    return positions.sorted()
  }

  /// Where each word's tokens lie.
  private func wordRanges(_ ids: [Int32]) -> [Range<Int>] {
    var ranges: [Range<Int>] = []
    for position in ids.indices where !isSpecial(ids[position]) {
      if let last = ranges.last, last.upperBound == position, tokens.isContinuation[Int(ids[position])] {
        ranges[ranges.count - 1] = last.lowerBound..<position + 1
      } else {
        ranges.append(position..<position + 1)
      }
    }
    return ranges
  }
}
