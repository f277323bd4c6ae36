internal import Checkpoints
internal import Failures
internal import FoundationEssentials
internal import Interchange
internal import Tensors
internal import Tokenization

/// A base as one HDF5 file, beside its tensors.
struct BaseFile {
  /// `config.json`.
  let configurationJSON: Data
  /// The vocabulary, one token a line.
  let vocabulary: [UInt8]
  /// How texts are cut.
  let tokenizerSettings: TokenizerSettings

  /// Publishes the file.
  /// - Parameters:
  ///   - source: Gives the tensors.
  ///   - names: Which, in this order.
  ///   - contentSHA256: The identity of the tensors.
  ///   - path: The file.
  ///   - producer: Who writes it.
  ///   - progress: Told how many tensors are written.
  /// - Returns: How many bytes it has.
  /// - Throws: `Failure` when a tensor cannot be read or the file not be written.
  @discardableResult
  func write(
    _ source: any ParameterSource, _ names: [String], contentSHA256: String, to path: String, producer: String,
    progress: (Int) -> Void = { _ in }
  ) throws -> Int {
    let bytes = names.reduce(0) { $0 + 4 * (source.shape($1) ?? []).reduce(1, *) }
    let writer = try TensorFileWriter(
      to: path, .base, producer: producer, expectedByteCount: bytes + vocabulary.count)
    try writer.setJSON("configuration", configurationJSON)
    try writer.setJSON("tokenizer", Data(jsonText(tokenizerSettings).utf8))
    try writer.setText("content_sha256", contentSHA256)
    try writer.writeFile("vocab.txt", vocabulary)
    for (index, name) in names.enumerated() {
      try source.withTensor(name) { try writer.write(name, shape: $0, UnsafeBufferPointer($1)) }
      progress(index + 1)
    }
    return try writer.publish().byteCount
  }

  /// Publishes the file with all parameters of a model.
  /// - Throws: `Failure` when it cannot be written.
  func write(_ parameters: StoredParameters, to path: String, producer: String) throws {
    try write(
      parameters, parameters.names, contentSHA256: parameters.contentDigest(of: parameters.names), to: path,
      producer: producer)
  }
}

/// The parameters of a model in memory.
struct StoredParameters: ParameterSource {
  private let store: ParameterStore

  init(_ store: ParameterStore) { self.store = store }

  /// Their names, in the order of the table.
  var names: [String] { store.table.entries.map(\.specification.name) }

  func shape(_ name: String) -> [Int]? { store.table.entry(name)?.specification.shape }

  func read(_ name: String, shape: [Int], into values: UnsafeMutableBufferPointer<Float>) throws {
    _ = values.update(fromContentsOf: store.elements(name))
  }
}
