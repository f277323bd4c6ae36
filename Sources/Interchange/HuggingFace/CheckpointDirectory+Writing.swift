internal import Failures
internal import JSON

extension CheckpointDirectory {
  /// What a written directory is loaded as.
  package enum Content: Sendable, Equatable {
    /// `BertForSequenceClassification` with classes of these names, by their number.
    case classifier(labels: [String])
    /// A model without classes, under the name of its class.
    case plain(architecture: String)
  }

  /// Writes a directory that Transformers' `from_pretrained` loads.
  /// - Parameters:
  ///   - configuration: The base's `config.json`; what it says is kept but for architecture, classes, labels and element
  ///     type.
  ///   - content: What it is loaded as.
  ///   - tensors: The weights under their canonical names: `bert.*`, and `classifier.*` or `cls.*`.
  ///   - sideFiles: The tokenizer's files; `vocab.txt` has to be among them.
  ///   - path: A new or empty directory.
  ///   - source: Gives the numbers of one tensor at a time.
  /// - Throws: `Failure(.badContent)` when the configuration is no JSON object or the classifier does not have a row
  ///   per label; `Failure(.cannotWrite)` when writing fails or the directory holds something.
  package static func write(
    configuration: [UInt8], as content: Content, tensors: [TensorEntry], sideFiles: [SideFile: [UInt8]],
    to path: String, source: TensorSource
  ) throws {
    let json = try JSONValue(
      configuration, source: "the base's config.json", limit: JSONValue.largestModelConfiguration)
    guard case .object(let members) = json else {
      throw Failure(.badContent, "the base's config.json is not a JSON object")
    }
    let described = try headMembers(content, tensors)
    precondition(sideFiles[.vocabulary] != nil, "a model is useless without its vocabulary")
    // `torch_dtype` is what versions before 4.56 call `dtype`; without either, float32 is meant.
    let general = ["architectures", "dtype", "torch_dtype", "_name_or_path"]
    // A base with a classifier keeps what is said of its classes.
    let ofClasses = content == .plain(architecture: "BertForSequenceClassification") ? [] : classMembers
    let replaced = general + ofClasses
    let types = Set(tensors.map(\.element))
    let type = types == [.float16] ? "float16" : types == [.bfloat16] ? "bfloat16" : "float32"
    let added = described + [.init(key: "dtype", value: .string(type))]
    let kept = members.filter { !replaced.contains($0.key) }
    try Folder.create(path)
    try SafeTensors.write(tensors, to: path + "/model.safetensors", source: source)
    for (file, bytes) in sideFiles.sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
      try Folder.write(bytes, to: path + "/" + file.rawValue)
    }
    try Folder.write(
      .object(kept + added), to: path + "/config.json")
  }

  /// What `config.json` says of classes. How many labels a review has (`problem_type`) decides how Transformers turns logits
  /// into probabilities; here it is one.
  private static let classMembers = ["id2label", "label2id", "num_labels", "problem_type"]

  /// What `config.json` says of the head.
  private static func headMembers(_ content: Content, _ tensors: [TensorEntry]) throws -> [JSONValue.Member] {
    switch content {
    case .plain(let architecture):
      return [.init(key: "architectures", value: .array([.string(architecture)]))]
    case .classifier(let labels):
      guard let head = tensors.first(where: { $0.name == "classifier.weight" }), head.shape.first == labels.count
      else { throw Failure(.badContent, "the model to write has no classifier with \(labels.count) rows") }
      try Folder.checkLabels(labels)
      return [
        .init(key: "architectures", value: .array([.string("BertForSequenceClassification")])),
        .init(
          key: "id2label",
          value: .object(labels.enumerated().map { .init(key: String($0), value: .string($1)) })),
        .init(
          key: "label2id",
          value: .object(labels.enumerated().map { .init(key: $1, value: .integer($0)) })),
      ]
    }
  }
}
