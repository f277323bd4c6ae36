import BERT
import Failures
import FoundationEssentials
import Kernels
import Testing

/// `config.json`: what is read, what it is when left out, and what is refused with which sentence.
@Suite
struct BERTConfigurationTests {
  static func read(_ json: String) throws -> BERTConfiguration {
    try BERTConfiguration(json: Data(json.utf8), source: "base/config.json")
  }

  /// The defaults of the reference, for a file that says nothing.
  @Test(arguments: [
    "{}", #"{"model_type": "bert"}"#, #"{"hidden_size": null, "hidden_act": null, "id2label": null}"#,
  ])
  func defaults(_ json: String) throws {
    let c = try Self.read(json)
    #expect(c == BERTConfiguration())
    #expect(c.vocabularySize == 30_522 && c.hiddenSize == 768 && c.layerCount == 12)
    #expect(c.attentionHeadCount == 12 && c.intermediateSize == 3072 && c.activation == .gelu)
    #expect(c.hiddenDropout == 0.1 && c.attentionDropout == 0.1 && c.classifierDropout == nil)
    #expect(c.positionCount == 512 && c.typeCount == 2 && c.initializerRange == 0.02)
    #expect(c.layerNormEpsilon == 1e-12 && c.padTokenID == 0 && c.labelCount == 2 && c.pooledDropout == 0.1)
  }

  @Test
  func everyKey() throws {
    let c = try Self.read(
      """
      {"vocab_size": 119547, "hidden_size": 96, "num_hidden_layers": 3, "num_attention_heads": 8,
       "intermediate_size": 200, "hidden_act": "gelu_pytorch_tanh", "hidden_dropout_prob": 0.25,
       "attention_probs_dropout_prob": 0, "classifier_dropout": 0.5, "max_position_embeddings": 64,
       "type_vocab_size": 4, "initializer_range": 0.03, "layer_norm_eps": 1e-5, "pad_token_id": 7,
       "id2label": {"0": "bad", "1": "so so", "2": "good"}, "position_embedding_type": "absolute",
       "is_decoder": false, "add_cross_attention": false, "model_type": "bert"}
      """)
    #expect(
      c.vocabularySize == 119_547 && c.hiddenSize == 96 && c.layerCount == 3 && c.attentionHeadCount == 8)
    #expect(c.intermediateSize == 200 && c.activation == .geluTanh && c.hiddenDropout == 0.25)
    #expect(c.attentionDropout == 0 && c.classifierDropout == 0.5 && c.pooledDropout == 0.5)
    #expect(c.positionCount == 64 && c.typeCount == 4 && c.initializerRange == 0.03)
    #expect(c.layerNormEpsilon == 1e-5 && c.padTokenID == 7 && c.labelCount == 3)
  }

  /// Dead keys of old checkpoints, keys of newer libraries, and what does not change the computation.
  @Test
  func unknownKeys() throws {
    let c = try Self.read(
      """
      {"directionality": "bidi", "pooler_fc_size": 768, "pooler_type": "first_token_transform", "dtype": "float32",
       "architectures": ["BertForMaskedLM"], "chunk_size_feed_forward": 4, "label2id": {"a": 0}, "future": [1, {}],
       "transformers_version": "4.57.6", "gradient_checkpointing": true, "use_cache": true,
       "best_loss": NaN, "limits": [Infinity, -Infinity]}
      """)
    #expect(c == BERTConfiguration())
  }

  /// Transformers saves whatever the names are, and a masked-language model may have a decoder of its own.
  @Test
  func namesOfClassesAndTiedWeights() throws {
    let c = try Self.read(#"{"id2label": {"0": 0, "1": null, "2": "c"}, "tie_word_embeddings": false}"#)
    #expect(c.labelCount == 3 && !c.tiesWordEmbeddings)
    #expect(c.labels == nil)
    #expect(try Self.read(#"{"id2label": {"1": "good", "0": "bad"}}"#).labels == ["bad", "good"])
    for odd in [#"{"0": "a", "1": "a"}"#, #"{"0": "a", "2": "b"}"#, #"{"a": "0", "b": "1"}"#] {
      let names = try Self.read(#"{"id2label": \#(odd)}"#)
      #expect(names.labelCount == 2 && names.labels == nil)
    }
    #expect(try Self.read("{}").tiesWordEmbeddings)
    #expect(try !Self.read(#"{"tie_word_embeddings": null}"#).tiesWordEmbeddings)
  }

  @Test(arguments: [
    ("gelu_python", Activation.gelu), ("gelu_fast", .geluTanh), ("gelu_accurate", .geluTanh),
    ("gelu_python_tanh", .geluTanh),
    ("silu", .swish),
  ])
  func namesOfActivations(_ name: String, _ expected: Activation) throws {
    #expect(try Self.read(#"{"hidden_act": "\#(name)"}"#).activation == expected)
  }

  @Test
  func headDropoutFollowsHiddenDropout() throws {
    #expect(try Self.read(#"{"hidden_dropout_prob": 0.3}"#).pooledDropout == 0.3)
    #expect(try Self.read(#"{"hidden_dropout_prob": 0.3, "classifier_dropout": 0}"#).pooledDropout == 0)
  }

  /// A file, and the words that the sentence about it must have: where, what was found, what was expected.
  static let refusals: [(json: String, words: [String])] = [
    (#"{"model_type": "roberta"}"#, ["model_type", "'roberta'", "\"bert\""]),
    (
      #"{"position_embedding_type": "relative_key"}"#,
      ["position_embedding_type", "relative_key", "absolute"]
    ),
    (#"{"is_decoder": true}"#, ["is_decoder is true"]),
    (#"{"add_cross_attention": true}"#, ["add_cross_attention is true"]),
    (#"{"hidden_act": "mish"}"#, ["hidden_act", "\"mish\"", "gelu", "relu"]),
    (#"{"vocab_size": 0}"#, ["vocab_size is 0"]), (#"{"hidden_size": -768}"#, ["hidden_size is -768"]),
    (#"{"num_hidden_layers": 0}"#, ["num_hidden_layers is 0"]),
    (#"{"num_attention_heads": 0}"#, ["num_attention_heads is 0"]),
    (#"{"intermediate_size": 0}"#, ["intermediate_size is 0"]),
    (#"{"max_position_embeddings": 0}"#, ["max_position_embeddings is 0"]),
    (#"{"type_vocab_size": 0}"#, ["type_vocab_size is 0"]),
    (#"{"hidden_size": 9223372036854775807}"#, ["hidden_size is 9223372036854775807", "16,777,216"]),
    (#"{"num_attention_heads": 7}"#, ["hidden_size 768", "multiple", "num_attention_heads 7"]),
    (#"{"hidden_dropout_prob": 1}"#, ["hidden_dropout_prob is 1"]),
    (#"{"hidden_dropout_prob": -0.1}"#, ["hidden_dropout_prob is -0.1"]),
    (#"{"attention_probs_dropout_prob": 1.5}"#, ["attention_probs_dropout_prob is 1.5"]),
    (#"{"classifier_dropout": 2}"#, ["classifier_dropout is 2"]),
    (#"{"layer_norm_eps": -1}"#, ["layer_norm_eps is -1"]),
    (#"{"initializer_range": -0.02}"#, ["initializer_range is -0.02"]),
    (#"{"pad_token_id": 30522}"#, ["pad_token_id 30522"]), (#"{"pad_token_id": -1}"#, ["pad_token_id -1"]),
    (#"{"id2label": {}}"#, ["id2label"]),
    (#"{"hidden_size": "768"}"#, ["hidden_size", "number"]), (#"{"id2label": ["a", "b"]}"#, ["id2label"]),
    (#"{"model_type": 3}"#, ["model_type", "a string"]),
    (#"{"hidden_size": 76.5}"#, ["hidden_size", "whole number"]),
    (#"{"vocab_size": 1e30}"#, ["vocab_size", "whole number"]),
    (#"{"layer_norm_eps": NaN}"#, ["layer_norm_eps", "NaN", "a number"]),
    ("", ["pass the config.json"]), ("[]", ["pass the config.json"]), ("3", ["pass the config.json"]),
    ("{\"hidden_size\": 768", ["pass the config.json"]), ("<html>", ["pass the config.json"]),
    // Foundation's decoder crashes on 513 of them.
    (String(repeating: "[", count: 513), ["nested deeper", "pass the config.json"]),
    (String(repeating: "[", count: 100_000), ["pass the config.json"]),
  ]

  @Test(arguments: refusals.indices)
  func refused(_ index: Int) {
    let (json, words) = Self.refusals[index]
    do {
      _ = try Self.read(json)
      Issue.record("accepted \(json.prefix(80))")
    } catch let failure as Failure {
      #expect(failure.kind == .badContent)
      let message = failure.message
      #expect(message.hasPrefix("base/config.json"), "\(message)")
      #expect(words.allSatisfy { message.contains($0) }, "\(message)")
      #expect(!message.contains("\n"), "\(message)")
    } catch {
      Issue.record("\(error) for \(json.prefix(80))")
    }
  }

  @Test
  func bytesThatAreNotText() {
    #expect(throws: Failure.self) {
      try BERTConfiguration(json: Data([0x7B, 0x22, 0xFF, 0xFE, 0x22, 0x3A, 0x31, 0x7D]), source: "c")
    }
  }
}
