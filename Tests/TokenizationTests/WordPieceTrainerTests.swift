import Testing
import Tokenization

/// Training a vocabulary: an example that was worked out by hand, and what has to hold of every outcome.
@Suite
struct WordPieceTrainerTests {
  private static let special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]

  private func words(_ texts: [String]) -> WordCounts {
    var words = WordCounts(TokenizerSettings(lowercase: false))
    for text in texts { words.add(Array(text.utf8).span) }
    return words
  }

  private func train(_ texts: [String], size: Int, minimumFrequency: Int = 1) throws -> [String] {
    var options = WordPieceTrainer.Options(size: size)
    options.minimumFrequency = minimumFrequency
    let bytes = try WordPieceTrainer.train(words(texts), options)
    return String(decoding: bytes, as: UTF8.self).split(separator: "\n").map(String.init)
  }

  /// `hug` 10, `pug` 5, `pun` 12, `bun` 4, `hugs` 5. Pairs: h ##u 15, ##u ##g 20, p ##u 17, ##u ##n 16, b ##u 4,
  /// ##g ##s 5. So first ##ug; then h ##ug 15, p ##ug 5, ##ug ##s 5, p ##u 12, ##u ##n 16, b ##u 4: ##un; then
  /// h ##ug 15: hug; then p ##un 12: pun; then of hug ##s, p ##ug (5 each) the one whose pieces are older: p ##ug.
  /// b stands 4 times.
  @Test
  func workedExample() throws {
    let texts = [("hug", 10), ("pug", 5), ("pun", 12), ("bun", 4), ("hugs", 5)].flatMap {
      Array(repeating: $0.0, count: $0.1)
    }
    let alphabet = ["b", "##g", "h", "##n", "p", "##s", "##u"]
    let merged = ["##ug", "##un", "hug", "pun", "pug", "hugs", "bun"]
    #expect(try train(texts, size: 19) == Self.special + alphabet + merged)
    #expect(try train(texts, size: 50) == Self.special + alphabet + merged, "nothing is left to join")
    // Without b there is no bun: ##u ##n stands 12 times, as p ##u does, whose pieces are older, and after hug.
    #expect(
      try train(texts, size: 50, minimumFrequency: 5) == Self.special + alphabet[1...]
        + ["##ug", "hug", "pu", "pun", "pug", "hugs"])
  }

  /// A pair that overlaps itself is joined from the left.
  @Test
  func repeatedPairs() throws {
    let found = try train(Array(repeating: "xaaaa", count: 3), size: 11)
    #expect(found == Self.special + ["##a", "x", "##aa", "xaa", "xaaaa"])
  }

  private static let openings = [
    "재미있는 영화였다", "정말 지루하다.", "배우들의 연기가 좋았어요!", "음악이 나쁘지 않음", "다시 보고싶은 영화", "연출은 어색하네요...",
  ]
  private static let endings = ["최고", "별로", "그냥 그랬다", "추천합니다 ㅋㅋ", "잘 봤습니다"]
  private static let reviews: [String] = (0..<300).map { index -> String in
    "\(openings[index % 6]) \(endings[index % 5]) \(index % 17)"
  }

  @Test
  func exactSizeAndSameEveryTime() throws {
    let found = try train(Self.reviews, size: 110)
    #expect(found.count == 110)
    #expect(Set(found).count == 110)
    #expect(Array(found.prefix(5)) == Self.special)
    #expect(try train(Self.reviews.reversed(), size: 110) == found, "the order of the texts decides nothing")
  }

  /// Every word of the texts can be written, and its pieces put together are the word.
  @Test
  func everyWordIsKnown() throws {
    let tokens = try train(Self.reviews, size: 400)
    let bytes = Array((tokens.joined(separator: "\n") + "\n").utf8)
    let tokenizer = try WordPieceTokenizer(
      Vocabulary(bytes, file: "trained"), TokenizerSettings(lowercase: false))
    let splitter = WordSplitter(TokenizerSettings(lowercase: false))
    for text in Self.reviews {
      var ids: [Int32] = []
      tokenizer.encode(Array(text.utf8).span, maxLength: 128, to: &ids)
      #expect(!ids.contains(tokenizer.unknownID), "\(text)")
      var expected: [String] = []
      splitter.forEachWord(of: Array(text.utf8).span) { word in
        var string = ""
        for i in word.indices { Unicode.Scalar(word[i]).map { string.unicodeScalars.append($0) } }
        expected.append(string)
      }
      var found: [String] = []
      for token in ids.dropFirst().dropLast().compactMap(tokenizer.vocabulary.token) {
        if token.hasPrefix("##") { found[found.count - 1] += token.dropFirst(2) } else { found.append(token) }
      }
      #expect(found == expected)
    }
  }

  /// Characters take at most half of the room at first, the most frequent ones; what is rarer than wanted is left alone.
  @Test
  func alphabet() throws {
    let found = try train(["aa aa aa b b c"], size: 9)
    #expect(found == Self.special + ["a", "##a", "aa", "b"], "b takes the room that nothing is left to fill")
    let rare = try train(["aa aa aa b b c"], size: 50, minimumFrequency: 2)
    #expect(rare == Self.special + ["a", "##a", "b", "aa"])
    #expect(throws: (any Error).self) { try train(["a"], size: 6) }
  }
}
