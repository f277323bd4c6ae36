import Failures

/// BERT's fast WordPiece tokenizer: text to the ids that Hugging Face's `BertTokenizerFast` gives.
///
/// It holds no state between calls: any number of threads may use one at once.
///
/// - SeeAlso: [Wu et al., 2016](https://arxiv.org/abs/1609.08144), §4.1, for pieces;
///   [Devlin et al., 2018](https://arxiv.org/abs/1810.04805), §3, for the sequence.
package final class WordPieceTokenizer: Sendable {
  /// The tokens and their ids.
  package let vocabulary: Vocabulary
  /// How text is normalised and what the special tokens are.
  package let settings: TokenizerSettings
  /// Id of the token for words without pieces.
  package let unknownID: Int32
  /// Id of the token that opens a sequence.
  package let classifierID: Int32
  /// Id of the token that closes a segment.
  package let separatorID: Int32
  /// Id of the token that fills a batch.
  package let paddingID: Int32
  /// Id of the token for masked-language modelling, if the vocabulary has it.
  package let maskID: Int32?

  private let splitter: WordSplitter
  private let pieces: PieceTrie

  /// A tokenizer over a vocabulary.
  ///
  /// - Throws: `Failure` (bad content) that names the vocabulary's file and the special token it lacks.
  package init(_ vocabulary: Vocabulary, _ settings: TokenizerSettings = TokenizerSettings()) throws {
    func id(_ token: String, _ role: String) throws -> Int32 {
      if let id = vocabulary.id(of: token), !token.isEmpty { return id }
      throw Failure(
        .badContent,
        "\(vocabulary.file): the vocabulary has no \(role) token “\(token)”; add it as a line of its own, "
          + "where the model expects it, or name the right one in tokenizer_config.json")
    }
    unknownID = try id(settings.unknownToken, "unknown")
    classifierID = try id(settings.classifierToken, "classifier")
    separatorID = try id(settings.separatorToken, "separator")
    paddingID = try id(settings.paddingToken, "padding")
    maskID = settings.maskToken.isEmpty ? nil : vocabulary.id(of: settings.maskToken)
    var cut = [
      (settings.unknownToken, unknownID), (settings.classifierToken, classifierID),
      (settings.separatorToken, separatorID), (settings.paddingToken, paddingID),
    ]
    if let maskID { cut.append((settings.maskToken, maskID)) }
    for token in settings.additionalTokens { cut.append((token, try id(token, "additional"))) }
    self.vocabulary = vocabulary
    self.settings = settings
    splitter = WordSplitter(settings, cutting: cut)
    pieces = PieceTrie(vocabulary)
  }

  /// Ids of all special tokens, which masked-language modelling leaves alone; ascending.
  package var specialIDs: [Int32] {
    let additional = settings.additionalTokens.compactMap { vocabulary.id(of: $0) }
    let all = [unknownID, classifierID, separatorID, paddingID] + (maskID.map { [$0] } ?? []) + additional
    return Set(all).sorted()
  }

  /// The mask token's id, for those who cannot do without.
  ///
  /// - Throws: `Failure` (bad content) where the vocabulary has none.
  package func requireMaskID() throws -> Int32 {
    if let maskID { return maskID }
    throw Failure(
      .badContent,
      "\(vocabulary.file): the vocabulary has no mask token “\(settings.maskToken)”, which masked-language "
        + "modelling needs; add it as a line of its own")
  }

  // MARK: Encoding

  /// Appends the tokens of a text, without special tokens around them.
  ///
  /// - Parameters:
  ///   - text: UTF-8; bytes that are not UTF-8 are passed over.
  ///   - ids: Where the tokens go; nothing else is allocated.
  ///   - limit: How many tokens are wanted at most; the rest of the text is not read.
  package func appendTokens(of text: Span<UInt8>, to ids: inout [Int32], limit: Int = .max) {
    guard limit > 0 else { return }
    let end = ids.count.addingReportingOverflow(limit)
    var sink = PieceSink(pieces: pieces, unknownID: unknownID, end: end.overflow ? .max : end.partialValue)
    swap(&sink.ids, &ids)
    splitter.split(text, into: &sink)
    swap(&sink.ids, &ids)
    if ids.count > sink.end { ids.removeLast(ids.count - sink.end) }
  }

  /// Appends `[CLS] text [SEP]`, the text cut from the right to fit.
  ///
  /// - Parameters:
  ///   - text: UTF-8; bytes that are not UTF-8 are passed over.
  ///   - maxLength: The most tokens, special ones included; the two are there even if it is less than 2.
  ///   - ids: Where the tokens go; nothing else is allocated.
  package func encode(_ text: Span<UInt8>, maxLength: Int, to ids: inout [Int32]) {
    ids.append(classifierID)
    appendTokens(of: text, to: &ids, limit: max(maxLength, 2) - 2)
    ids.append(separatorID)
  }

  /// The ids of `[CLS] text [SEP]`, the text cut from the right to fit `maxLength`.
  package func encode(_ text: String, maxLength: Int = .max) -> [Int32] {
    var ids: [Int32] = []
    encode(Array(text.utf8).span, maxLength: maxLength, to: &ids)
    return ids
  }
}

/// Appends the pieces of words until there are enough.
private struct PieceSink: WordSink {
  let pieces: PieceTrie
  let unknownID: Int32
  /// Count of ids at which to stop; the last word may go beyond.
  let end: Int
  var ids: [Int32] = []

  @inline(__always)
  mutating func word(_ scalars: Span<UInt32>) -> Bool {
    if !pieces.append(scalars, to: &ids) { ids.append(unknownID) }
    return ids.count < end
  }

  mutating func overlongWord() -> Bool { token(unknownID) }

  mutating func token(_ id: Int32) -> Bool {
    ids.append(id)
    return ids.count < end
  }
}
