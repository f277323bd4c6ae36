internal import BERT
internal import Checkpoints
internal import Exchange
internal import Failures
internal import FineTuning
internal import FoundationEssentials
internal import Interchange
internal import Tensors

/// Turns an adapter of PEFT or AdapterHub into a file like `model.h5`, tied to its base.
package struct AdapterImport {
  /// What was written.
  package struct Summary: Sendable {
    /// What `--method` calls it.
    package let method: String
    /// How many tensors the file has.
    package let tensorCount: Int
    /// How many bytes.
    package let byteCount: Int
    /// How many classes its head has; nil without a head.
    package let classCount: Int?
    /// How many classes the base's own head has, which is then the adapter's; nil without one, or with a head in the
    /// folder.
    package let baseClassCount: Int?
    /// The SHA-256 of the base that it is tied to.
    package let baseSHA256: String
  }

  private let adapter: ForeignAdapter

  /// Sentences for a person: what was read in another sense than its words, and what was left out.
  package var notices: [String] { adapter.notices }

  /// The base that the folder says it was trained on, such as `bert-base-multilingual-cased`.
  package var baseName: String? { adapter.baseName }

  /// Whether a path is a folder of an adapter, and not of a model.
  package static func isAdapter(_ path: String) -> Bool {
    let there = { (name: String) in FileManager.default.fileExists(atPath: path + "/" + name) }
    return !there("config.json")
      && ["adapter_config.json", "adapter_fusion_config.json", "adapter_setup.json"].contains(where: there)
  }

  /// Opens a folder.
  /// - Parameters:
  ///   - path: A folder of PEFT or AdapterHub's library.
  ///   - name: What a single adapter of AdapterHub's library is called here; as in the file when nil.
  ///   - usesNestedNonLinearity: Whether an old invertible block takes the non-linearity that is nested in its
  ///     configuration.
  /// - Throws: `Failure` when it is missing, damaged, or asks for what is not computed here.
  package init(_ path: String, as name: String?, usesNestedNonLinearity: Bool) throws {
    adapter = try ForeignAdapter(opening: path, as: name, usesNestedNonLinearity: usesNestedNonLinearity)
  }

  /// Checks the adapter against its base and writes the file.
  /// - Parameters:
  ///   - basePath: The base that it was trained on.
  ///   - output: The file.
  /// - Returns: What was written.
  /// - Throws: `Failure` when the two do not belong together, or the file cannot be written.
  package func write(base basePath: String, to output: String) throws -> Summary {
    let base = try Base(opening: basePath)
    try base.requireUsable()
    try adapter.check(against: base.configuration)
    let shape = adapter.configuration(on: base.configuration)
    var run = TrainingConfiguration()
    run.base = basePath
    run.method = adapter.method
    run.methodOptions =
      adapter.method == "lora" ? adapter.options.withShortTargets(on: shape) : adapter.options
    run.labelCount = shape.labelCount
    // Names that are none leave the base's.
    run.labels = adapter.head == nil || adapter.labels == defaultLabels(shape.labelCount) ? nil : adapter.labels
    run.head = adapter.head?.name
    run.maxLength = min(run.maxLength, shape.positionCount)
    let byteCount = adapter.names.reduce(0) { $0 + 4 * (adapter.shape($1) ?? []).reduce(1, *) }
    let writer = try TensorFileWriter(to: output, .model, producer: producer, expectedByteCount: byteCount)
    try writer.setJSON("configuration", Data(jsonText(run).utf8))
    try base.identity.write(to: writer)
    // What another library trained on is not known.
    try writer.setText("data_sha256", "unknown")
    try writer.setText("imported_from", adapter.path)
    try writer.describe(
      TensorSchema.tensors, "parameters under their published names; weights are [out, in], numbers have no unit")
    for name in adapter.names {
      try adapter.withTensor(name) { shape, values in
        try writer.write(name, shape: shape, UnsafeBufferPointer(values))
      }
    }
    let bytes = try writer.publish().byteCount
    return Summary(
      method: adapter.method, tensorCount: adapter.names.count, byteCount: bytes,
      classCount: adapter.head == nil ? nil : shape.labelCount,
      baseClassCount: adapter.head == nil ? base.classCount : nil, baseSHA256: base.contentSHA256)
  }
}
