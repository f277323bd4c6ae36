internal import Failures
package import FoundationEssentials
internal import JSON
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
  /// The names of the classes, by their number; nil where there are none, or what is there names no class by its number.
  package var labels: [String]?
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
    var file: ConfigurationReader
    do {
      file = try ConfigurationReader(
        JSONValue(Array(json), source: source, limit: JSONValue.largestModelConfiguration), source: source)
    } catch {
      throw Failure(.badContent, "\(error); pass the config.json that came with the model.")
    }
    try BERTConfiguration.refuseOtherArchitectures(&file)
    vocabularySize = try file.wholeNumber("vocab_size") ?? vocabularySize
    hiddenSize = try file.wholeNumber("hidden_size") ?? hiddenSize
    layerCount = try file.wholeNumber("num_hidden_layers") ?? layerCount
    attentionHeadCount = try file.wholeNumber("num_attention_heads") ?? attentionHeadCount
    intermediateSize = try file.wholeNumber("intermediate_size") ?? intermediateSize
    hiddenDropout = try file.float("hidden_dropout_prob") ?? hiddenDropout
    attentionDropout = try file.float("attention_probs_dropout_prob") ?? attentionDropout
    classifierDropout = try file.float("classifier_dropout")
    positionCount = try file.wholeNumber("max_position_embeddings") ?? positionCount
    typeCount = try file.wholeNumber("type_vocab_size") ?? typeCount
    initializerRange = try file.float("initializer_range") ?? initializerRange
    layerNormEpsilon = try file.float("layer_norm_eps") ?? layerNormEpsilon
    padTokenID = try file.wholeNumber("pad_token_id") ?? padTokenID
    // To Python's libraries null is as good as false, and only a key that is left out means true.
    tiesWordEmbeddings = try file.boolean("tie_word_embeddings") ?? !file.has("tie_word_embeddings")
    // To compute, how many there are is all that counts.
    if let names = file.value("id2label") {
      guard case .object(let members) = names else { throw file.failure("id2label", names, "an object of texts") }
      labelCount = members.count
      labels = BERTConfiguration.names(members)
    }
    if let name = try file.string("hidden_act") {
      guard let activation = Activation(configurationName: name) else {
        throw Failure(
          .badContent,
          "\(source): hidden_act is \"\(name)\", expected \(Activation.namesText).")
      }
      self.activation = activation
    }
    try validate(source)
  }

  /// The names of classes by their number, each once; nil when they are not that.
  private static func names(_ members: [JSONValue.Member]) -> [String]? {
    var names: [String: String] = [:]
    for member in members {
      guard case .string(let name) = member.value else { return nil }
      names[member.key] = name
    }
    let ordered = members.indices.compactMap { names[String($0)] }
    return ordered.count == members.count && Set(ordered).count == ordered.count ? ordered : nil
  }

  private static func refuseOtherArchitectures(_ file: inout ConfigurationReader) throws {
    let source = file.source
    func refuse(_ found: String, _ expected: String) -> Failure {
      Failure(.badContent, "\(source): \(found), expected \(expected); only BERT encoders can be fine-tuned.")
    }
    for (key, expected) in [("model_type", "bert"), ("position_embedding_type", "absolute")] {
      if let found = try file.string(key), found != expected {
        throw refuse("\(key) is \(found.quoted)", "\"\(expected)\"")
      }
    }
    for key in ["is_decoder", "add_cross_attention"] where try file.boolean(key) == true {
      throw refuse("\(key) is true", "false")
    }
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

extension ConfigurationReader {
  /// The number under a key as a `Float`.
  /// - Throws: `Failure(.badContent)` when it is something else.
  fileprivate mutating func float(_ key: String) throws -> Float? { try number(key).map { Float($0) } }
}
