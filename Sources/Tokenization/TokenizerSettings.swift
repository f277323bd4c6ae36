/// How a BERT checkpoint's text becomes tokens: everything besides the vocabulary.
///
/// The defaults are those of Hugging Face's `BertTokenizerFast`: lower case, and accents stripped with it.
package struct TokenizerSettings: Codable, Equatable, Sendable {
  /// Whether text is lower-cased, code point by code point.
  package var lowercase: Bool
  /// Whether text is decomposed (NFD) and its accents dropped; nil follows ``lowercase``.
  package var stripAccents: Bool?
  /// Whether every Chinese character is a word of its own.
  package var tokenizeChineseChars: Bool

  /// The token of a word that has no pieces in the vocabulary.
  package var unknownToken: String
  /// The token that opens every sequence.
  package var classifierToken: String
  /// The token that closes every segment.
  package var separatorToken: String
  /// The token that fills a batch.
  package var paddingToken: String
  /// The token that hides another in masked-language modelling.
  package var maskToken: String
  /// Further tokens of the vocabulary that are cut out of the raw text wherever they stand.
  package var additionalTokens: [String]

  /// Settings with BERT's own special tokens, unless told otherwise.
  package init(
    lowercase: Bool = true, stripAccents: Bool? = nil, tokenizeChineseChars: Bool = true,
    unknownToken: String = "[UNK]", classifierToken: String = "[CLS]", separatorToken: String = "[SEP]",
    paddingToken: String = "[PAD]", maskToken: String = "[MASK]", additionalTokens: [String] = []
  ) {
    self.lowercase = lowercase
    self.stripAccents = stripAccents
    self.tokenizeChineseChars = tokenizeChineseChars
    self.unknownToken = unknownToken
    self.classifierToken = classifierToken
    self.separatorToken = separatorToken
    self.paddingToken = paddingToken
    self.maskToken = maskToken
    self.additionalTokens = additionalTokens
  }

  /// What is done to letters, for a person.
  package var summary: String {
    [
      lowercase ? "lower-cases" : "keeps case", stripsAccents ? "strips accents" : "keeps accents",
      tokenizeChineseChars ? "Chinese characters are words of their own" : "Chinese characters are letters of a word",
    ].joined(separator: ", ")
  }

  /// The five special tokens.
  package var specialTokens: [String] {
    [unknownToken, classifierToken, separatorToken, paddingToken, maskToken]
  }

  /// What ``stripAccents`` comes to when it is left to ``lowercase``.
  var stripsAccents: Bool { stripAccents ?? lowercase }
}
