import Failures
import JSON

/// What tokenizer_config.json and special_tokens_map.json say; nil where they say nothing.
struct TokenizerConfig {
  var tokenizerClass: String?
  var lowercase: Bool?
  var stripAccents: Bool?
  var tokenizeChineseChars: Bool?
  /// What cuts a text into words; BERT's own where nothing is said.
  var wordTokenizer: String?
  /// Special tokens by their role: "unk_token", "cls_token", …
  var specialTokens: [String: AddedToken] = [:]
  var additionalTokens: [AddedToken] = []
  /// Tokens with their ids; where the file has them, special_tokens_map.json no longer counts.
  var addedTokens: [AddedToken]?

  private static let roles: Set = ["unk_token", "cls_token", "sep_token", "pad_token", "mask_token"]

  /// Nothing said.
  init() {}

  /// Reads tokenizer_config.json.
  ///
  /// - Throws: `Failure` (bad content) with the file's name and the place.
  init(_ bytes: [UInt8], file: String) throws {
    var json = JSONScanner(bytes[...], source: file)
    try json.object { name, json in
      switch name {
      case _ where json.acceptNull(): break
      case "tokenizer_class": tokenizerClass = try json.string()
      case "do_lower_case": lowercase = try json.boolean()
      case "strip_accents": stripAccents = try json.boolean()
      case "tokenize_chinese_chars": tokenizeChineseChars = try json.boolean()
      case "added_tokens_decoder": addedTokens = try Self.addedTokens(&json)
      case "word_tokenizer_type": wordTokenizer = try json.string()
      default: try readSpecialToken(name, &json)
      }
    }
    try json.end()
  }

  /// Reads special_tokens_map.json, which overrides what tokenizer_config.json says, unless that lists its
  /// added tokens (as newer files do).
  ///
  /// - Throws: `Failure` (bad content) with the file's name and the place.
  mutating func readSpecialTokensMap(_ bytes: [UInt8], file: String) throws {
    guard addedTokens == nil else { return }
    var json = JSONScanner(bytes[...], source: file)
    try json.object { name, json in
      if !json.acceptNull() { try readSpecialToken(name, &json) }
    }
    try json.end()
  }

  /// Reads added_tokens.json, in which older files have tokens with their ids.
  ///
  /// - Throws: `Failure` (bad content) with the file's name and the place.
  mutating func readAddedTokens(_ bytes: [UInt8], file: String) throws {
    guard addedTokens == nil else { return }
    let special = Set((specialTokens.values + additionalTokens).map(\.content))
    var tokens: [AddedToken] = []
    var json = JSONScanner(bytes[...], source: file)
    try json.object { content, json in
      tokens.append(AddedToken(content, id: try json.wholeNumber(), isSpecial: special.contains(content)))
    }
    try json.end()
    addedTokens = tokens
  }

  /// Reads the tokenizer's class in config.json, which counts where no other file names one.
  ///
  /// - Throws: `Failure` (bad content) with the file's name and the place.
  mutating func readModelConfiguration(_ bytes: [UInt8], file: String) throws {
    guard tokenizerClass == nil else { return }
    var json = JSONScanner(bytes[...], source: file)
    try json.object { name, json in
      if name == "tokenizer_class", !json.acceptNull() {
        tokenizerClass = try json.string()
      } else {
        try json.skipValue()
      }
    }
    try json.end()
  }

  private mutating func readSpecialToken(_ name: String, _ json: inout JSONScanner) throws {
    if Self.roles.contains(name) {
      specialTokens[name] = try AddedToken(&json, isSpecial: true)
    } else if name == "additional_special_tokens" {
      try json.array { additionalTokens.append(try AddedToken(&$0, isSpecial: true)) }
    } else {
      try json.skipValue()
    }
  }

  private static func addedTokens(_ json: inout JSONScanner) throws -> [AddedToken] {
    var tokens: [AddedToken] = []
    try json.object { name, json in
      var token = try AddedToken(&json)
      token.id = Int(name)
      tokens.append(token)
    }
    return tokens
  }
}
