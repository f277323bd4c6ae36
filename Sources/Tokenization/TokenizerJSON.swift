import Failures
import JSON

/// What a tokenizer.json says; only BERT's own kind is accepted.
///
/// "truncation" and "padding" are left aside: they are what the tokenizer was last used with.
struct TokenizerJSON {
  /// Settings of its normalizer, which count only where no BERT class overrides them.
  var normalizer = TokenizerSettings()
  /// The vocabulary of its model.
  let vocabulary: Vocabulary
  /// Tokens that are cut out of the raw text.
  var addedTokens: [AddedToken] = []
  /// The token of its model for words without pieces.
  var unknownToken = "[UNK]"
  /// What it puts around one text and two, as "[CLS]:0 $A:0 [SEP]:0".
  private var templates: (single: String, pair: String)?

  /// Reads a tokenizer.json.
  ///
  /// - Throws: `Failure` (bad content) for what is not JSON and for any other kind of tokenizer.
  init(_ bytes: [UInt8], file: String) throws {
    var json = JSONScanner(bytes[...], source: file)
    var parts = Parts(file: file)
    try json.object { name, json in
      switch name {
      case "normalizer": try parts.readNormalizer(&json)
      case "pre_tokenizer": try parts.check("pre_tokenizer", try Self.type(&json), "BertPreTokenizer")
      case "model": try parts.readModel(&json)
      case "post_processor": try parts.readPostProcessor(&json)
      case "added_tokens": try json.array { parts.addedTokens.append(try AddedToken(&$0)) }
      default: try json.skipValue()
      }
    }
    try json.end()
    for part in ["normalizer", "pre_tokenizer", "model", "post_processor"] where !parts.seen.contains(part) {
      try parts.check(part, nil, "BERT's")
    }
    vocabulary = try parts.words.vocabulary(file: file)
    normalizer = parts.normalizer
    addedTokens = parts.addedTokens
    unknownToken = parts.unknownToken
    templates = parts.templates
  }

  /// Checks that texts are framed as BERT does, with the given special tokens.
  ///
  /// - Throws: `Failure` (bad content) that quotes the template it found.
  func checkTemplates(classifier: String, separator: String, file: String) throws {
    let single = "\(classifier):0 $A:0 \(separator):0"
    let pair = "\(single) $B:1 \(separator):1"
    guard let templates else { return }
    for (found, expected) in [(templates.single, single), (templates.pair, pair)] where found != expected {
      throw Failure(
        .badContent, "\(file): the post_processor frames texts as “\(found)”, expected “\(expected)”")
    }
  }

  /// The "type" of an object whose other members do not matter; nil for null.
  fileprivate static func type(_ json: inout JSONScanner) throws -> String? {
    if json.acceptNull() { return nil }
    var type: String?
    try json.object { name, json in
      if name == "type" { type = try json.string() } else { try json.skipValue() }
    }
    return type
  }
}

/// The parts of a tokenizer.json as they come.
private struct Parts {
  let file: String
  var seen: Set<String> = []
  var normalizer = TokenizerSettings()
  var words = NumberedWords()
  var addedTokens: [AddedToken] = []
  var unknownToken = "[UNK]"
  var templates: (single: String, pair: String)?

  init(file: String) { self.file = file }

  /// Notes that a part is there, and refuses it unless it is of the expected type.
  mutating func check(_ part: String, _ found: String?, _ expected: String) throws {
    seen.insert(part)
    if found == expected { return }
    throw Failure(
      .badContent,
      "\(file): the \(part) is \(found.map { "“\($0)”" } ?? "missing"), expected \(expected); only BERT's "
        + "WordPiece tokenizers are supported")
  }

  mutating func readNormalizer(_ json: inout JSONScanner) throws {
    if json.acceptNull() { return try check("normalizer", nil, "BertNormalizer") }
    var type: String?
    var cleans = true
    try json.object { name, json in
      switch name {
      case _ where json.acceptNull(): break
      case "type": type = try json.string()
      case "clean_text": cleans = try json.boolean()
      case "lowercase": normalizer.lowercase = try json.boolean()
      case "strip_accents": normalizer.stripAccents = try json.boolean()
      case "handle_chinese_chars": normalizer.tokenizeChineseChars = try json.boolean()
      default: try json.skipValue()
      }
    }
    try check("normalizer", type, "BertNormalizer")
    if !cleans { try check("normalizer's clean_text", "false", "true") }
  }

  mutating func readModel(_ json: inout JSONScanner) throws {
    var type: String?
    var prefix = "##"
    var longest: Int?
    try json.object { name, json in
      switch name {
      case _ where json.acceptNull(): break
      case "type": type = try json.string()
      case "unk_token": unknownToken = try json.string()
      case "continuing_subword_prefix": prefix = try json.string()
      case "max_input_chars_per_word": longest = try json.wholeNumber()
      case "vocab" where json.isAtObject():
        try json.object { token, json in try words.append(token, try json.wholeNumber(), file: file) }
      default: try json.skipValue()
      }
    }
    // The first files of this format, still around, have no type; this limit is WordPiece's alone.
    try check("model", type ?? longest.map { _ in "WordPiece" }, "WordPiece")
    try check("model's continuing_subword_prefix", prefix, "##")
    try check("model's max_input_chars_per_word", longest.map(String.init), "\(WordSplitter.longestWord)")
  }

  mutating func readPostProcessor(_ json: inout JSONScanner) throws {
    var found: [String: String] = [:]
    if json.acceptNull() { return try check("post_processor", nil, "TemplateProcessing") }
    try json.object { name, json in
      switch name {
      case "type": found[name] = try json.string()
      case "single", "pair": found[name] = try Self.template(&json)
      default: try json.skipValue()
      }
    }
    // BertProcessing is BERT's frame by definition.
    if found["type"] == "BertProcessing" { return try check("post_processor", "BERT's", "BERT's") }
    try check("post_processor", found["type"], "TemplateProcessing")
    templates = (found["single"] ?? "", found["pair"] ?? "")
  }

  /// A template as text: special tokens by name, texts as $A and $B, each with its segment.
  private static func template(_ json: inout JSONScanner) throws -> String {
    var items: [String] = []
    try json.array { json in
      try json.object { kind, json in
        var id = ""
        var segment = 0
        try json.object { name, json in
          switch name {
          case "id": id = try json.string()
          case "type_id": segment = try json.wholeNumber()
          default: try json.skipValue()
          }
        }
        items.append("\(kind == "Sequence" ? "$" : "")\(id):\(segment)")
      }
    }
    return items.joined(separator: " ")
  }
}

/// Tokens with their ids in any order, on their way into a vocabulary.
private struct NumberedWords {
  private var bytes: [UInt8] = []
  /// Where each token begins in `bytes`, and its id.
  private var words: [(start: Int32, id: Int32)] = []

  mutating func append(_ token: String, _ id: Int, file: String) throws {
    guard id < Vocabulary.largestCount, bytes.count < Int32.max - Int32(token.utf8.count) else {
      throw Failure(
        .badContent,
        "\(file): the token “\(token)” has id \(id), expected less than \(Vocabulary.largestCount)")
    }
    guard !token.utf8.contains(UInt8(ascii: "\n")) else {
      throw Failure(.badContent, "\(file): the token with id \(id) contains a newline; expected one line")
    }
    words.append((Int32(bytes.count), Int32(id)))
    bytes.append(contentsOf: token.utf8)
  }

  /// The vocabulary: ids without a token (left behind by tokens that stood twice in a vocab.txt) are empty.
  func vocabulary(file: String) throws -> Vocabulary {
    let count = Int((words.map(\.id).max() ?? -1) + 1)
    guard count > 0 else { throw Failure(.badContent, "\(file): the model has no vocab, expected token: id") }
    // A hole here and there is known; one id that is far off would make of a small file a large table.
    guard count <= 4 * words.count + 4096 else {
      throw Failure(
        .badContent,
        "\(file): the largest id of the vocab is \(count - 1), with \(words.count) tokens in all; expected ids that follow each other"
      )
    }
    var wordOfID = [Int32](repeating: -1, count: count)
    for (word, entry) in words.enumerated() {
      if wordOfID[Int(entry.id)] >= 0 {
        throw Failure(.badContent, "\(file): two tokens have the id \(entry.id), expected one")
      }
      wordOfID[Int(entry.id)] = Int32(word)
    }
    var lines: [UInt8] = []
    lines.reserveCapacity(bytes.count + count)
    for word in wordOfID {
      if word >= 0 {
        let next = Int(word) + 1
        let end = next < words.count ? Int(words[next].start) : bytes.count
        lines += bytes[Int(words[Int(word)].start)..<end]
      }
      lines.append(UInt8(ascii: "\n"))
    }
    return try Vocabulary(lines, file: file)
  }
}
