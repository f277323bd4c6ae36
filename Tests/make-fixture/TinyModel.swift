import BERT
import Demo
import FoundationEssentials
import Interchange
import Randomness
import Tensors

/// A BERT of two layers with random weights, in every form that a base may have, sound and damaged.
enum TinyModel {
  /// Writes the directories `base`, `base bin`, `base sharded`, `base other`, `base with a hole`, `base with no number`,
  /// `base with a buffer`, `base without a pooler`, and damaged ones.
  static func writeAll(in directory: String) throws {
    let tensors = try entries()
    func add(_ name: String, write: (String) throws -> Void) throws {
      let path = directory + "/" + name
      try makeDirectory(path)
      try Data(configurationJSON.utf8).write(to: URL(filePath: path + "/config.json"))
      try Data(#"{"do_lower_case": false}"#.utf8).write(to: URL(filePath: path + "/tokenizer_config.json"))
      try Data(DemoVocabulary.fileContent.utf8).write(to: URL(filePath: path + "/vocab.txt"))
      try write(path)
    }
    try add("base") {
      try SafeTensors.write(tensors, to: $0 + "/model.safetensors", source: numbers(seed: 1))
    }
    try add("base other") {
      try SafeTensors.write(tensors, to: $0 + "/model.safetensors", source: numbers(seed: 2))
    }
    try add("base with a hole") {
      try SafeTensors.write(tensors, to: $0 + "/model.safetensors", source: withHole(.greatestFiniteMagnitude))
    }
    try add("base with no number") {
      try SafeTensors.write(tensors, to: $0 + "/model.safetensors", source: withHole(.nan))
    }
    try add("base bin") {
      try PyTorchFile.write(tensors, to: $0 + "/pytorch_model.bin", source: numbers(seed: 1))
    }
    try add("base sharded") { try writeShards(tensors, in: $0) }
    try add("base with a buffer") {
      let buffer = TensorEntry(name: "bert.embeddings.token_type_ids", shape: [1, 64])
      try SafeTensors.write(tensors + [buffer], to: $0 + "/model.safetensors", source: numbers(seed: 1))
      try declareWholeNumbers(in: $0 + "/model.safetensors", from: buffer.name)
    }
    try add("base without a pooler") {
      let fewer = tensors.filter { !$0.name.hasPrefix("bert.pooler.") }
      try SafeTensors.write(fewer, to: $0 + "/model.safetensors", source: numbers(seed: 1))
    }
    try add("base without a tensor") {
      let fewer = tensors.filter { $0.name != lostTensor }
      try SafeTensors.write(fewer, to: $0 + "/model.safetensors", source: numbers(seed: 1))
    }
    try add("base of another shape") {
      let wider = tensors.map { $0.name == lostTensor ? TensorEntry(name: $0.name, shape: [64, 33]) : $0 }
      try SafeTensors.write(wider, to: $0 + "/model.safetensors", source: numbers(seed: 1))
    }
    try add("base of whole numbers") {
      try SafeTensors.write(tensors, to: $0 + "/model.safetensors", source: numbers(seed: 1))
      try declareWholeNumbers(in: $0 + "/model.safetensors")
    }
  }

  /// Numbers but for the embedding of a word that a few of the training reviews have: with the largest number there is, a
  /// step with one of these has a loss that is not finite.
  private static func withHole(_ hole: Float) -> TensorSource {
    let source = numbers(seed: 1)
    let words = TinyData.corpus.train.map { Set($0.text.split(separator: " ").map(String.init)) }
    let rare = DemoVocabulary.entries.firstIndex { word in
      (3...6).contains(words.count { $0.contains(word) })
    }
    return { entry, values in
      try source(entry, values)
      guard let rare, entry.name == "bert.embeddings.word_embeddings.weight" else { return }
      let width = entry.shape[1]
      for index in rare * width..<(rare + 1) * width { values[index] = hole }
    }
  }

  /// The tensor that damaged models lack or have wrong.
  private static let lostTensor = "bert.encoder.layer.1.intermediate.dense.weight"

  private static let configurationJSON = """
    {
      "architectures": ["BertModel"],
      "model_type": "bert",
      "vocab_size": \(DemoVocabulary.entries.count),
      "hidden_size": 32,
      "num_hidden_layers": 2,
      "num_attention_heads": 2,
      "intermediate_size": 64,
      "max_position_embeddings": 64,
      "type_vocab_size": 2,
      "hidden_act": "gelu",
      "hidden_dropout_prob": 0.1,
      "attention_probs_dropout_prob": 0.1,
      "initializer_range": 0.1,
      "layer_norm_eps": 1e-12,
      "pad_token_id": 0
    }

    """

  /// What a bare encoder's file holds: everything but the classifier.
  private static func entries() throws -> [TensorEntry] {
    let configuration = try BERTConfiguration(json: Data(configurationJSON.utf8), source: "config.json")
    return configuration.parameters { _ in false }
      .filter { !$0.name.hasPrefix("classifier.") }
      .map { TensorEntry(name: $0.name, shape: $0.shape) }
  }

  /// Random weights; normalisation weights around 1.
  private static func numbers(seed: UInt32) -> TensorSource {
    { entry, values in
      let generator = Philox(seed: seed, purpose: .test)
      let centre: Float = entry.name.hasSuffix("LayerNorm.weight") ? 1 : 0
      let tensor = entry.name.utf8.reduce(UInt32(0)) { $0 &* 31 &+ UInt32($1) }
      for index in values.indices {
        let word = generator.words(UInt32(index), tensor).0
        values[index] = centre + 0.3 * (Philox.uniform(word) - 0.5)
      }
    }
  }

  private static func writeShards(_ tensors: [TensorEntry], in path: String) throws {
    let middle = tensors.count / 2
    let shards = [tensors[..<middle], tensors[middle...]]
    var map: [String: String] = [:]
    for (index, shard) in shards.enumerated() {
      let file = "model-0000\(index + 1)-of-00002.safetensors"
      try SafeTensors.write(Array(shard), to: path + "/" + file, source: numbers(seed: 1))
      for tensor in shard { map[tensor.name] = file }
    }
    let index = try JSONEncoder().encode(["weight_map": map])
    try index.write(to: URL(filePath: path + "/model.safetensors.index.json"))
  }

  /// Says in the header that every tensor, or one of a name, holds whole numbers of the same size.
  private static func declareWholeNumbers(in path: String, from name: String? = nil) throws {
    var bytes = try Data(contentsOf: URL(filePath: path))
    let (found, wanted) = (Array(#""F32""#.utf8), Array(#""I32""#.utf8))
    let start = name.flatMap { bytes.firstRange(of: Data($0.utf8)) }?.upperBound ?? 8
    var index = start
    while index + found.count <= bytes.count, bytes[index] != 0 {
      if bytes[index..<index + found.count].elementsEqual(found) {
        bytes.replaceSubrange(index..<index + found.count, with: wanted)
        if name != nil { break }
      }
      index += 1
    }
    try bytes.write(to: URL(filePath: path))
  }
}

/// Makes a directory and those above it.
func makeDirectory(_ path: String) throws {
  try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
}
