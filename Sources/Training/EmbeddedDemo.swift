internal import BERT
internal import Datasets
internal import Demo
internal import Failures
internal import FoundationEssentials
internal import Tokenization

/// The demo that runs when neither base nor data are named: generated reviews and a tiny BERT that starts at random.
package enum EmbeddedDemo {
  /// How often the demo sees every review.
  package static let epochs = 6

  /// The options of the demo, where the person asked for nothing else: a model from scratch takes larger steps.
  package static func adjust(_ run: inout TrainingConfiguration) {
    run.maxLength = 48
    run.epochs = epochs
    run.learningRate = run.learningRate ?? (run.method == "full" ? 1e-3 : 5e-3)
  }

  /// The tiny model's `config.json`.
  static func configurationJSON(vocabularySize: Int) -> Data {
    Data(
      """
      {"model_type": "bert", "vocab_size": \(vocabularySize), "hidden_size": 64, "num_hidden_layers": 2,
       "num_attention_heads": 4, "intermediate_size": 256, "max_position_embeddings": 64, "type_vocab_size": 2,
       "hidden_act": "gelu", "hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1,
       "initializer_range": 0.1, "layer_norm_eps": 1e-12, "pad_token_id": 0}
      """.utf8)
  }

  /// The tiny model.
  static func base() throws -> Base {
    let vocabulary = Array(DemoVocabulary.fileContent.utf8)
    let count = try Vocabulary(vocabulary, file: "the demo's vocabulary").count
    let json = configurationJSON(vocabularySize: count)
    var settings = TokenizerSettings()
    settings.lowercase = false
    return Base(
      random: try BERTConfiguration(json: json, source: "the embedded demo"), json: json,
      vocabulary: vocabulary, tokenizerSettings: settings)
  }

  /// The generated reviews.
  static func datasets(seed: UInt32) -> (training: Dataset, validation: Dataset?, test: Dataset?) {
    let corpus = DemoCorpus.generate(seed: seed, trainCount: 8000, testCount: 1000)
    let dataset = { (name: String, reviews: [DemoCorpus.Review]) in
      Dataset(name: name, texts: reviews.map(\.text), labels: reviews.map(\.label))
    }
    return (
      dataset("the demo's training reviews", corpus.train), nil,
      dataset("the demo's test reviews", corpus.test)
    )
  }
}
