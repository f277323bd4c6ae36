internal import Failures

extension CheckpointDirectory {
  /// Writes a directory that Transformers' `from_pretrained` loads as a `BertForSequenceClassification`.
  /// - Parameters:
  ///   - configuration: The base's `config.json`; what it says is kept but for classes, labels and element type.
  ///   - labels: The names of the classes, by their number.
  ///   - tensors: The weights under their canonical names, `bert.*` and `classifier.*`.
  ///   - sideFiles: The tokenizer's files; `vocab.txt` has to be among them.
  ///   - path: A new or empty directory.
  ///   - source: Gives the numbers of one tensor at a time.
  /// - Throws: `Failure(.badContent)` when the configuration is no JSON object or the classifier does not have a row
  ///   per label; `Failure(.cannotWrite)` when writing fails or the directory holds something.
  package static func write(
    configuration: [UInt8], labels: [String], tensors: [TensorEntry], sideFiles: [SideFile: [UInt8]],
    to path: String, source: TensorSource
  ) throws {
    guard case .object(let members) = try JSONValue(configuration, source: "the base's config.json") else {
      throw Failure(.badContent, "the base's config.json is not a JSON object")
    }
    guard let head = tensors.first(where: { $0.name == "classifier.weight" }),
      head.shape.first == labels.count
    else { throw Failure(.badContent, "the model to write has no classifier with \(labels.count) rows") }
    try Folder.checkLabels(labels)
    precondition(sideFiles[.vocabulary] != nil, "a model is useless without its vocabulary")
    // `torch_dtype` is what versions before 4.56 call `dtype`; without either, float32 is meant.
    let replaced = [
      "architectures", "id2label", "label2id", "num_labels", "dtype", "torch_dtype", "_name_or_path",
    ]
    let types = Set(tensors.map(\.element))
    let type = types == [.float16] ? "float16" : types == [.bfloat16] ? "bfloat16" : "float32"
    let added: KeyValuePairs<String, JSONValue> = [
      "architectures": .array([.string("BertForSequenceClassification")]),
      "id2label": .object(labels.enumerated().map { .init(key: String($0), value: .string($1)) }),
      "label2id": .object(labels.enumerated().map { .init(key: $1, value: .integer($0)) }),
      "dtype": .string(type),
    ]
    let kept = members.filter { !replaced.contains($0.key) }
    try Folder.create(path)
    try SafeTensors.write(tensors, to: path + "/model.safetensors", source: source)
    for (file, bytes) in sideFiles.sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
      try Folder.write(bytes, to: path + "/" + file.rawValue)
    }
    try Folder.write(
      .object(kept + added.map { .init(key: $0.key, value: $0.value) }), to: path + "/config.json")
  }
}
