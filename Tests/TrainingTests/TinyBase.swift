import BERT
import Demo
import FoundationEssentials
import Interchange
import Tensors
import TestSupport

/// A base of two layers with made-up weights, and labelled reviews, as files that a run reads.
struct TinyBase {
  /// A Hugging Face directory.
  let base: String
  /// 40 reviews.
  let trainFile: String
  /// 30 reviews.
  let testFile: String

  static let configurationJSON = """
    {"model_type": "bert", "vocab_size": \(DemoVocabulary.entries.count), "hidden_size": 24,
     "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 40, "max_position_embeddings": 40,
     "type_vocab_size": 2, "hidden_act": "gelu", "hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1,
     "initializer_range": 0.1, "layer_norm_eps": 1e-12, "pad_token_id": 0}
    """

  /// Writes all of it into a directory.
  /// - Throws: What writing throws.
  init(in directory: TemporaryDirectory) throws {
    base = directory.path("base")
    try directory.write(TinyBase.configurationJSON, to: "base/config.json")
    try directory.write(#"{"do_lower_case": false}"#, to: "base/tokenizer_config.json")
    try directory.write(DemoVocabulary.fileContent, to: "base/vocab.txt")
    let shape = try BERTConfiguration(json: Data(TinyBase.configurationJSON.utf8), source: "config.json")
    let tensors = shape.parameters { _ in false }.filter { !HeadDesign.owns($0.name) }
      .map { TensorEntry(name: $0.name, shape: $0.shape) }
    try SafeTensors.write(tensors, to: base + "/model.safetensors") { entry, values in
      var numbers = MadeUpNumbers(entry.name.utf8.reduce(3) { ($0 &* 31 &+ Int($1)) & 0xFFFF })
      let centre: Float = entry.name.hasSuffix("LayerNorm.weight") ? 1 : 0
      for i in values.indices { values[i] = centre + numbers.number(in: -0.15...0.15) }
    }
    let (train, test) = DemoCorpus.generate(seed: 3, trainCount: 40, testCount: 30)
    trainFile = try directory.write(DemoCorpus.table(train), to: "train.tsv")
    testFile = try directory.write(DemoCorpus.table(test), to: "test.tsv")
  }
}
