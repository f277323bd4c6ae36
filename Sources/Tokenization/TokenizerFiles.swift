import Failures

/// The files of a Hugging Face directory that say how its text becomes tokens.
package struct TokenizerFiles: Sendable {
  /// The names of the files that are looked at; each may be absent.
  package static let names = [
    "vocab.txt", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
    "config.json",
  ]

  /// What messages call the directory.
  private let directory: String
  private let contents: [String: [UInt8]]

  /// The files of a directory.
  ///
  /// - Parameters:
  ///   - directory: What messages call the directory.
  ///   - contents: Bytes by file name, for those of ``names`` that are there.
  package init(directory: String, contents: [String: [UInt8]]) {
    self.directory = directory
    self.contents = contents
  }

  /// Settings and vocabulary as Hugging Face's `AutoTokenizer` would take them.
  ///
  /// tokenizer_config.json decides about letters and accents; what it does not say is BERT's default (lower
  /// case!), whatever tokenizer.json says. Only where it names no BERT class but `PreTrainedTokenizerFast`
  /// does tokenizer.json's own normalizer count. Tokens that were added behind the vocabulary become its last
  /// lines.
  ///
  /// - Returns: Both, and sentences for a person: what was taken for granted and may be wrong.
  /// - Throws: `Failure`: no input without a vocabulary; bad content for files that are damaged, contradict
  ///   each other, or describe another kind of tokenizer.
  package func read() throws -> (settings: TokenizerSettings, vocabulary: Vocabulary, notices: [String]) {
    let config = try readConfig()
    let json = try contents["tokenizer.json"].map { try TokenizerJSON($0, file: path("tokenizer.json")) }
    // Before the vocabulary: what another kind of tokenizer has instead of vocab.txt is not missing.
    var settings = try letters(config, json)
    var vocabulary = try readVocabulary(json)
    if config.tokenizerClass == nil { try vocabulary.requireWordPieces() }
    let notices = guesses(config, settings, vocabulary)
    if let token = config.specialTokens["unk_token"] { settings.unknownToken = token.content }
    if let token = config.specialTokens["cls_token"] { settings.classifierToken = token.content }
    if let token = config.specialTokens["sep_token"] { settings.separatorToken = token.content }
    if let token = config.specialTokens["pad_token"] { settings.paddingToken = token.content }
    if let token = config.specialTokens["mask_token"] { settings.maskToken = token.content }
    if let json {
      try json.checkTemplates(
        classifier: settings.classifierToken, separator: settings.separatorToken, file: path("tokenizer.json")
      )
      if json.unknownToken != settings.unknownToken {
        throw Failure(
          .badContent,
          "\(directory): the unknown token is “\(json.unknownToken)” in tokenizer.json and "
            + "“\(settings.unknownToken)” otherwise; let the files agree")
      }
    }
    try add(tokens(config, json), to: &settings, &vocabulary)
    return (settings, vocabulary, notices)
  }

  /// Says so where lower-casing is a default and the vocabulary was made for texts that keep their case.
  private func guesses(_ config: TokenizerConfig, _ settings: TokenizerSettings, _ vocabulary: Vocabulary) -> [String] {
    guard config.lowercase == nil, settings.lowercase else { return [] }
    let count = vocabulary.countOfCased
    guard count > 0 else { return [] }
    return [
      "\(directory): no file states do_lower_case, so texts are lower-cased, as is BERT's default, but \(count) "
        + "tokens of the vocabulary have upper-case letters and will never occur; for a cased model write "
        + #"{"do_lower_case": false} into tokenizer_config.json"#
    ]
  }

  private func path(_ name: String) -> String { directory.isEmpty ? name : "\(directory)/\(name)" }

  private func readConfig() throws -> TokenizerConfig {
    var config = TokenizerConfig()
    let name = "tokenizer_config.json"
    if let bytes = contents[name] { config = try TokenizerConfig(bytes, file: path(name)) }
    let map = "special_tokens_map.json"
    if let bytes = contents[map] { try config.readSpecialTokensMap(bytes, file: path(map)) }
    let added = "added_tokens.json"
    if contents["tokenizer.json"] == nil, let bytes = contents[added] {
      try config.readAddedTokens(bytes, file: path(added))
    }
    let model = "config.json"
    if let bytes = contents[model] { try config.readModelConfiguration(bytes, file: path(model)) }
    return config
  }

  /// The vocabulary of either file; where both have one they have to be the same.
  private func readVocabulary(_ json: TokenizerJSON?) throws -> Vocabulary {
    guard let bytes = contents["vocab.txt"] else {
      if let json { return json.vocabulary }
      throw Failure(
        .noInput, "\(directory): there is neither a vocab.txt nor a tokenizer.json; expected a vocabulary")
    }
    let lines = try Vocabulary(bytes, file: path("vocab.txt"))
    guard let json else { return lines }
    for id in 0..<Int32(max(lines.count, json.vocabulary.count)) {
      // Of a token that stands twice in vocab.txt, tokenizer.json has only the last.
      let line = lines.token(id).flatMap { lines.id(of: $0) == id ? $0 : "" } ?? ""
      let other = json.vocabulary.token(id) ?? ""
      if !line.utf8.elementsEqual(other.utf8) {
        throw Failure(
          .badContent,
          "\(directory): the token with id \(id) is “\(line)” in vocab.txt and “\(other)” in tokenizer.json; "
            + "remove the file that the model was not trained with")
      }
    }
    return lines
  }

  /// Whether letters and accents are kept, and ideographs isolated.
  private func letters(_ config: TokenizerConfig, _ json: TokenizerJSON?) throws -> TokenizerSettings {
    if let kind = config.wordTokenizer, kind != "basic" {
      throw Failure(
        .badContent,
        "\(path("tokenizer_config.json")): the word_tokenizer_type is “\(kind)”, expected basic; only BERT's own "
          + "way of cutting texts into words is supported")
    }
    switch config.tokenizerClass?.replacingSuffix("Fast") {
    case nil, "BertTokenizer", "DistilBertTokenizer", "ElectraTokenizer", "ConvBertTokenizer":
      return TokenizerSettings(
        lowercase: config.lowercase ?? true, stripAccents: config.stripAccents,
        tokenizeChineseChars: config.tokenizeChineseChars ?? true)
    // As Transformers 5 calls the same. Without any vocabulary that is what is said.
    case "PreTrainedTokenizer" where json != nil || contents["vocab.txt"] == nil,
      "TokenizersBackend" where json != nil || contents["vocab.txt"] == nil:
      return json?.normalizer ?? TokenizerSettings()
    case let other?:
      throw Failure(
        .badContent,
        "\(directory): the tokenizer_class is “\(other)”, expected BertTokenizer; only "
          + "BERT's WordPiece tokenizers are supported")
    }
  }

  /// All added tokens, those whose conditions count first.
  private func tokens(_ config: TokenizerConfig, _ json: TokenizerJSON?) -> [AddedToken] {
    let special = config.specialTokens.sorted { $0.key < $1.key }.map(\.value)
    return (json?.addedTokens ?? []) + (config.addedTokens ?? []) + special + config.additionalTokens
  }

  /// Enters added tokens into the settings and, where they are not in it yet, at the end of the vocabulary.
  private func add(
    _ tokens: [AddedToken], to settings: inout TokenizerSettings, _ vocabulary: inout Vocabulary
  ) throws {
    var seen: Set<[UInt8]> = [[]]
    var behind: [String] = []
    let ordered = tokens.enumerated().sorted {
      ($0.element.id ?? .max, $0.offset) < ($1.element.id ?? .max, $1.offset)
    }
    for (_, token) in ordered where seen.insert(Array(token.content.utf8)).inserted {
      try token.checkConditions(directory: directory)
      let isOwn = settings.specialTokens.contains(token.content)
      let known = vocabulary.id(of: token.content)
      // A special token that is nowhere is not given a row that the model does not have.
      if known == nil, isOwn, token.id == nil { continue }
      let id = known.map(Int.init) ?? vocabulary.count + behind.count
      if token.id ?? id != id {
        throw Failure(
          .badContent,
          "\(directory): the added token “\(token.content)” should have id \(token.id ?? id), but its place in "
            + "the vocabulary is \(id); the vocabulary is not the one the token was added to")
      }
      if known == nil { behind.append(token.content) }
      if !isOwn { settings.additionalTokens.append(token.content) }
    }
    if !behind.isEmpty { vocabulary = try vocabulary.appending(behind) }
  }
}

extension String {
  /// The string without an ending, if it has it.
  fileprivate func replacingSuffix(_ suffix: String) -> String {
    hasSuffix(suffix) ? String(dropLast(suffix.count)) : self
  }
}
