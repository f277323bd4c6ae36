internal import BERT
internal import Failures
internal import Interchange
internal import Tensors
package import Tokenization

extension Base {
  /// Makes sure that it has what training needs of a base: every tensor of the embeddings and the encoder, and a
  /// vocabulary that its tokenizer can use and its model has room for.
  /// - Returns: Its tokenizer.
  /// - Throws: `Failure(.badContent)` that says what is missing.
  @discardableResult
  package func requireUsable() throws -> WordPieceTokenizer {
    for parameter in configuration.parameters(isTrainable: { _ in false })
    where BERTConfiguration.isOfEncoder(parameter.name) {
      try require(parameter.name, shape: parameter.shape)
    }
    return try WordPieceTokenizer(vocabulary, tokenizerSettings, ofBase: path, configuration)
  }

  /// Says what of a vocabulary that can be used looks as if it were another model's, or damaged.
  /// - Returns: Sentences for a person, or none.
  package func notices(on tokenizer: WordPieceTokenizer) -> [String] {
    let (vocabulary, rows) = (tokenizer.vocabulary, configuration.vocabularySize)
    let count = vocabulary.countOfNamed
    var notices: [String] = []
    // Some publishers fill the table up to a round number.
    if count < rows {
      notices.append(
        "\(path): the vocabulary has \(count) tokens for \(rows) rows of the embeddings; those beyond are never looked up"
      )
    }
    if let (token, first, last) = vocabulary.firstRepeated {
      notices.append(
        "\(path): the token \(token) stands on lines \(first + 1) and \(last + 1) of the vocabulary; the last one counts"
      )
    }
    return notices
  }

  /// How many classes its own head tells apart; nil when it has none.
  package var classCount: Int? {
    let (count, width) = (configuration.labelCount, configuration.hiddenSize)
    return shape("classifier.weight") == [count, width] && shape("classifier.bias") == [count] ? count : nil
  }

  /// Says which tensors of a base nothing will use, because they are of layers that its configuration does not have.
  /// - Parameters:
  ///   - names: The names of its tensors.
  ///   - configuration: Its shape.
  ///   - path: What the base is called.
  /// - Returns: A sentence for a person, or none.
  static func unusedLayers(_ names: [String], _ configuration: BERTConfiguration, _ path: String) -> [String] {
    let beyond = names.compactMap { PublishedName.layer(in: $0)?.number }.filter { $0 >= configuration.layerCount }
    guard let first = beyond.min(), let last = beyond.max() else { return [] }
    let layers = first == last ? "layer \(first)" : "layers \(first) to \(last)"
    return [
      "\(path): \(beyond.count) tensors of \(layers), counted from 0, are not used, because num_hidden_layers is \(configuration.layerCount)"
    ]
  }

  /// Whether a tensor of a directory is left out: one of whole numbers that is none of a model's parameters, such as a
  /// buffer that an old version of Transformers saved.
  static func isBuffer(_ entry: TensorEntry, besides parameters: Set<String>) -> Bool {
    entry.element.isInteger && !parameters.contains(entry.name)
  }
}

extension BERTConfiguration {
  /// Whether a parameter is one that every base has: of the embeddings or the encoder.
  static func isOfEncoder(_ name: String) -> Bool {
    name.hasPrefix("bert.embeddings.") || name.hasPrefix("bert.encoder.")
  }

  /// The names that a base of this shape can have, whatever a method adds.
  var publishedNames: Set<String> {
    var names: Set<String> = []
    for task in [ModelTask.classification, .maskedLanguage(nextSentence: true)] {
      var shape = self
      shape.task = task
      names.formUnion(shape.parameters { _ in false }.map(\.name))
    }
    return names
  }
}

extension WordPieceTokenizer {
  /// The tokenizer of a base.
  /// - Parameters:
  ///   - vocabulary: The vocabulary, one token a line.
  ///   - settings: How texts are cut.
  ///   - name: What messages call the base.
  ///   - configuration: The base's shape.
  /// - Throws: `Failure(.badContent)` when the vocabulary lacks a special token, or has more tokens than the model.
  convenience init(
    _ vocabulary: [UInt8], _ settings: TokenizerSettings, ofBase name: String, _ configuration: BERTConfiguration
  ) throws {
    try self.init(Vocabulary(vocabulary, file: name + ", vocab.txt"), settings)
    // Empty lines at the end stand for nothing.
    guard self.vocabulary.countOfNamed <= configuration.vocabularySize else {
      throw Failure(
        .badContent,
        "\(name): the vocabulary has \(self.vocabulary.count) tokens, but vocab_size is \(configuration.vocabularySize); they do not belong together."
      )
    }
  }
}
