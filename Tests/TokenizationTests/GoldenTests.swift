import Failures
import Foundation
import Testing
import Tokenization

/// Goldens of the reference library, in the directory that BERT_DDP_SHARED names.
enum Goldens {
  static let directory = ProcessInfo.processInfo.environment["BERT_DDP_SHARED"].map {
    URL(fileURLWithPath: $0).appendingPathComponent("fixtures/tokenizer")
  }

  static func data(_ name: String) throws -> Data {
    try Data(contentsOf: #require(directory).appendingPathComponent(name))
  }

  /// The values of a file of JSON lines.
  static func lines<Value: Decodable>(_ name: String) throws -> [Value] {
    try data(name).split(separator: UInt8(ascii: "\n")).map {
      try JSONDecoder().decode(Value.self, from: Data($0))
    }
  }

  /// The tokenizer of a directory of fixtures, with the vocabulary beside it or the one it holds.
  static func tokenizer(_ name: String, withVocabulary: Bool = true) throws -> WordPieceTokenizer {
    var contents: [String: [UInt8]] = [:]
    let folder = try #require(directory).appendingPathComponent(name)
    for file in TokenizerFiles.names {
      if let data = try? Data(contentsOf: folder.appendingPathComponent(file)) {
        contents[file] = [UInt8](data)
      }
    }
    if withVocabulary { contents["vocab.txt"] = [UInt8](try data("vocab.txt")) }
    let (settings, vocabulary, _) = try TokenizerFiles(directory: name, contents: contents).read()
    return try WordPieceTokenizer(vocabulary, settings)
  }
}

/// Ids, pairs and truncation as the reference library gives them.
@Suite(.enabled(if: Goldens.directory != nil, "BERT_DDP_SHARED is not set"))
struct GoldenTests {
  struct Text: Decodable {
    let text: String
    let cased: [Int32]
    let uncased: [Int32]
  }

  struct Pair: Decodable {
    let tok: String
    let a: String
    let b: String?
    let maxLength: Int
    let truncation: Truncation
    let inputIDs: [Int32]?
    let tokenTypeIDs: [Int32]?
    let attentionMask: [Int]?
    let error: String?

    enum CodingKeys: String, CodingKey {
      case tok, a, b, truncation, error
      case maxLength = "max_length"
      case inputIDs = "input_ids"
      case tokenTypeIDs = "token_type_ids"
      case attentionMask = "attention_mask"
    }
  }

  @Test func texts() throws {
    let texts: [Text] = try Goldens.lines("golden_ids.jsonl")
    #expect(texts.count == 2340)
    let cased = try Goldens.tokenizer("cased")
    let uncased = try Goldens.tokenizer("uncased")
    for text in texts {
      #expect(cased.encode(text.text) == text.cased, "\(text.text)")
      #expect(uncased.encode(text.text) == text.uncased, "\(text.text)")
    }
  }

  @Test func pairs() throws {
    let pairs: [Pair] = try Goldens.lines("golden_pairs.jsonl")
    #expect(pairs.count == 500)
    let tokenizers = ["cased": try Goldens.tokenizer("cased"), "uncased": try Goldens.tokenizer("uncased")]
    for pair in pairs {
      let tokenizer = try #require(tokenizers[pair.tok])
      guard let expected = pair.inputIDs, let types = pair.tokenTypeIDs, let mask = pair.attentionMask else {
        #expect(pair.error != nil)
        expectFailure(.badContent, pair.truncation.rawValue) {
          _ = try encode(pair, tokenizer)
        }
        continue
      }
      let (ids, segments) = try encode(pair, tokenizer)
      let padding = pair.maxLength - ids.count
      #expect(ids + Array(repeating: tokenizer.paddingID, count: padding) == expected, "\(pair)")
      #expect(segments + Array(repeating: 0, count: padding) == types, "\(pair)")
      #expect(ids.count == mask.reduce(0, +), "\(pair)")
    }
  }

  private func encode(
    _ pair: Pair, _ tokenizer: WordPieceTokenizer
  ) throws -> (ids: [Int32], tokenTypeIDs: [Int32]) {
    if let b = pair.b {
      return try tokenizer.encode(pair.a, b, maxLength: pair.maxLength, truncation: pair.truncation)
    }
    let ids = tokenizer.encode(pair.a, maxLength: pair.maxLength)
    return (ids, Array(repeating: 0, count: ids.count))
  }

  @Test(arguments: ["cased", "uncased"])
  func theVocabularyOfTokenizerJSON(_ name: String) throws {
    let one = try Goldens.tokenizer(name, withVocabulary: false)
    let other = try Goldens.tokenizer(name)
    #expect(one.vocabulary == other.vocabulary)
    #expect(one.vocabulary.bytes == [UInt8](try Goldens.data("vocab.txt")))
    #expect(one.settings == other.settings)
    #expect(one.settings == TokenizerSettings(lowercase: name == "uncased"))
    #expect(one.specialIDs == [0, 1, 2, 3, 4])
  }
}

/// Every code point by itself, against the measured tables put together in the plainest way.
@Suite(.enabled(if: Goldens.directory != nil, "BERT_DDP_SHARED is not set"))
struct CodePointTests {
  struct Tables: Decodable {
    let removed: [[UInt32]]
    let spaces: [[UInt32]]
    let chinese: [[UInt32]]
    let punctuation: [[UInt32]]
    let accents: [[UInt32]]
    let decompositions: [String: String]
    let lowercase: [String: String]

    enum CodingKeys: String, CodingKey {
      case lowercase
      case removed = "clean_removed"
      case spaces = "clean_to_space"
      case chinese = "cjk"
      case punctuation = "pretok_punct"
      case accents = "strip_accents_removed"
      case decompositions = "strip_accents_mapped"
    }
  }

  static let settings = [
    TokenizerSettings(), TokenizerSettings(lowercase: false),
    TokenizerSettings(lowercase: true, stripAccents: false),
    TokenizerSettings(lowercase: false, stripAccents: true, tokenizeChineseChars: false),
  ]

  @Test(arguments: settings)
  func everyCodePoint(_ settings: TokenizerSettings) throws {
    let tables = try JSONDecoder().decode(Tables.self, from: Goldens.data("unicode_tables.json"))
    let steps = Steps(tables, settings)
    let splitter = WordSplitter(settings)
    for value in UInt32(0)...0x10FFFF {
      guard let scalar = Unicode.Scalar(value) else { continue }
      var found: [[UInt32]] = []
      let bytes = Array(("a" + String(scalar) + "b").utf8)
      splitter.forEachWord(of: bytes.span) { word in found.append(word.indices.map { word[$0] }) }
      if found != steps.words(value) {
        Issue.record("U+\(String(value, radix: 16)): \(found), expected \(steps.words(value))")
      }
    }
  }

  /// The steps of the reference, one after another.
  struct Steps {
    let settings: TokenizerSettings
    let strips: Bool
    let removed: Set<UInt32>
    let spaces: Set<UInt32>
    let chinese: Set<UInt32>
    let punctuation: Set<UInt32>
    let accents: Set<UInt32>
    let decompositions: [UInt32: [UInt32]]
    let lowercase: [UInt32: [UInt32]]

    init(_ tables: Tables, _ settings: TokenizerSettings) {
      func set(_ ranges: [[UInt32]]) -> Set<UInt32> { Set(ranges.flatMap { Array($0[0]...$0[1]) }) }
      func map(_ texts: [String: String]) -> [UInt32: [UInt32]] {
        let pairs = texts.map { (UInt32($0.key, radix: 16) ?? 0, $0.value.unicodeScalars.map(\.value)) }
        return Dictionary(uniqueKeysWithValues: pairs)
      }
      self.settings = settings
      strips = settings.stripAccents ?? settings.lowercase
      removed = set(tables.removed)
      spaces = set(tables.spaces)
      chinese = set(tables.chinese)
      punctuation = set(tables.punctuation)
      accents = set(tables.accents)
      decompositions = map(tables.decompositions)
      lowercase = map(tables.lowercase)
    }

    /// The words of "a", a code point, "b".
    func words(_ scalar: UInt32) -> [[UInt32]] {
      var text: [UInt32] = removed.contains(scalar) ? [] : spaces.contains(scalar) ? [0x20] : [scalar]
      if settings.tokenizeChineseChars, chinese.contains(scalar) { text = [0x20, scalar, 0x20] }
      if strips { text = text.flatMap(strip) }
      text = [0x61] + text + [0x62]
      if settings.lowercase { text = text.flatMap { lowercase[$0] ?? [$0] } }
      var words: [[UInt32]] = [[]]
      for scalar in text {
        switch scalar {
        case 0x20: words.append([])
        case _ where punctuation.contains(scalar): words += [[scalar], []]
        default: words[words.count - 1].append(scalar)
        }
      }
      return words.filter { !$0.isEmpty }
    }

    private func strip(_ scalar: UInt32) -> [UInt32] {
      if accents.contains(scalar) { return [] }
      guard 0xAC00...0xD7A3 ~= scalar else { return decompositions[scalar] ?? [scalar] }
      let index = scalar - 0xAC00
      let tail = index % 28 == 0 ? [] : [0x11A7 + index % 28]
      return [0x1100 + index / (21 * 28), 0x1161 + index / 28 % 21] + tail
    }
  }
}
