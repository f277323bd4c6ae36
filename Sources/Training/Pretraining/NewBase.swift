internal import BERT
internal import Datasets
internal import Failures
internal import FoundationEssentials
internal import JSON
internal import Tokenization

extension Base {
  /// A base of a shape that starts at random, over a vocabulary.
  /// - Parameters:
  ///   - shape: Its size.
  ///   - path: The path of a vocab.txt.
  ///   - lowercase: Whether its tokenizer lower-cases.
  /// - Throws: `Failure` when the vocabulary cannot be read or is none.
  convenience init(_ shape: PretrainingOptions.Shape, vocabulary path: String, lowercase: Bool) throws {
    let tokens = try Vocabulary(fileContents(of: path, option: "--vocabulary"), file: path)
    try tokens.requireWordPieces()
    var settings = TokenizerSettings()
    settings.lowercase = lowercase
    let json = Data(
      """
      {"architectures": ["BertForMaskedLM"], "model_type": "bert", "vocab_size": \(tokens.count),
       "hidden_size": \(shape.hidden), "num_hidden_layers": \(shape.layers),
       "num_attention_heads": \(shape.heads), "intermediate_size": \(shape.intermediate),
       "max_position_embeddings": \(shape.positions), "type_vocab_size": 2, "hidden_act": "gelu",
       "hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1, "initializer_range": 0.02,
       "layer_norm_eps": 1e-12, "pad_token_id": \(tokens.id(of: settings.paddingToken) ?? 0)}
      """.utf8)
    self.init(
      random: try BERTConfiguration(json: json, source: "--shape"), json: json, vocabulary: tokens.bytes,
      tokenizerSettings: settings, name: "a model of --shape over \(path)")
  }
}

/// What Transformers calls a model by its heads.
enum Architecture: String {
  /// Hidden tokens.
  case tokens = "BertForMaskedLM"
  /// Hidden tokens and pairs of sentences.
  case pairs = "BertForPreTraining"
}

extension Data {
  /// A `config.json` that names an architecture.
  /// - Throws: `Failure` when it is not JSON.
  func naming(architecture: Architecture) throws -> Data {
    let json = try JSONValue(
      Array(self), source: "the base's config.json", limit: JSONValue.largestModelConfiguration)
    guard case .object(let members) = json else {
      throw Failure(.badContent, "the base's config.json is not a JSON object")
    }
    let kept = members.filter { $0.key != "architectures" }
    let named = JSONValue.Member(key: "architectures", value: .array([.string(architecture.rawValue)]))
    return Data(JSONValue.object([named] + kept).fileBytes)
  }
}
