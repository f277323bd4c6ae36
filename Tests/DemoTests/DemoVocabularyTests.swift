import Demo
import Testing

@Suite struct DemoVocabularyTests {
  static let entries = Set(DemoVocabulary.entries)

  /// Greedy longest-match pieces of a word, or nil when WordPiece would give `[UNK]`.
  static func pieces(_ word: Substring) -> [String]? {
    var pieces: [String] = []
    var rest = word.unicodeScalars[...]
    while !rest.isEmpty {
      let prefix = pieces.isEmpty ? "" : "##"
      guard
        let length = (1...rest.count).last(where: { entries.contains(prefix + String(rest.prefix($0))) })
      else { return nil }
      pieces.append(prefix + String(rest.prefix(length)))
      rest = rest.dropFirst(length)
    }
    return pieces
  }

  /// Words and punctuation marks, as BERT splits them.
  static func words(_ text: String) -> [Substring] {
    text.split(separator: " ").flatMap { chunk -> [Substring] in
      var words: [Substring] = []
      var start = chunk.startIndex
      for index in chunk.indices where ".!?~".contains(chunk[index]) {
        if start < index { words.append(chunk[start..<index]) }
        words.append(chunk[index...index])
        start = chunk.index(after: index)
      }
      if start < chunk.endIndex { words.append(chunk[start...]) }
      return words
    }
  }

  @Test func beginsWithTheSpecialTokensAndRepeatsNothing() {
    #expect(DemoVocabulary.entries.prefix(5).elementsEqual(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]))
    #expect(Self.entries.count == DemoVocabulary.entries.count)
    #expect(DemoVocabulary.entries.count < 1200)
    #expect(!DemoVocabulary.entries.contains { $0.isEmpty || $0 == "##" || $0.contains(" ") })
  }

  @Test func theFileHasOneEntryPerLine() {
    let lines = DemoVocabulary.fileContent.split(separator: "\n", omittingEmptySubsequences: false)
    #expect(lines.dropLast().elementsEqual(DemoVocabulary.entries.map { $0[...] }) && lines.last == "")
  }

  /// Misspellings and forgotten spaces included.
  @Test(arguments: 1...4 as ClosedRange<UInt32>) func noTextHasAnUnknownWord(_ seed: UInt32) {
    let (train, test) = DemoCorpus.generate(seed: seed)
    let texts = (train + test).map(\.text) + DemoCorpus.unlabelled(seed: seed, count: 3000)
    for word in texts.flatMap(Self.words) { #expect(Self.pieces(word) != nil, "\(word)") }
  }

  /// Every syllable of every text may begin a word and go on with one, so that no seed can bring an unknown word.
  @Test func everySyllableIsThereInBothForms() {
    let texts = DemoCorpus.unlabelled(seed: 11, count: 10_000)
    for scalar in Set(texts.joined().unicodeScalars) where scalar.properties.isAlphabetic {
      #expect(Self.entries.contains(String(scalar)) && Self.entries.contains("##\(scalar)"), "\(scalar)")
    }
  }

  @Test func commonWordsAreFewPieces() {
    #expect(Self.pieces("지루했다") == ["지루", "##했", "##다"])
    #expect(Self.pieces("이야기가") == ["이야기", "##가"])
    #expect(Self.pieces("재미없었어요") == ["재미없", "##었", "##어요"])
    let words = DemoCorpus.generate().train.flatMap { Self.words($0.text) }
    let pieceCount = words.reduce(0) { $0 + (Self.pieces($1)?.count ?? 100) }
    #expect(Double(pieceCount) / Double(words.count) < 2.2)
  }
}
