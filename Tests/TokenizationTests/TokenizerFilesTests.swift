import Failures
import Testing
import Tokenization

/// What the files of a Hugging Face directory come to; checked against `AutoTokenizer` of transformers 4.57.
@Suite struct TokenizerFilesTests {
  static let lines = specialTokens.joined(separator: "\n") + "\na\nb\n"
  static let cased = #"{"do_lower_case": false, "tokenizer_class": "BertTokenizer"}"#

  func read(
    _ contents: [String: String]
  ) throws -> (settings: TokenizerSettings, vocabulary: Vocabulary, notices: [String]) {
    try TokenizerFiles(directory: "dir", contents: contents.mapValues { Array($0.utf8) }).read()
  }

  /// A tokenizer.json, as it is or with one passage replaced by another.
  func json(_ passage: String = "", _ other: String = "") -> String {
    let text = #"""
      {"version": "1.0", "truncation": {"max_length": 8}, "padding": null,
       "added_tokens": [{"id": 2, "content": "[CLS]", "special": true, "normalized": false, "lstrip": false}],
       "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": false,
                      "strip_accents": null, "lowercase": false},
       "pre_tokenizer": {"type": "BertPreTokenizer"},
       "post_processor": {"type": "TemplateProcessing",
         "single": [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
                    {"SpecialToken": {"id": "[SEP]", "type_id": 0}}],
         "pair": [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
                  {"SpecialToken": {"id": "[SEP]", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}},
                  {"SpecialToken": {"id": "[SEP]", "type_id": 1}}]},
       "decoder": {"type": "WordPiece", "cleanup": [true, [1.5e3, {}], "}\"]"]},
       "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
         "max_input_chars_per_word": 100,
         "vocab": {"[UNK]": 1, "[PAD]": 0, "[SEP]": 3, "[CLS]": 2, "b": 6, "[MASK]": 4, "a": 5}}}
      """#
    guard !passage.isEmpty else { return text }
    #expect(text.contains(passage))
    return text.replacing(passage, with: other)
  }

  // MARK: Letters

  @Test func withoutAConfigTextIsLowerCased() throws {
    #expect(try read(["vocab.txt": Self.lines]).settings == TokenizerSettings())
    #expect(try read(["tokenizer.json": json()]).settings == TokenizerSettings())
    #expect(
      try read(["vocab.txt": Self.lines, "tokenizer_config.json": "{}"]).settings == TokenizerSettings())
  }

  @Test func theConfigOverridesTheNormalizer() throws {
    let lower = json(#""lowercase": false"#, #""lowercase": true"#)
    let files = ["tokenizer.json": lower, "tokenizer_config.json": Self.cased]
    #expect(try read(files).settings == TokenizerSettings(lowercase: false))
    let config =
      #"{"do_lower_case": true, "strip_accents": false, "tokenize_chinese_chars": false, "x": [1]}"#
    #expect(
      try read(["vocab.txt": Self.lines, "tokenizer_config.json": config]).settings
        == TokenizerSettings(lowercase: true, stripAccents: false, tokenizeChineseChars: false))
  }

  @Test func theNormalizerCountsForAnUnnamedClass() throws {
    let config = #"{"tokenizer_class": "PreTrainedTokenizerFast", "do_lower_case": true}"#
    #expect(
      try read(["tokenizer.json": json(), "tokenizer_config.json": config]).settings
        == TokenizerSettings(lowercase: false, tokenizeChineseChars: false))
  }

  @Test func aDefaultThatCannotBeMeantIsSaid() throws {
    let cased = Self.lines + "Wort\n"
    let notices = try read(["vocab.txt": cased]).notices
    #expect(notices.count == 1 && notices[0].contains("do_lower_case") && notices[0].contains("1 tokens"))
    #expect(try read(["vocab.txt": Self.lines]).notices.isEmpty)
    for said in ["true", "false"] {
      let files = ["vocab.txt": cased, "tokenizer_config.json": #"{"do_lower_case": \#(said)}"#]
      #expect(try read(files).notices.isEmpty)
    }
  }

  @Test func settingsInWords() {
    #expect(TokenizerSettings().summary.hasPrefix("lower-cases, strips accents, "))
    #expect(TokenizerSettings(lowercase: false).summary.hasPrefix("keeps case, keeps accents, "))
  }

  @Test func nullIsAsGoodAsNothing() throws {
    let config = #"{"strip_accents": null, "never_split": null, "tokenizer_class": null, "mask_token": null}"#
    #expect(
      try read(["vocab.txt": Self.lines, "tokenizer_config.json": config]).settings == TokenizerSettings())
  }

  // MARK: Vocabulary

  @Test func theVocabularyOfEitherFile() throws {
    let lines = try read(["vocab.txt": Self.lines]).vocabulary
    #expect(try read(["tokenizer.json": json()]).vocabulary == lines)
    #expect(try read(["tokenizer.json": json(), "vocab.txt": Self.lines]).vocabulary == lines)
    expectFailure(.noInput, "dir", "vocab.txt") { _ = try read(["tokenizer_config.json": Self.cased]) }
  }

  @Test func piecesOfSentencePiece() throws {
    let pieces = Self.lines + "▁안녕\n하세요\n"
    expectFailure(.badContent, "dir/vocab.txt, line 8", "▁안녕", "SentencePiece", "WordPiece") {
      _ = try read(["vocab.txt": pieces])
    }
    // Somebody who cuts texts up beforehand may mean it; and some vocabularies of WordPiece have the sign.
    #expect(try read(["vocab.txt": pieces, "tokenizer_config.json": Self.cased]).vocabulary.count == 9)
    #expect(try read(["vocab.txt": pieces + "##요\n"]).vocabulary.count == 10)
    #expect(try read(["vocab.txt": Self.lines + "▁\n"]).vocabulary.count == 8)
  }

  @Test func anotherKindOfTokenizerWithoutAVocabulary() {
    for name in ["XLMRobertaTokenizer", "KoBertTokenizer"] {
      expectFailure(.badContent, "dir", name, "BertTokenizer") {
        _ = try read(["tokenizer_config.json": #"{"tokenizer_class": "\#(name)"}"#])
      }
    }
    expectFailure(.noInput, "dir", "tokenizer.json") {
      _ = try read(["tokenizer_config.json": #"{"tokenizer_class": "PreTrainedTokenizerFast"}"#])
    }
  }

  @Test func spellingsAndEscapesOfTokens() throws {
    let text = json(#""a": 5"#, #""\u00e9": 5, "e\u0301": 7, "\ud83d\ude00\n": 8"#)
    expectFailure(.badContent, "dir/tokenizer.json", "8", "newline") {
      _ = try read(["tokenizer.json": text])
    }
    let words = try read(["tokenizer.json": text.replacing(#"\n": 8"#, with: #"\t": 8"#)]).vocabulary
    #expect(words.count == 9)
    #expect(words.id(of: "\u{E9}") == 5)
    #expect(words.id(of: "e\u{301}") == 7)
    #expect(words.id(of: "😀\t") == 8)
  }

  @Test func filesThatDisagree() throws {
    let files = ["tokenizer.json": json(), "vocab.txt": Self.lines.replacing("b", with: "c")]
    expectFailure(.badContent, "dir", "id 6", "“c”", "“b”") { _ = try read(files) }
    let longer = ["tokenizer.json": json(), "vocab.txt": Self.lines + "c\n"]
    expectFailure(.badContent, "id 7", "“c”") { _ = try read(longer) }
  }

  /// tokenizer.json keeps only the last of equal tokens, so that an id is left without one.
  @Test func tokensThatStoodTwice() throws {
    let words = json(#""a": 5"#, #""a": 8, "c": 7"#)
    let alone = try read(["tokenizer.json": words]).vocabulary
    #expect(alone.token(5) == "")
    #expect(alone.id(of: "a") == 8)
    let lines = Self.lines + "c\na\n"
    #expect(try read(["tokenizer.json": words, "vocab.txt": lines]).vocabulary.id(of: "a") == 8)
  }

  @Test func badIDs() throws {
    for (passage, other, fragment) in [
      (#""a": 5"#, #""a": 6"#, "id 6"), (#""a": 5"#, #""a": 1048576"#, "1048576"),
      (#""a": 5"#, #""a": -1"#, "whole number"),
      (#""a": 5"#, #""a": 99999999999999999999999"#, "number is too large"),
      (#""a": 5"#, #""a": 891667"#, "largest id of the vocab is 891667"),
    ] {
      expectFailure(.badContent, "dir/tokenizer.json", fragment) {
        _ = try read(["tokenizer.json": json(passage, other)])
      }
    }
  }

  // MARK: Special and added tokens

  static let named =
    #"{"cls_token": "<s>", "sep_token": {"content": "</s>", "lstrip": false, "special": true}}"#
  static let namedLines = lines + "<s>\n</s>\n"

  @Test func theMapOverridesTheConfig() throws {
    let config = #"{"do_lower_case": false, "cls_token": "[CLS]", "pad_token": "b"}"#
    let files = [
      "vocab.txt": Self.namedLines, "tokenizer_config.json": config, "special_tokens_map.json": Self.named,
    ]
    let settings = try read(files).settings
    #expect(settings.classifierToken == "<s>")
    #expect(settings.separatorToken == "</s>")
    #expect(settings.paddingToken == "b")
    #expect(settings.unknownToken == "[UNK]")
  }

  @Test func theMapIsIgnoredBesideAListOfAddedTokens() throws {
    let files = [
      "vocab.txt": Self.namedLines, "special_tokens_map.json": Self.named,
      "tokenizer_config.json": #"{"added_tokens_decoder": {"0": {"content": "[PAD]", "special": true}}}"#,
    ]
    #expect(try read(files).settings == TokenizerSettings())
  }

  @Test func additionalTokens() throws {
    let config = #"""
      {"additional_special_tokens": ["[E1]", "a"], "added_tokens_decoder": {
        "8": {"content": "[E2]", "special": true, "normalized": false},
        "7": {"content": "[E1]", "special": true, "normalized": false}}}
      """#
    let (settings, words, _) = try read(["vocab.txt": Self.lines, "tokenizer_config.json": config])
    #expect(settings.additionalTokens == ["[E1]", "[E2]", "a"])
    #expect(words.id(of: "[E1]") == 7)
    #expect(words.id(of: "[E2]") == 8)
    #expect(words.count == 9)
    let tokenizer = try WordPieceTokenizer(words, settings)
    #expect(tokenizer.encode("b[E2]a[e1]") == [2, 6, 8, 5, 1, 1, 1, 3])
  }

  @Test(arguments: ["normalized", "lstrip", "rstrip", "single_word"])
  func conditionsOfAddedTokens(_ condition: String) throws {
    let config =
      #"{"added_tokens_decoder": {"7": {"content": "[E]", "special": true, "\#(condition)": true}}}"#
    expectFailure(.badContent, "dir", "[E]", condition) {
      _ = try read(["vocab.txt": Self.lines, "tokenizer_config.json": config])
    }
  }

  /// The library would make up an id that the model has no row for.
  @Test func aSpecialTokenThatIsNowhereGetsNoID() throws {
    let config = #"{"mask_token": "<mask>"}"#
    let (settings, words, _) = try read(["vocab.txt": Self.lines, "tokenizer_config.json": config])
    #expect(words.bytes == Array(Self.lines.utf8))
    #expect(try WordPieceTokenizer(words, settings).maskID == nil)
  }

  @Test func addedTokensThatAreElsewhere() throws {
    for id in ["6", "8"] {
      let config = #"{"added_tokens_decoder": {"\#(id)": {"content": "[E]", "special": true}}}"#
      expectFailure(.badContent, "[E]", "id \(id)", "7") {
        _ = try read(["vocab.txt": Self.lines, "tokenizer_config.json": config])
      }
    }
  }

  // MARK: Other tokenizers

  @Test func theFirstFilesOfTheFormat() throws {
    _ = try read(["tokenizer.json": json(#""type": "WordPiece", "unk"#, #""unk"#)])
    let bert =
      #""post_processor": {"type": "BertProcessing", "cls": ["[CLS]", 2], "sep": ["[SEP]", 3]}, "x": {"#
    _ = try read(["tokenizer.json": json(#""post_processor": {"type": "TemplateProcessing","#, bert)])
  }

  static let others: [(passage: String, other: String, fragments: [String])] = [
    (#""type": "WordPiece", "unk"#, #""type": "BPE", "unk"#, ["model", "BPE", "WordPiece"]),
    (#""BertNormalizer""#, #""NFC""#, ["normalizer", "NFC"]),
    (#""clean_text": true"#, #""clean_text": false"#, ["clean_text"]),
    (#"{"type": "BertPreTokenizer"}"#, #"{"type": "Metaspace"}"#, ["pre_tokenizer", "Metaspace"]),
    (#"{"type": "BertPreTokenizer"}"#, "null", ["pre_tokenizer", "missing"]),
    (#""pre_tokenizer""#, #""before""#, ["pre_tokenizer", "missing"]),
    (###""continuing_subword_prefix": "##""###, #""continuing_subword_prefix": "@@""#, ["@@"]),
    (#""max_input_chars_per_word": 100"#, #""max_input_chars_per_word": 200"#, ["200", "100"]),
    (#""unk_token": "[UNK]""#, #""unk_token": "a""#, ["unknown", "“a”"]),
    (#"{"id": "B", "type_id": 1}"#, #"{"id": "B", "type_id": 0}"#, ["$B:0", "$B:1"]),
    (#""TemplateProcessing""#, #""ByteLevel""#, ["post_processor", "ByteLevel"]),
  ]

  @Test(arguments: others.indices)
  func otherTokenizersAreRefused(_ index: Int) throws {
    let (passage, other, fragments) = Self.others[index]
    for fragment in fragments {
      expectFailure(.badContent, "dir", fragment) { _ = try read(["tokenizer.json": json(passage, other)]) }
    }
  }

  @Test func otherClassesAreRefused() throws {
    let config = #"{"tokenizer_class": "BertJapaneseTokenizer"}"#
    expectFailure(.badContent, "dir", "BertJapaneseTokenizer") {
      _ = try read(["vocab.txt": Self.lines, "tokenizer_config.json": config])
    }
    // Older models name it in config.json alone, which counts where nothing else is said.
    expectFailure(.badContent, "dir", "BertJapaneseTokenizer") {
      _ = try read(["vocab.txt": Self.lines, "config.json": config, "tokenizer_config.json": "{}"])
    }
    let own = #"{"tokenizer_class": "BertTokenizer"}"#
    _ = try read(["vocab.txt": Self.lines, "config.json": config, "tokenizer_config.json": own])
    expectFailure(.badContent, "dir/tokenizer_config.json", "mecab") {
      _ = try read(["vocab.txt": Self.lines, "tokenizer_config.json": #"{"word_tokenizer_type": "mecab"}"#])
    }
    _ = try read(["vocab.txt": Self.lines, "tokenizer_config.json": #"{"word_tokenizer_type": "basic"}"#])
  }

  /// What tokens were added to the vocabulary stands in a table of its own in older folders.
  @Test func tableOfAddedTokens() throws {
    let count = try read(["vocab.txt": Self.lines]).vocabulary.count
    let map = #"{"additional_special_tokens": ["[E1]", {"content": "[E2]"}]}"#
    let found = try read([
      "vocab.txt": Self.lines, "special_tokens_map.json": map,
      "added_tokens.json": "{\"[E2]\": \(count), \"[E1]\": \(count + 1)}",
    ])
    #expect(found.vocabulary.id(of: "[E2]") == Int32(count))
    #expect(found.vocabulary.id(of: "[E1]") == Int32(count + 1))
    #expect(found.settings.additionalTokens == ["[E2]", "[E1]"])
    expectFailure(.badContent, "[E1]", "\(count + 7)") {
      _ = try read([
        "vocab.txt": Self.lines, "special_tokens_map.json": map,
        "added_tokens.json": "{\"[E2]\": \(count), \"[E1]\": \(count + 7)}",
      ])
    }
    expectFailure(.badContent, "foo", "normalized") {
      _ = try read(["vocab.txt": Self.lines, "added_tokens.json": "{\"foo\": \(count)}"])
    }
  }

  // MARK: Damaged files

  static let damaged = [
    "", "{", "[]", "nul", #"{"a" 1}"#, #"{"a": }"#, #"{"a": "b}"#, #"{"a": "\x"}"#, #"{"a": "\ud800"}"#,
    #"{"a": "\ud800\u0041"}"#, #"{"a": "\u00g0"}"#, #"{"a": "\u00"#, #"{"a": [1, {"b": 2]}}"#, #"{"a": 1} 2"#,
    #"{"do_lower_case": "yes"}"#, #"{"do_lower_case": tru}"#, #"{"a": 1,}"#, "{\"a\": \"\u{1}\"}",
    #"{"cls_token": 7}"#,
    #"{"a": "# + String(repeating: "[", count: 1_000_000) + "}",
  ]

  @Test(arguments: damaged.indices)
  func damagedJSON(_ index: Int) throws {
    for name in ["tokenizer_config.json", "special_tokens_map.json", "tokenizer.json"] {
      if Self.damaged[index].contains("do_lower_case"), name != "tokenizer_config.json" { continue }
      expectFailure(.badContent, "dir/\(name)") {
        _ = try read(["vocab.txt": Self.lines, name: Self.damaged[index]])
      }
    }
  }

  /// Every beginning of a good file is refused, and no damaged byte does harm.
  @Test func cutAndDamagedFiles() throws {
    let good = Array(json().utf8)
    for count in 0..<good.count {
      #expect(throws: Failure.self) {
        _ = try TokenizerFiles(directory: "dir", contents: ["tokenizer.json": Array(good.prefix(count))])
          .read()
      }
    }
    for place in good.indices {
      for byte: UInt8 in [0x00, 0x22, 0x5C, 0x7B, 0x80, 0xFF] {
        var bad = good
        bad[place] = byte
        do {
          _ = try TokenizerFiles(directory: "dir", contents: ["tokenizer.json": bad]).read()
        } catch {
          #expect(error is Failure)
        }
      }
    }
  }

  @Test func settingsAreKeptAsJSON() throws {
    let settings = TokenizerSettings(lowercase: false, stripAccents: true, additionalTokens: ["[E1]"])
    #expect(try roundTrip(settings) == settings)
    #expect(try roundTrip(TokenizerSettings()) == TokenizerSettings())
  }
}
