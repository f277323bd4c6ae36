internal import Failures

/// Trains a WordPiece vocabulary: from single characters on, the two neighbouring pieces that stand together most often
/// become one, until there are as many pieces as are wanted.
///
/// Of equally frequent pairs the one of older pieces is taken, so the outcome depends on the words alone.
/// - SeeAlso: Schuster, Nakajima: *Japanese and Korean voice search*, 2012; Sennrich, Haddow, Birch: *Neural machine
///   translation of rare words with subword units*, 2016, §3.2. Pairs are chosen by frequency, as Hugging Face's trainer
///   does, and not by likelihood.
package struct WordPieceTrainer {
  /// What is wanted.
  package struct Options: Sendable {
    /// How many tokens the vocabulary is to have.
    package var size: Int
    /// Characters and pairs that stand less often are left alone.
    package var minimumFrequency = 2
    /// The special tokens, which come first.
    package var specialTokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]

    /// A vocabulary of so many tokens.
    package init(size: Int) { self.size = size }
  }

  /// A piece as code points; one that goes on a word does not have its "##".
  private struct Piece: Hashable {
    let scalars: [UInt32]
    let isContinuation: Bool

    var text: String {
      var text = isContinuation ? "##" : ""
      for scalar in scalars.compactMap(Unicode.Scalar.init) { text.unicodeScalars.append(scalar) }
      return text
    }

    /// By code point; the beginning of a word before its continuation.
    var order: UInt64 { UInt64(scalars[0]) << 1 | (isContinuation ? 1 : 0) }
  }

  private let options: Options
  private var pieces: [Piece] = []
  private var numbers: [Piece: Int32] = [:]
  /// The pieces of all words, end to end; a word has `lengths` of them from its start on.
  private var symbols: [Int32] = []
  private var starts: [Int] = []
  private var lengths: [Int32] = []
  private var frequencies: [Int] = []
  private var pairs = PairCounts()
  /// The characters that were too rare for the half of the vocabulary, the most frequent ones first.
  private var spare: [Piece] = []

  /// Trains a vocabulary.
  /// - Parameters:
  ///   - words: The words and how often they occur.
  ///   - options: What is wanted.
  ///   - progress: Told how many tokens there are.
  /// - Returns: The content of a vocab.txt; with fewer tokens than were wanted when nothing else is frequent
  ///   enough.
  /// - Throws: `Failure` of kind `usage` when special tokens and characters do not fit.
  package static func train(
    _ words: WordCounts, _ options: Options, progress: (Int) -> Void = { _ in }
  ) throws -> [UInt8] {
    var trainer = WordPieceTrainer(options)
    try trainer.takeAlphabet(words)
    trainer.takeWords(words)
    trainer.merge(progress)
    trainer.takeSpareCharacters()
    var bytes: [UInt8] = []
    for token in options.specialTokens + trainer.pieces.map(\.text) { bytes += Array(token.utf8) + [0x0A] }
    return bytes
  }

  private init(_ options: Options) { self.options = options }

  private var tokenCount: Int { options.specialTokens.count + pieces.count }

  /// Every character that is frequent enough, where it begins a word and where it goes on one; the most frequent ones
  /// where they would take more than half of the vocabulary.
  private mutating func takeAlphabet(_ words: WordCounts) throws {
    var seen: [Piece: Int] = [:]
    for word in 0..<words.count {
      for (place, scalar) in words[word].enumerated() {
        seen[Piece(scalars: [scalar], isContinuation: place > 0), default: 0] += words.counts[word]
      }
    }
    let room = (options.size - options.specialTokens.count) / 2
    guard room >= 1 else {
      throw Failure(
        .usage,
        "--size is \(options.size), and the special tokens alone take \(options.specialTokens.count); choose more.")
    }
    let frequent = seen.filter { $0.value >= options.minimumFrequency }.sorted {
      ($1.value, $0.key.order) < ($0.value, $1.key.order)
    }
    spare = frequent.dropFirst(room).map(\.key)
    for piece in frequent.prefix(room).map(\.key).sorted(by: { $0.order < $1.order }) { _ = number(piece) }
  }

  private mutating func number(_ piece: Piece) -> Int32 {
    if let known = numbers[piece] { return known }
    let number = Int32(pieces.count)
    pieces.append(piece)
    numbers[piece] = number
    return number
  }

  /// The words that have known characters only; no other word can ever be written with the vocabulary.
  private mutating func takeWords(_ words: WordCounts) {
    for word in 0..<words.count {
      let start = symbols.count
      for (place, scalar) in words[word].enumerated() {
        guard let number = numbers[Piece(scalars: [scalar], isContinuation: place > 0)] else { break }
        symbols.append(number)
      }
      guard symbols.count - start == words[word].count else {
        symbols.removeLast(symbols.count - start)
        continue
      }
      starts.append(start)
      lengths.append(Int32(symbols.count - start))
      frequencies.append(words.counts[word])
      for pair in adjacentPairs(starts.count - 1) {
        pairs.add(frequencies[starts.count - 1], to: pair)
        pairs.note(pair, in: Int32(starts.count - 1))
      }
    }
    pairs.settle()
  }

  private func adjacentPairs(_ word: Int) -> [UInt64] {
    let range = starts[word]..<starts[word] + Int(lengths[word])
    return zip(range.dropLast(), range.dropFirst()).map { PairCounts.key(symbols[$0], symbols[$1]) }
  }

  private mutating func merge(_ progress: (Int) -> Void) {
    while tokenCount < options.size, let best = pairs.takeMostFrequent(atLeast: options.minimumFrequency) {
      let (left, right) = PairCounts.members(best)
      let (first, second) = (pieces[Int(left)], pieces[Int(right)])
      let joined = number(Piece(scalars: first.scalars + second.scalars, isContinuation: first.isContinuation))
      for word in pairs.takeWords(of: best) { join(left, right, into: joined, in: Int(word)) }
      pairs.settle()
      progress(tokenCount)
    }
  }

  /// Where nothing is left to join, rarer characters take the room.
  private mutating func takeSpareCharacters() {
    for piece in spare.prefix(max(0, options.size - tokenCount)) { _ = number(piece) }
  }

  /// Replaces a pair by one piece within a word.
  private mutating func join(_ left: Int32, _ right: Int32, into joined: Int32, in word: Int) {
    let (start, length) = (starts[word], Int(lengths[word]))
    guard PairCounts.contains(left, right, in: symbols[start..<start + length]) else { return }
    for pair in adjacentPairs(word) { pairs.add(-frequencies[word], to: pair) }
    var (from, to) = (start, start)
    while from < start + length {
      if from + 1 < start + length, symbols[from] == left, symbols[from + 1] == right {
        symbols[to] = joined
        from += 2
      } else {
        symbols[to] = symbols[from]
        from += 1
      }
      to += 1
    }
    lengths[word] = Int32(to - start)
    for pair in adjacentPairs(word) {
      pairs.add(frequencies[word], to: pair)
      let members = PairCounts.members(pair)
      if members.left == joined || members.right == joined { pairs.note(pair, in: Int32(word)) }
    }
  }
}
