import Failures
import FoundationEssentials
import Interchange
import TestSupport
import Testing

@Suite struct CheckpointDirectoryTests {
  /// Writes a safetensors file whose tensors each hold one number: their place in the list.
  private func write(_ names: [String], to file: String, in directory: TemporaryDirectory) throws {
    let entries = names.map { TensorEntry(name: $0, shape: [1]) }
    try SafeTensors.write(entries, to: directory.path(file)) { entry, numbers in
      numbers[0] = Float(names.firstIndex(of: entry.name) ?? -1)
    }
  }

  private func canonical(_ names: [String], configuration: String = "{}") throws -> [String: Float] {
    try withTemporaryDirectory { directory in
      try directory.write(configuration, to: "config.json")
      try write(names, to: "model.safetensors", in: directory)
      let weights = try CheckpointDirectory(opening: directory.path).weights
      return try Dictionary(
        uniqueKeysWithValues: weights.entries.map { ($0.name, try weights.floats($0.name)[0]) })
    }
  }

  @Test func namesBecomeCanonical() throws {
    let names = try canonical([
      "embeddings.LayerNorm.gamma", "encoder.layer.0.output.LayerNorm.beta", "pooler.dense.weight",
      "bert.embeddings.word_embeddings.weight", "classifier.weight", "embeddings.position_ids",
      "cls.predictions.transform.LayerNorm.gamma", "beta", "LayerNorm.gamma.x",
    ])
    #expect(
      names == [
        "bert.embeddings.LayerNorm.weight": 0, "bert.encoder.layer.0.output.LayerNorm.bias": 1,
        "bert.pooler.dense.weight": 2, "bert.embeddings.word_embeddings.weight": 3, "classifier.weight": 4,
        "cls.predictions.transform.LayerNorm.weight": 6, "beta": 7, "LayerNorm.gamma.x": 8,
      ])
  }

  @Test func tiedDecoderGivesWay() throws {
    let embedding = "embeddings.word_embeddings.weight"
    let (weight, bias) = ("cls.predictions.decoder.weight", "cls.predictions.decoder.bias")
    let both = [embedding, weight, bias, "cls.predictions.bias"]
    #expect(try canonical(both) == ["bert." + embedding: 0, "cls.predictions.bias": 3])
    #expect(try canonical([embedding, weight, bias]) == ["bert." + embedding: 0, "cls.predictions.bias": 2])
    let untied = #"{"tie_word_embeddings": false, "nested": [{"a": null}]}"#
    #expect(
      try canonical(both, configuration: untied)
        == ["bert." + embedding: 0, weight: 1, bias: 2, "cls.predictions.bias": 3])
  }

  @Test func twoNamesOfOneTensorAreRefused() {
    expectFailure(.badContent, "has both 'bert.pooler.dense.bias' and 'pooler.dense.bias'") {
      try canonical(["bert.pooler.dense.bias", "pooler.dense.bias"])
    }
    expectFailure(.badContent, "two names of the same tensor") {
      try canonical(["encoder.a.LayerNorm.gamma", "encoder.a.LayerNorm.weight"])
    }
  }

  @Test func weightsAreChosenInTransformersOrder() throws {
    try withTemporaryDirectory { directory in
      try directory.write("{}", to: "config.json")
      expectFailure(.noInput, "has no weights: none of model.safetensors, ") {
        try CheckpointDirectory(opening: directory.path)
      }
      try directory.write("x", to: "tf_model.h5")
      expectFailure(.noInput, "only as tf_model.h5") { try CheckpointDirectory(opening: directory.path) }
      let index = "{\"metadata\":{\"total_size\":8},\"weight_map\":{\"w\":\"FILE\"}}"
      try write(["w", "3"], to: "c", in: directory)
      try directory.write(index.replacing("FILE", with: "c"), to: "pytorch_model.bin.index.json")
      #expect(try CheckpointDirectory(opening: directory.path).weightsFile == "pytorch_model.bin.index.json")
      try PyTorchFile.write([TensorEntry(name: "2", shape: [])], to: directory.path("pytorch_model.bin")) {
        _, _ in
      }
      #expect(try CheckpointDirectory(opening: directory.path + "/").weights.entries.map(\.name) == ["2"])
      try write(["w", "1"], to: "b", in: directory)
      try directory.write(index.replacing("FILE", with: "b"), to: "model.safetensors.index.json")
      #expect(try CheckpointDirectory(opening: directory.path).weights.entries.map(\.name) == ["1", "w"])
      try write(["0"], to: "model.safetensors", in: directory)
      #expect(try CheckpointDirectory(opening: directory.path).weights.entries.map(\.name) == ["0"])
    }
  }

  @Test func shardsAreJoined() throws {
    try withTemporaryDirectory { directory in
      try directory.write("{}", to: "config.json")
      try write(["a", "b"], to: "1.safetensors", in: directory)
      try write(["c"], to: "2.safetensors", in: directory)
      func open(_ map: String) throws -> [String] {
        try directory.write("{\"weight_map\":\(map)}", to: "model.safetensors.index.json")
        return try CheckpointDirectory(opening: directory.path).weights.entries.map(\.name)
      }
      #expect(try open(#"{"a":"1.safetensors","c":"2.safetensors","b":"1.safetensors"}"#) == ["a", "b", "c"])
      expectFailure(.noInput, "3.safetensors' is missing") {
        try open(#"{"a":"1.safetensors","c":"3.safetensors"}"#)
      }
      expectFailure(.badContent, "places the tensor 'c' in '1.safetensors'") {
        try open(#"{"c":"1.safetensors"}"#)
      }
      expectFailure(.badContent, "has no weight_map") { try open("{}") }
      expectFailure(.badContent, "'{' is expected") { try open("[]") }
      for name in [
        "../1.safetensors", "/etc/passwd", "..", ".", "", "sub/1.safetensors", #"1.safetensors\u0000"#,
      ] {
        expectFailure(.badContent, "not a plain name") { try open("{\"a\":\"\(name)\"}") }
      }
      try write(["a"], to: "3.safetensors", in: directory)
      expectFailure(.badContent, "two tensors named 'a'") {
        try open(#"{"b":"1.safetensors","a":"3.safetensors"}"#)
      }
    }
  }

  @Test func missingThingsAreNamed() throws {
    try withTemporaryDirectory { directory in
      expectFailure(.noInput, "has no config.json; pass a Hugging Face directory") {
        try CheckpointDirectory(opening: directory.path)
      }
      expectFailure(.noInput, "there is no directory") {
        try CheckpointDirectory(opening: directory.path("x"))
      }
      let file = try directory.write("", to: "file")
      expectFailure(.noInput, "is not a directory") { try CheckpointDirectory(opening: file) }
      try directory.write("{}", to: "adapter/adapter_config.json")
      expectFailure(.noInput, "holds an adapter") {
        try CheckpointDirectory(opening: directory.path("adapter"))
      }
      try directory.write("{}", to: "cache/snapshots/abc/config.json")
      expectFailure(.noInput, "cache/snapshots/abc'") {
        try CheckpointDirectory(opening: directory.path("cache"))
      }
      try directory.write("{}", to: "link/config.json")
      try FileManager.default.createSymbolicLink(
        atPath: directory.path("link/model.safetensors"), withDestinationPath: "../../blobs/gone")
      expectFailure(.noInput, "is a link to a file that does not exist") {
        try CheckpointDirectory(opening: directory.path("link"))
      }
    }
  }

  @Test(arguments: [
    "", "{", "[]", "{\"a\":1} x", "{\"a\":1,\"a\":1}", "{\"tie_word_embeddings\":1}", "\u{FEFF}{}",
  ])
  func brokenConfigurationsAreRefused(text: String) {
    expectFailure(.badContent, "config.json") { try canonical(["w"], configuration: text) }
  }

  @Test func filesBesideTheWeightsAreGiven() throws {
    try withTemporaryDirectory { directory in
      try directory.write(#"{"hidden_size": 8}"#, to: "config.json")
      try write(["w"], to: "model.safetensors", in: directory)
      try directory.write("[PAD]\n[CLS]\n", to: "vocab.txt")
      let checkpoint = try CheckpointDirectory(opening: directory.path)
      #expect(checkpoint.configuration == Array(#"{"hidden_size": 8}"#.utf8))
      #expect(try checkpoint.contents(of: .vocabulary) == Array("[PAD]\n[CLS]\n".utf8))
      #expect(try checkpoint.contents(of: .tokenizer) == nil)
      try FileManager.default.createDirectory(
        atPath: directory.path("tokenizer.json"), withIntermediateDirectories: false)
      expectFailure(.noInput, "is a directory") { try checkpoint.contents(of: .tokenizer) }
    }
  }

  @Test(arguments: [
    ("", "is empty"), ("version https://git-lfs.github.com/spec/v1\noid sha256:1", "git lfs pull"),
    ("\u{89}HDF", "neither"), ("hello", "cut short, or neither"), ("PK\u{3}\u{4}", "cut short or damaged"),
    (String(repeating: "a", count: 257) + "ustar", "is a tar file"),
  ])
  func otherFilesAreRefusedByWhatTheyAre(content: String, words: String) {
    expectFailure(.badContent, words) { try open(Array(content.utf8)) }
  }

  @Test func missingFilesAreNamed() throws {
    try withTemporaryDirectory { directory in
      expectFailure(.noInput, "there is no file") { try TensorArchive(opening: directory.path("x")) }
      expectFailure(.noInput, "is a directory") { try TensorArchive(opening: directory.path) }
      expectFailure(.noInput, "not a regular file") { try TensorArchive(opening: "/dev/null") }
    }
  }

  @Test func failedWritesLeaveWhatStoodThere() throws {
    let directory = try TemporaryDirectory()
    let path = try directory.write("before", to: "model.safetensors")
    expectFailure(.stopped, "cancelled") {
      try SafeTensors.write([TensorEntry(name: "w", shape: [1])], to: path) { _, _ in
        throw Failure(.stopped, "cancelled")
      }
    }
    #expect(try InputFile.contents(of: path) == Array("before".utf8))
    #expect(try FileManager.default.contentsOfDirectory(atPath: directory.path) == ["model.safetensors"])
    expectFailure(.cannotWrite, "cannot write") {
      try SafeTensors.write([], to: directory.path("no/where"), source: { _, _ in })
    }
  }
}
