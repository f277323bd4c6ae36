import Failures
import Testing
import Tokenization

/// Words to pieces, and pieces to sequences.
@Suite struct WordPieceTests {
  static let tokens = [
    "un", "##aff", "##able", "##a", "a", "unaff", "b", "!", "가", "##가", "##나", "hello", "##",
  ]

  func ids(_ text: String, maxLength: Int = .max) throws -> [Int32] {
    try tokenizer(Self.tokens).encode(text, maxLength: maxLength)
  }

  @Test func longestPieceFirst() throws {
    // "unaff" wins over "un" + "##aff"; "##able" over "##a".
    #expect(try ids("unaffable") == [2, 10, 7, 3])
    #expect(try ids("una") == [2, 5, 8, 3])
    #expect(try ids("가나가") == [2, 13, 15, 14, 3])
  }

  @Test func aWordThatIsNotCoveredIsOneUnknown() throws {
    #expect(try ids("b unaffx a") == [2, 11, 1, 9, 3])
    // No way back: "unaff" is taken, though "un" + "##affx…" might have gone on.
    #expect(try ids("나가") == [2, 1, 3])
    #expect(try ids("hello\u{301}") == [2, 1, 3])
  }

  @Test func punctuationIsAWord() throws {
    #expect(try ids("a!b") == [2, 9, 12, 11, 3])
    // "#" parts words, so that no text reaches the pieces by their names.
    #expect(try ids("##a") == [2, 1, 1, 9, 3])
    #expect(try ids("") == [2, 3])
  }

  @Test func theLimitIs100CodePointsAfterNormalisation() throws {
    let settings = TokenizerSettings()
    let jamo = try tokenizer(["\u{1100}", "##\u{1100}", "##\u{1161}", "a", "##a"], settings)
    #expect(jamo.encode(String(repeating: "a", count: 100)).count == 102)
    #expect(jamo.encode(String(repeating: "a", count: 101)) == [2, 1, 3])
    // 50 syllables are 100 letters; accents do not count, being dropped; four-byte letters count once.
    #expect(jamo.encode(String(repeating: "가", count: 50)).count == 102)
    #expect(jamo.encode(String(repeating: "가", count: 51)) == [2, 1, 3])
    #expect(jamo.encode(String(repeating: "á", count: 100)).count == 102)
    let emoji = try tokenizer(["😀", "##😀"])
    #expect(emoji.encode(String(repeating: "😀", count: 100)).count == 102)
    #expect(emoji.encode(String(repeating: "😀", count: 101)) == [2, 1, 3])
  }

  @Test func specialTokensAreCutOutOfTheRawText() throws {
    #expect(try ids("a[SEP]b [MASK]가[CLS][PAD] [UNK]") == [2, 9, 3, 11, 4, 13, 2, 0, 1, 3])
    // Only in their exact spelling.
    #expect(try ids("[SEP") == [2, 1, 1, 3])
    #expect(try ids("[S\u{200B}EP]") == [2, 1, 1, 1, 3])
    let lower = try tokenizer(["mask", "[", "]"], TokenizerSettings())
    #expect(lower.encode("[mask][MASK]") == [2, 6, 5, 7, 4, 3])
  }

  @Test func theLongestAddedTokenAtTheLeftmostPlaceCounts() throws {
    let settings = TokenizerSettings(lowercase: false, additionalTokens: ["<e>", "<e>x", "가나"])
    let tokenizer = try tokenizer(["<e>", "<e>x", "가나", "a", "가"], settings)
    #expect(tokenizer.encode("a<e>x<e>a가나가") == [2, 8, 6, 5, 8, 7, 9, 3])
    #expect(tokenizer.specialIDs == [0, 1, 2, 3, 4, 5, 6, 7])
  }

  @Test func customSpecialTokens() throws {
    let settings = TokenizerSettings(
      lowercase: false, unknownToken: "<unk>", classifierToken: "<s>", separatorToken: "</s>",
      paddingToken: "<pad>", maskToken: "<mask>")
    let words = try vocabulary(["a", "<pad>", "</s>", "<s>", "<unk>"])
    let tokenizer = try WordPieceTokenizer(words, settings)
    #expect(tokenizer.encode("a</s>b [SEP]") == [3, 0, 2, 4, 4, 4, 4, 2])
    #expect(tokenizer.paddingID == 1)
    #expect(tokenizer.maskID == nil)
    #expect(tokenizer.specialIDs == [1, 2, 3, 4])
    expectFailure(.badContent, "vocab.txt", "<mask>") { _ = try tokenizer.requireMaskID() }
  }

  @Test(arguments: ["[UNK]", "[CLS]", "[SEP]", "[PAD]"])
  func missingSpecialTokenIsNamed(_ token: String) throws {
    let words = try vocabulary(specialTokens.filter { $0 != token } + ["a"])
    expectFailure(.badContent, "vocab.txt", token) { _ = try WordPieceTokenizer(words) }
  }

  @Test func maskMayBeMissing() throws {
    let tokenizer = try WordPieceTokenizer(vocabulary(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a"]))
    #expect(tokenizer.encode("a [MASK]") == [2, 4, 1, 1, 1, 3])
    expectFailure(.badContent, "vocab.txt", "[MASK]") { _ = try tokenizer.requireMaskID() }
    #expect(try WordPieceTokenizer(vocabulary(specialTokens)).requireMaskID() == 4)
  }

  @Test func theLastOfEqualTokensCounts() throws {
    #expect(try tokenizer(["a", "b", "a"]).encode("a b") == [2, 7, 6, 3])
  }

  /// Swift's `String` would take both for one token.
  @Test func spellingsAreKeptApart() throws {
    let tokenizer = try tokenizer(["\u{E9}", "e\u{301}", "\u{212B}", "\u{C5}"])
    #expect(tokenizer.encode("e\u{301} \u{E9} \u{C5} \u{212B}") == [2, 6, 5, 8, 7, 3])
  }

  @Test func manyPieces() throws {
    let pieces = (0..<5000).flatMap { number -> [String] in ["t\(number)", "##\(number)t"] }
    let tokenizer = try tokenizer(pieces)
    for number in stride(from: 0, to: 5000, by: 37) {
      let id = Int32(5 + 2 * number)
      #expect(tokenizer.encode("t\(number)") == [2, id, 3])
    }
    #expect(tokenizer.encode("t4999123t") == [2, 10003, 252, 3])
  }

  @Test func manyThreadsAtOnce() async throws {
    let tokenizer = try tokenizer(Self.tokens)
    let text = String(repeating: "unaffable 가나 hello! x ", count: 50)
    let expected = tokenizer.encode(text)
    await withTaskGroup(of: Bool.self) { group in
      for _ in 0..<8 {
        group.addTask { (0..<100).allSatisfy { _ in tokenizer.encode(text) == expected } }
      }
      for await isRight in group { #expect(isRight) }
    }
  }
}

/// Cutting texts to a length.
@Suite struct TruncationTests {
  static let letters = (0..<26).map { String(UnicodeScalar(UInt8(97 + $0))) }

  func text(_ count: Int) -> String { (0..<count).map { Self.letters[$0 % 26] }.joined(separator: " ") }

  @Test(arguments: [2, 3, 4, 7, 12, 13, 100])
  func aTextIsCutFromTheRight(_ maxLength: Int) throws {
    let tokenizer = try tokenizer(Self.letters)
    let expected = [2] + (5..<15).prefix(maxLength - 2).map(Int32.init) + [3]
    #expect(tokenizer.encode(text(10), maxLength: maxLength) == expected)
  }

  @Test func theCutMayGoThroughAWord() throws {
    let tokenizer = try tokenizer(["a", "##b", "##c"])
    #expect(tokenizer.encode("abc abc", maxLength: 4) == [2, 5, 6, 3])
    // A word that turns out to be unknown is unknown, however early the cut.
    #expect(tokenizer.encode("abcx abc", maxLength: 4) == [2, 1, 5, 3])
  }

  @Test func theFrameIsThereWhateverTheLength() throws {
    let tokenizer = try tokenizer(["a"])
    #expect(tokenizer.encode("a", maxLength: 0) == [2, 3])
    #expect(tokenizer.encode("a", maxLength: -1) == [2, 3])
    #expect(try tokenizer.encode("a", "a", maxLength: 0).ids == [2, 3, 3])
  }

  @Test func appendingLeavesWhatIsThere() throws {
    let tokenizer = try tokenizer(["a", "b"])
    var ids: [Int32] = [9, 9]
    tokenizer.encode(Array("a b a".utf8).span, maxLength: 4, to: &ids)
    tokenizer.appendTokens(of: Array("b b b".utf8).span, to: &ids, limit: 2)
    tokenizer.appendTokens(of: Array("b".utf8).span, to: &ids, limit: 0)
    #expect(ids == [9, 9, 2, 5, 6, 3, 6, 6])
  }

  /// Lengths of both texts, room for both, and what stays of each when the longer gives way.
  static let shares: [(Int, Int, Int, Int, Int)] = [
    (3, 4, 7, 3, 4), (3, 4, 6, 3, 3), (4, 3, 6, 3, 3), (3, 9, 6, 3, 3), (9, 3, 6, 3, 3), (2, 9, 6, 2, 4),
    (9, 2, 6, 4, 2), (9, 8, 7, 4, 3), (8, 9, 7, 3, 4), (9, 9, 7, 3, 4), (5, 9, 7, 3, 4), (9, 5, 7, 4, 3),
    (0, 9, 5, 0, 5), (9, 0, 5, 5, 0), (9, 9, 0, 0, 0), (9, 9, 1, 0, 1),
  ]

  @Test(arguments: shares)
  func longestFirst(_ first: Int, _ second: Int, room: Int, keptFirst: Int, keptSecond: Int) throws {
    let tokenizer = try tokenizer(Self.letters)
    let (ids, types) = try tokenizer.encode(text(first), text(second), maxLength: room + 3)
    let a = (5..<31).prefix(keptFirst).map(Int32.init)
    let b = (5..<31).prefix(keptSecond).map(Int32.init)
    #expect(ids == [2] + a + [3] + b + [3])
    #expect(types == Array(repeating: 0, count: keptFirst + 2) + Array(repeating: 1, count: keptSecond + 1))
  }

  @Test func onlyOneGivesWay() throws {
    let tokenizer = try tokenizer(Self.letters)
    let first = try tokenizer.encode(text(5), text(3), maxLength: 8, truncation: .onlyFirst)
    #expect(first.ids == [2, 5, 6, 3, 5, 6, 7, 3])
    #expect(first.tokenTypeIDs == [0, 0, 0, 0, 1, 1, 1, 1])
    let second = try tokenizer.encode(text(3), text(5), maxLength: 8, truncation: .onlySecond)
    #expect(second.ids == [2, 5, 6, 7, 3, 5, 6, 3])
    #expect(try tokenizer.encode(text(2), text(2), maxLength: 7, truncation: .onlyFirst).ids.count == 7)
  }

  @Test func tooShortToGiveWay() throws {
    let tokenizer = try tokenizer(Self.letters)
    // Three have to go and there are three: the library refuses that too.
    expectFailure(.badContent, "3", "5", "only_first") {
      _ = try tokenizer.encode(text(3), text(5), maxLength: 8, truncation: .onlyFirst)
    }
    expectFailure(.badContent, "only_second") {
      _ = try tokenizer.encode(text(5), text(3), maxLength: 8, truncation: .onlySecond)
    }
    var ids: [Int32] = [7]
    var types: [Int32] = [7]
    expectFailure(.badContent) {
      try tokenizer.encode(
        Array("a".utf8).span, Array("b".utf8).span, maxLength: 4, truncation: .onlyFirst, to: &ids,
        tokenTypeIDs: &types)
    }
    #expect(ids == [7])
    #expect(types == [7])
  }
}
