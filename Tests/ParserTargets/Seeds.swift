import Checkpoints
import Demo
import FoundationEssentials
import Interchange
import TestSupport
import Tokenization

extension ParserTarget {
  /// What to begin with.
  /// - Returns: Small inputs, most of which the parser understands.
  /// - Throws: What writing them says.
  package func seeds() throws -> [[UInt8]] {
    try withTemporaryDirectory { folder in
      switch self {
      case .safetensors: [try Seeds.safetensors(Seeds.entries, in: folder)]
      case .torch: [try Seeds.torch(in: folder), Pickled.stream(try Seeds.pickle(in: folder))]
      case .pickle: [try Seeds.pickle(in: folder)]
      case .json: Seeds.documents.map { Array($0.utf8) }
      case .adapter: try Seeds.adapters(in: folder)
      case .vocabulary:
        [Array(DemoVocabulary.fileContent.utf8), Array("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n##b\n".utf8)]
      case .tokenizer: [Parts.join(Seeds.tokenizer, in: TokenizerFiles.names)]
      case .tsv: [Array("id\tdocument\tlabel\n1\t정말 \"좋다\"\t1\r\n2\t\t0\n".utf8)]
      case .jsonl:
        [
          Array(#"{"id": 1, "document": "a\u00e9\ud83d\ude00", "label": 1}"#.utf8)
            + Array("\n{\"document\":\"\",\"label\":\"0\"}\n".utf8)
        ]
      case .sealed: try [TensorSchema.Kind.base, .checkpoint].map { try Seeds.file($0, in: folder) }
      case .hdf5:
        try [TensorSchema.Kind.base, .checkpoint].map { Array(try Seeds.file($0, in: folder).dropFirst(512)) }
      case .schema:
        [[1, 0, 1, 1]]
          + (0..<16).map { seed in (0..<64).map { UInt8(truncatingIfNeeded: ($0 + 1) * (seed * 37 + 11)) } }
      }
    }
  }

  /// Files of the other libraries that the parser understands.
  /// - Parameter fixtures: The folder `fixtures`, whose folders `adapterhub`, `peft`, `ckpt` and `tokenizer` are read.
  /// - Returns: Those of at most 64 KiB.
  /// - Throws: When a file cannot be read.
  package func seeds(from fixtures: String) throws -> [[UInt8]] {
    let paths = try FileManager.default.subpathsOfDirectory(atPath: fixtures).sorted()
    func contents(_ suffixes: [String]) throws -> [[UInt8]] {
      try paths.filter { path in suffixes.contains { path.hasSuffix($0) } }
        .map { try InputFile.contents(of: fixtures + "/" + $0) }.filter { $0.count <= 1 << 16 }
    }
    func folders(_ file: String, _ names: [String]) throws -> [[UInt8]] {
      try paths.filter { $0.hasSuffix("/" + file) }.map { path in
        let folder = fixtures + "/" + path.dropLast(file.count + 1)
        var files: [String: [UInt8]] = [:]
        for name in names where FileManager.default.fileExists(atPath: folder + "/" + name) {
          files[name] = try InputFile.contents(of: folder + "/" + name)
        }
        return Parts.join(files, in: names)
      }.filter { $0.count <= 1 << 16 }
    }
    switch self {
    case .safetensors: return try contents([".safetensors"])
    case .torch: return try contents([".bin"])
    case .json: return try contents(["config.json", ".index.json", "special_tokens_map.json"])
    case .adapter:
      return try folders("adapter_config.json", Parts.adapterFiles)
        + folders("adapter_fusion_config.json", Parts.adapterFiles)
    case .vocabulary: return try contents(["vocab.txt"])
    case .tokenizer: return try folders("tokenizer_config.json", TokenizerFiles.names)
    case .pickle, .tsv, .jsonl, .sealed, .hdf5, .schema: return []
    }
  }
}

/// What the seeds are made of.
private enum Seeds {
  static let entries = [
    TensorEntry(name: "a.weight", shape: [2, 3]), TensorEntry(name: "a.bias", element: .bfloat16, shape: [2]),
    TensorEntry(name: "s", element: .float16, shape: []), TensorEntry(name: "e", shape: [0, 4]),
  ]

  static let documents = [
    #"{"model_type": "bert", "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 128, "vocab_size": 100, "max_position_embeddings": 32, "hidden_act": "gelu", "id2label": {"0": "bad", "1": "good"}}"#,
    #"[null, true, false, -1.5e3, "a\"\\\n\u00e9\ud83d\ude00", {"a": {"b": []}}, 9223372036854775807]"#,
  ]

  static let pfeiffer =
    #"{"name": "task", "model_class": "BertForSequenceClassification", "model_type": "bert", "hidden_size": 64, "model_name": "x", "version": "adapters.1.3.0", "config": {"architecture": null, "reduction_factor": 16, "non_linearity": "relu", "original_ln_before": true, "original_ln_after": true, "ln_before": false, "ln_after": false, "mh_adapter": false, "output_adapter": true, "residual_before_ln": true, "adapter_residual_before_ln": false, "inv_adapter": null, "inv_adapter_reduction_factor": null, "is_parallel": false, "scaling": 1.0, "leave_out": [], "cross_adapter": false, "use_gating": false, "dropout": 0.0, "init_weights": "bert", "factorized_phm_W": true, "factorized_phm_rule": false, "hypercomplex_nonlinearity": "glorot-uniform", "learn_phm": true, "phm_bias": true, "phm_c_init": "normal", "phm_dim": 4, "phm_init_range": 0.0001, "phm_layer": false, "phm_rank": 1, "shared_W_phm": false, "shared_phm_rule": true, "stochastic_depth": 0.0}}"#

  static let lora =
    #"{"peft_type": "LORA", "task_type": "SEQ_CLS", "base_model_name_or_path": "x", "r": 2, "lora_alpha": 4, "lora_dropout": 0.0, "bias": "none", "target_modules": ["query"]}"#

  static let tokenizer = [
    "vocab.txt": Array("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n##b\n".utf8),
    "tokenizer_config.json": Array(
      #"{"do_lower_case": false, "tokenize_chinese_chars": true, "strip_accents": null, "tokenizer_class": "BertTokenizer", "added_tokens_decoder": {"0": {"content": "[PAD]", "special": true}}}"#
        .utf8),
    "special_tokens_map.json": Array(#"{"unk_token": "[UNK]", "cls_token": {"content": "[CLS]"}}"#.utf8),
  ]

  static func fill(_ entry: TensorEntry, _ values: UnsafeMutableBufferPointer<Float>) {
    for index in values.indices { values[index] = Float(index) / 8 }
  }

  static func safetensors(_ entries: [TensorEntry], in folder: TemporaryDirectory) throws -> [UInt8] {
    try SafeTensors.write(entries, to: folder.path("a"), source: fill)
    return try InputFile.contents(of: folder.path("a"))
  }

  static func torch(_ entries: [TensorEntry] = entries, in folder: TemporaryDirectory) throws -> [UInt8] {
    try PyTorchFile.write(entries, to: folder.path("b"), source: fill)
    return try InputFile.contents(of: folder.path("b"))
  }

  /// The first entry of the zip, which is not compressed: between its name and the next entry.
  static func pickle(in folder: TemporaryDirectory) throws -> [UInt8] {
    // The storage that the targets give it.
    let file = try torch([TensorEntry(name: "a.weight", shape: [8, 8])], in: folder)
    let protocolTwo: [UInt8] = [0x80, 2]
    let start = file.indices.first { file[$0...].starts(with: protocolTwo) } ?? 0
    let end = file.indices.first { $0 > start && file[$0...].starts(with: [0x50, 0x4B, 3, 4]) } ?? file.count
    return Array(file[start..<end])
  }

  static func adapters(in folder: TemporaryDirectory) throws -> [[UInt8]] {
    let layers = (0..<2).map { "bert.encoder.layer.\($0)" }
    let matrices = try safetensors(
      layers.flatMap { layer in
        let query = "base_model.model.\(layer).attention.self.query"
        return [
          TensorEntry(name: query + ".lora_A.weight", shape: [2, 64]),
          TensorEntry(name: query + ".lora_B.weight", shape: [64, 2]),
        ]
      }, in: folder)
    let bottleneck = try safetensors(
      layers.flatMap { layer in
        let adapter = layer + ".output.adapters.task"
        return [
          TensorEntry(name: adapter + ".adapter_down.0.weight", shape: [4, 64]),
          TensorEntry(name: adapter + ".adapter_down.0.bias", shape: [4]),
          TensorEntry(name: adapter + ".adapter_up.weight", shape: [64, 4]),
          TensorEntry(name: adapter + ".adapter_up.bias", shape: [64]),
        ]
      }, in: folder)
    return [
      Parts.join(
        ["adapter_config.json": Array(lora.utf8), "adapter_model.safetensors": matrices], in: Parts.adapterFiles),
      Parts.join(
        ["adapter_config.json": Array(pfeiffer.utf8), "adapter.safetensors": bottleneck], in: Parts.adapterFiles),
    ]
  }

  static func file(_ kind: TensorSchema.Kind, in folder: TemporaryDirectory) throws -> [UInt8] {
    let path = folder.path("c")
    let step = kind == .checkpoint ? 7 : nil
    let writer = try TensorFileWriter(to: path, kind, producer: "tests", expectedByteCount: 200, step: step)
    try writer.setJSON("configuration", Data(documents[0].utf8))
    try writer.setText("number", "1.5")
    try writer.describe(TensorSchema.tensors, "parameters")
    try [Float](repeating: 1, count: 6).withUnsafeBufferPointer {
      try writer.write("a.weight", shape: [2, 3], $0)
      try writer.write("a.weight", in: TensorSchema.firstMoment, shape: [2, 3], $0)
    }
    try writer.writeFile("vocab.txt", Array("[PAD]\na\n".utf8))
    _ = try writer.publish()
    return try InputFile.contents(of: path)
  }
}
