import Testing
import Tokenization

/// A text and its words where case and accents are kept, and where they are not.
struct WordSample: Sendable, CustomTestStringConvertible {
  let text: String
  let cased: [String]
  let uncased: [String]

  init(_ text: String, _ cased: [String], uncased: [String]? = nil) {
    self.text = text
    self.cased = cased
    self.uncased = uncased ?? cased
  }

  var testDescription: String {
    text.unicodeScalars.map { String($0.value, radix: 16) }.joined(separator: " ")
  }
}

/// How text becomes words: the rules one by one.
@Suite struct WordSplitterTests {
  static let cleaning = [
    WordSample("", []),
    WordSample(" \t\r\n ", []),
    WordSample("a\u{0}b\u{FFFD}c", ["abc"]),
    WordSample("a\u{7}b\u{B}c\u{C}d\u{1F}e\u{7F}f\u{85}g\u{9F}h", ["abcdefgh"]),
    WordSample("あ\u{200B}い\u{200D}う\u{FEFF}え\u{AD}お\u{2060}か", ["あいうえおか"]),
    WordSample("\u{E000}\u{F0000}\u{10FFFD}", []),
    // Unassigned code points stay.
    WordSample("a\u{378}b", ["a\u{378}b"]),
    WordSample("a\tb\nc\rd e", ["a", "b", "c", "d", "e"]),
    WordSample(
      "a\u{A0}b\u{1680}c\u{2003}d\u{2028}e\u{2029}f\u{202F}g\u{3000}h",
      ["a", "b", "c", "d", "e", "f", "g", "h"]),
    // Hangul fillers are letters, not spaces.
    WordSample("a\u{3164}b", ["a\u{3164}b"]),
  ]

  static let isolation = [
    WordSample("ab漢字cd", ["ab", "漢", "字", "cd"]),
    WordSample("\u{3400}\u{4DBF}\u{20000}\u{2B920}", ["\u{3400}", "\u{4DBF}", "\u{20000}", "\u{2B920}"]),
    WordSample(
      "\u{4DC0}\u{A000}\u{2B820}\u{2B91F}\u{30000}", ["\u{4DC0}\u{A000}\u{2B820}\u{2B91F}\u{30000}"]),
    WordSample("アイひら", ["アイひら"]),
    // A compatibility ideograph is isolated first, then decomposed.
    WordSample("a\u{F900}b", ["a", "\u{F900}", "b"], uncased: ["a", "\u{8C48}", "b"]),
    // An accent behind an ideograph or punctuation begins a word.
    WordSample("漢\u{301}b!\u{301}", ["漢", "\u{301}b", "!", "\u{301}"], uncased: ["漢", "b", "!"]),
    WordSample("don't!?", ["don", "'", "t", "!", "?"]),
    WordSample("$+<=>^`|~_", ["$", "+", "<", "=", ">", "^", "`", "|", "~", "_"]),
    WordSample("a€b°c×d™e★f♥g😀h", ["a€b°c×d™e★f♥g😀h"]),
    WordSample(
      "“a”…b—c·d、e。f！g", ["“", "a", "”", "…", "b", "—", "c", "·", "d", "、", "e", "。", "f", "！", "g"]),
    // Punctuation of newer Unicode versions than the library's is not punctuation.
    WordSample("a\u{2E43}b\u{1144B}c", ["a\u{2E43}b\u{1144B}c"]),
    // What decomposes to punctuation is punctuation: Greek question mark, not-equal sign, angle bracket.
    WordSample("a\u{37E}b", ["a", "\u{37E}", "b"], uncased: ["a", ";", "b"]),
    WordSample("a\u{2260}b", ["a\u{2260}b"], uncased: ["a", "=", "b"]),
    WordSample("a\u{2329}b", ["a", "\u{2329}", "b"], uncased: ["a", "\u{3008}", "b"]),
  ]

  static let letters = [
    WordSample("ÀÉÎõü Ç", ["ÀÉÎõü", "Ç"], uncased: ["aeiou", "c"]),
    WordSample("e\u{301}a\u{301}\u{302}", ["e\u{301}a\u{301}\u{302}"], uncased: ["ea"]),
    WordSample("\u{301}", ["\u{301}"], uncased: []),
    WordSample("HELLO ŁÓDŹ", ["HELLO", "ŁÓDŹ"], uncased: ["hello", "łodz"]),
    // No rule for a final sigma; a dotted capital I is a plain one with an accent.
    WordSample("ΣΑΣ", ["ΣΑΣ"], uncased: ["σασ"]),
    WordSample("İI", ["İI"], uncased: ["ii"]),
    WordSample("ẞ ß \u{212A} \u{212B}", ["ẞ", "ß", "\u{212A}", "\u{212B}"], uncased: ["ß", "ß", "k", "a"]),
    WordSample("ǅ Ⅷ ﬁ", ["ǅ", "Ⅷ", "ﬁ"], uncased: ["ǆ", "ⅷ", "ﬁ"]),
    // Hangul is never composed, and comes apart into its letters where accents go.
    WordSample("가각", ["가각"], uncased: ["\u{1100}\u{1161}\u{1100}\u{1161}\u{11A8}"]),
    WordSample("힣", ["힣"], uncased: ["\u{1112}\u{1175}\u{11C2}"]),
    WordSample("\u{1100}\u{1161}", ["\u{1100}\u{1161}"]),
    WordSample("か\u{3099}が", ["か\u{3099}が"], uncased: ["かか"]),
    WordSample("\u{9CB}", ["\u{9CB}"], uncased: ["\u{9C7}\u{9BE}"]),
  ]

  /// Combining classes: 9 for U+1B44, 216 for U+1D165, 224 for U+302E and U+302F, 226 for U+1D16D.
  static let ordering = [
    WordSample("가\u{302E}\u{1B44}", ["가\u{302E}\u{1B44}"], uncased: ["\u{1100}\u{1161}\u{1B44}\u{302E}"]),
    WordSample(
      "a\u{1D16D}\u{302E}\u{1D165}\u{1B44}", ["a\u{1D16D}\u{302E}\u{1D165}\u{1B44}"],
      uncased: ["a\u{1B44}\u{1D165}\u{302E}\u{1D16D}"]),
    // Equal classes keep their order.
    WordSample("a\u{302F}\u{302E}", ["a\u{302F}\u{302E}"]),
    // A dropped accent between them does not matter, a dropped joiner (class 0) does, a control never.
    WordSample("a\u{302E}\u{301}\u{1B44}", ["a\u{302E}\u{301}\u{1B44}"], uncased: ["a\u{1B44}\u{302E}"]),
    WordSample("a\u{302E}\u{34F}\u{1B44}", ["a\u{302E}\u{34F}\u{1B44}"], uncased: ["a\u{302E}\u{1B44}"]),
    WordSample("a\u{302E}\u{200D}\u{1B44}", ["a\u{302E}\u{1B44}"], uncased: ["a\u{1B44}\u{302E}"]),
    WordSample("a\u{302E} \u{1B44}", ["a\u{302E}", "\u{1B44}"]),
    WordSample("!\u{302E}\u{1B44}", ["!", "\u{302E}\u{1B44}"], uncased: ["!", "\u{1B44}\u{302E}"]),
    // A musical note comes apart into a head and a stem, and the stem is ordered with what follows.
    WordSample("\u{1D15E}\u{1B44}", ["\u{1D15E}\u{1B44}"], uncased: ["\u{1D157}\u{1B44}\u{1D165}"]),
  ]

  @Test(arguments: cleaning + isolation + letters + ordering)
  func splits(_ sample: WordSample) {
    let cased = TokenizerSettings(lowercase: false)
    #expect(codePoints(words(sample.text, cased)) == codePoints(sample.cased))
    #expect(codePoints(words(sample.text, TokenizerSettings())) == codePoints(sample.uncased))
  }

  @Test func accentsGoWithoutLowerCase() {
    let settings = TokenizerSettings(lowercase: false, stripAccents: true)
    #expect(codePoints(words("ÉCOLE İ Å", settings)) == codePoints(["ECOLE", "I", "A"]))
  }

  @Test func lowerCaseComesWithoutAccentsGoing() {
    let settings = TokenizerSettings(lowercase: true, stripAccents: false)
    #expect(codePoints(words("École 가 İ", settings)) == codePoints(["\u{E9}cole", "가", "i\u{307}"]))
    #expect(codePoints(words("a\u{302E}\u{1B44}", settings)) == codePoints(["a\u{302E}\u{1B44}"]))
  }

  @Test func ideographsStayTogetherOnRequest() {
    let settings = TokenizerSettings(lowercase: false, tokenizeChineseChars: false)
    #expect(words("ab漢字cd、e", settings) == ["ab漢字cd", "、", "e"])
  }

  @Test func specialTokensPartWords() {
    let settings = TokenizerSettings(lowercase: false, additionalTokens: ["<e>"])
    #expect(words("a[SEP]b [sep]<e>c[CLS", settings) == ["a", "b", "[", "sep", "]", "c", "[", "CLS"])
  }

  @Test func overlongWordsAreLeftOut() {
    let longest = String(repeating: "가", count: 100)
    let settings = TokenizerSettings(lowercase: false)
    #expect(words("a \(longest)가 \(longest) b", settings) == ["a", longest, "b"])
  }

  /// Ordering must not reach beyond what is kept of an overlong word.
  @Test func marksBehindAnOverlongWord() {
    let text = String(repeating: "a", count: 99) + "\u{302E}\u{1B44}\u{302E}\u{1B44} b"
    #expect(words(text, TokenizerSettings()) == ["b"])
    let fitting = String(repeating: "a", count: 98) + "\u{302E}\u{1B44}"
    #expect(codePoints(words(fitting, TokenizerSettings()))[0].suffix(2) == [0x1B44, 0x302E])
  }
}

/// Bytes that are no text at all.
@Suite struct InvalidTextTests {
  static let samples: [[UInt8]] = [
    [0xFF], [0x61, 0x80, 0x62], [0xC0, 0xAF], [0xC1, 0xBF, 0x61], [0xE0, 0x80, 0x80],
    [0xED, 0xA0, 0x80, 0x61],
    [0xF0, 0x80, 0x80, 0x80], [0xF4, 0x90, 0x80, 0x80], [0xF5, 0x80, 0x80, 0x80], [0x61, 0xEA, 0xB0],
    [0xEA, 0xB0, 0x61], [0xF0, 0x9F, 0x98, 0xEA, 0xB0, 0x80], [0xEA], [0xC3], [0xF0, 0x9F],
    [0x5B, 0x53, 0xFF, 0x45],
  ]

  @Test(arguments: samples)
  func invalidBytesAreDropped(_ bytes: [UInt8]) {
    for settings in [TokenizerSettings(), TokenizerSettings(lowercase: false)] {
      let repaired = String(decoding: bytes, as: UTF8.self)
      #expect(codePoints(words(bytes, WordSplitter(settings))) == codePoints(words(repaired, settings)))
    }
  }

  /// Any bytes give what their repair by U+FFFD gives, since that is dropped.
  @Test func randomBytes() {
    var state: UInt64 = 0x1234_5678_9ABC_DEF1
    func next() -> UInt64 {
      state ^= state << 13
      state ^= state >> 7
      state ^= state << 17
      return state
    }
    let likely: [UInt8] = [
      0xEA, 0xB0, 0x80, 0xED, 0x9E, 0xA3, 0xF0, 0x9F, 0x98, 0x20, 0x5B, 0x41, 0xE3, 0xC3, 0xCC, 0x81,
    ]
    let splitters = [TokenizerSettings(), TokenizerSettings(lowercase: false)].map(WordSplitter.init)
    for _ in 0..<4000 {
      let bytes = (0..<(next() % 40)).map { _ in
        next() % 4 == 0 ? UInt8(truncatingIfNeeded: next() >> 8) : likely[Int(next() % UInt64(likely.count))]
      }
      let repaired = Array(String(decoding: bytes, as: UTF8.self).utf8)
      for splitter in splitters {
        #expect(codePoints(words(bytes, splitter)) == codePoints(words(repaired, splitter)), "\(bytes)")
      }
    }
  }
}
