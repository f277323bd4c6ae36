internal import Failures
package import FoundationEssentials
package import Kernels
package import Tensors

/// The shape of a BERT model and what changes its computation, as `config.json` of a Hugging Face directory says it.
///
/// Unknown keys are ignored; a missing key has the default of the reference (`bert-base-uncased`'s shape).
package struct BERTConfiguration: Sendable, Equatable {
  /// How many token ids there are.
  package var vocabularySize = 30_522
  /// The width of an activation.
  package var hiddenSize = 768
  /// How many encoder layers.
  package var layerCount = 12
  /// How many attention heads a layer has; divides `hiddenSize`.
  package var attentionHeadCount = 12
  /// The width of the feed-forward block.
  package var intermediateSize = 3072
  /// The feed-forward block's non-linearity.
  package var activation = Activation.gelu
  /// Dropout after the embeddings and at the end of each block.
  package var hiddenDropout: Float = 0.1
  /// Dropout on attention probabilities.
  package var attentionDropout: Float = 0.1
  /// Dropout on the pooled output; `hiddenDropout` when nil.
  package var classifierDropout: Float?
  /// How many positions there are: the longest possible review.
  package var positionCount = 512
  /// How many token types.
  package var typeCount = 2
  /// The standard deviation that weights start with.
  package var initializerRange: Float = 0.02
  /// Added to the variance in layer normalisation.
  package var layerNormEpsilon: Float = 1e-12
  /// The id of the padding token, whose embedding gets no gradient.
  package var padTokenID = 0
  /// How many classes; the number of `id2label` entries.
  package var labelCount = 2
  /// Which head reads the last layer, in classification.
  package var head = HeadDesign.pooled
  /// What the model is trained for.
  package var task = ModelTask.classification
  /// Whether hidden tokens are decoded with the table of token embeddings.
  package var tiesWordEmbeddings = true
  /// In which precision the encoder's weights and the token embeddings are kept for products and look-ups.
  package var precision = Precision.fp32

  /// The defaults of the reference.
  package init() {}

  /// Reads `config.json`.
  /// - Parameters:
  ///   - json: Its bytes.
  ///   - source: Its path, for messages.
  /// - Throws: `Failure` with a sentence when it is not JSON, is not a BERT encoder, or asks for what we do not have.
  package init(json: Data, source: String) throws {
    let file: ConfigurationFile
    do {
      file = try JSONDecoder().decode(ConfigurationFile.self, from: json)
    } catch let DecodingError.typeMismatch(type, context) where !context.codingPath.isEmpty {
      throw ConfigurationFile.wrongValue(source, context.codingPath, type)
    } catch {
      throw Failure(.badContent, "\(source) is not a JSON object; pass the config.json that came with the model.")
    }
    try file.refuseOtherArchitectures(source)
    vocabularySize = file.vocab_size?.value ?? vocabularySize
    hiddenSize = file.hidden_size?.value ?? hiddenSize
    layerCount = file.num_hidden_layers?.value ?? layerCount
    attentionHeadCount = file.num_attention_heads?.value ?? attentionHeadCount
    intermediateSize = file.intermediate_size?.value ?? intermediateSize
    hiddenDropout = file.hidden_dropout_prob ?? hiddenDropout
    attentionDropout = file.attention_probs_dropout_prob ?? attentionDropout
    classifierDropout = file.classifier_dropout
    positionCount = file.max_position_embeddings?.value ?? positionCount
    typeCount = file.type_vocab_size?.value ?? typeCount
    initializerRange = file.initializer_range ?? initializerRange
    layerNormEpsilon = file.layer_norm_eps ?? layerNormEpsilon
    padTokenID = file.pad_token_id?.value ?? padTokenID
    labelCount = file.id2label?.count ?? 2
    tiesWordEmbeddings = file.tie_word_embeddings ?? true
    if let name = file.hidden_act {
      guard let activation = Activation(configurationName: name) else {
        throw Failure(
          .badContent,
          "\(source): hidden_act is \"\(name)\", expected gelu, gelu_new, relu, swish or tanh.")
      }
      self.activation = activation
    }
    try validate(source)
  }

  private func validate(_ source: String) throws {
    func require(_ holds: Bool, _ message: String) throws {
      if !holds { throw Failure(.badContent, "\(source): \(message)") }
    }
    let sizes = [
      ("vocab_size", vocabularySize), ("hidden_size", hiddenSize), ("num_hidden_layers", layerCount),
      ("num_attention_heads", attentionHeadCount), ("intermediate_size", intermediateSize),
      ("max_position_embeddings", positionCount), ("type_vocab_size", typeCount),
    ]
    for (key, value) in sizes {
      try require((1...(1 << 24)).contains(value), "\(key) is \(value), expected a number from 1 to 16,777,216.")
    }
    try require(
      hiddenSize % attentionHeadCount == 0,
      "hidden_size \(hiddenSize) is not a multiple of num_attention_heads \(attentionHeadCount).")
    let probabilities = [
      ("hidden_dropout_prob", hiddenDropout), ("attention_probs_dropout_prob", attentionDropout),
      ("classifier_dropout", classifierDropout ?? 0),
    ]
    for (key, value) in probabilities {
      try require((0..<1).contains(value), "\(key) is \(value), expected a probability from 0 to below 1.")
    }
    try require(labelCount >= 1, "id2label is empty, expected a name for each class.")
    try require(initializerRange >= 0, "initializer_range is \(initializerRange), expected 0 or more.")
    try require(layerNormEpsilon >= 0, "layer_norm_eps is \(layerNormEpsilon), expected 0 or more.")
    try require(
      (0..<vocabularySize).contains(padTokenID), "pad_token_id \(padTokenID) is outside the vocabulary.")
  }

  /// Dropout on the pooled output.
  package var pooledDropout: Float { classifierDropout ?? hiddenDropout }
}

/// What a model is trained for: which head it has, and what the head reads.
package enum ModelTask: Sendable, Equatable {
  /// A class for each review.
  case classification
  /// The tokens that were hidden; with `nextSentence`, whether a text's second segment follows its first one, too.
  case maskedLanguage(nextSentence: Bool)

  /// Whether the decoder of the head is the table of token embeddings, so that a step touches all of its rows.
  package var decodesByEmbeddings: Bool { self != .classification }
}

/// A whole number; `JSONDecoder` says of a file with a fraction in the place of an `Int` that it is not JSON.
private struct WholeNumber: Decodable {
  let value: Int

  init(from decoder: any Decoder) throws {
    let number = try decoder.singleValueContainer().decode(Double.self)
    guard let value = Int(exactly: number) else {
      throw DecodingError.typeMismatch(
        Int.self, DecodingError.Context(codingPath: decoder.codingPath, debugDescription: ""))
    }
    self.value = value
  }
}

/// The keys of `config.json` that change the computation, under their published names.
private struct ConfigurationFile: Decodable {
  // The names are those of the file.
  // swift-format-ignore: AlwaysUseLowerCamelCase
  let model_type: String?, hidden_act: String?, position_embedding_type: String?
  // swift-format-ignore: AlwaysUseLowerCamelCase
  let vocab_size: WholeNumber?, hidden_size: WholeNumber?, num_hidden_layers: WholeNumber?
  // swift-format-ignore: AlwaysUseLowerCamelCase
  let num_attention_heads: WholeNumber?, intermediate_size: WholeNumber?
  // swift-format-ignore: AlwaysUseLowerCamelCase
  let max_position_embeddings: WholeNumber?, type_vocab_size: WholeNumber?, pad_token_id: WholeNumber?
  // swift-format-ignore: AlwaysUseLowerCamelCase
  let hidden_dropout_prob: Float?, attention_probs_dropout_prob: Float?, classifier_dropout: Float?
  // swift-format-ignore: AlwaysUseLowerCamelCase
  let initializer_range: Float?, layer_norm_eps: Float?
  // swift-format-ignore: AlwaysUseLowerCamelCase
  let is_decoder: Bool?, add_cross_attention: Bool?
  /// Names of classes; how many is all that counts here.
  let id2label: [String: Anything]?
  // swift-format-ignore: AlwaysUseLowerCamelCase
  let tie_word_embeddings: Bool?

  /// Any value at all.
  struct Anything: Decodable {
    init(from decoder: any Decoder) throws {}
  }

  /// What is said of a value that its key cannot have: text for a number, a fraction for a count.
  static func wrongValue(_ source: String, _ path: [any CodingKey], _ type: any Any.Type) -> Failure {
    let key = path.map(\.stringValue).joined(separator: ".")
    let expected =
      switch type {
      case is Int.Type: "a whole number"
      case is Float.Type, is Double.Type: "a number"
      case is Bool.Type: "true or false"
      case is String.Type: "a text"
      default: "an object of texts"
      }
    return Failure(.badContent, "\(source): \(key) is of another kind, expected \(expected).")
  }

  func refuseOtherArchitectures(_ source: String) throws {
    func refuse(_ found: String, _ expected: String) -> Failure {
      Failure(.badContent, "\(source): \(found), expected \(expected); only BERT encoders can be fine-tuned.")
    }
    if let found = model_type, found != "bert" { throw refuse("model_type is \"\(found)\"", "\"bert\"") }
    if let found = position_embedding_type, found != "absolute" {
      throw refuse("position_embedding_type is \"\(found)\"", "\"absolute\"")
    }
    if is_decoder == true { throw refuse("is_decoder is true", "false") }
    if add_cross_attention == true { throw refuse("add_cross_attention is true", "false") }
  }
}
