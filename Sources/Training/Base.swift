package import BERT
internal import Checkpoints
internal import Failures
package import FoundationEssentials
internal import Interchange
internal import Tensors
package import Tokenization

/// A base model: its shape, its tokenizer, and its tensors in a file, a Hugging Face directory, or made up.
package final class Base: ParameterSource {
  /// The path it was opened from.
  package let path: String
  /// The model's shape.
  package let configuration: BERTConfiguration
  /// `config.json`.
  package let configurationJSON: Data
  /// The vocabulary, one token a line.
  package let vocabulary: [UInt8]
  /// How texts are cut.
  package let tokenizerSettings: TokenizerSettings
  private let file: OpenTensorFile?
  private let directory: CheckpointDirectory?
  private let shapes: [String: [Int]]
  /// The names of its tensors, in the order of the file.
  package let tensorNames: [String]
  /// Sentences for a person: what was taken for granted and may be wrong, and what is not used.
  package let notices: [String]
  /// SHA-256 over the names, shapes and numbers of its tensors: the same for a Hugging Face directory and what is
  /// imported from it.
  package private(set) var contentSHA256: String

  /// Opens an HDF5 base or a Hugging Face directory.
  /// - Throws: `Failure` when it is missing, damaged, or not a BERT encoder.
  package convenience init(opening path: String) throws {
    guard FileManager.default.fileExists(atPath: path) else {
      throw Failure(
        .noInput, "the base \(path) does not exist; name an HDF5 base or a Hugging Face directory (--base).")
    }
    if isDirectory(path) {
      try self.init(directory: CheckpointDirectory(opening: path))
    } else {
      try self.init(OpenTensorFile(path, as: [.base]))
    }
  }

  private init(directory: CheckpointDirectory) throws {
    path = directory.path
    configurationJSON = Data(directory.configuration)
    configuration = try BERTConfiguration(json: configurationJSON, source: directory.path + "/config.json")
    var contents = try CheckpointDirectory.SideFile.allCases.reduce(into: [String: [UInt8]]()) {
      $0[$1.rawValue] = try directory.contents(of: $1)
    }
    contents["config.json"] = directory.configuration
    let text = try TokenizerFiles(directory: directory.path, contents: contents).read()
    vocabulary = text.vocabulary.bytes
    tokenizerSettings = text.settings
    let parameters = configuration.publishedNames
    let entries = directory.weights.entries.filter { !Base.isBuffer($0, besides: parameters) }
    shapes = Dictionary(uniqueKeysWithValues: entries.map { ($0.name, $0.shape) })
    tensorNames = entries.map(\.name)
    notices = text.notices + Base.unusedLayers(tensorNames, configuration, directory.path)
    file = nil
    self.directory = directory
    contentSHA256 = ""
    contentSHA256 = try contentDigest(of: tensorNames)
  }

  private init(_ open: OpenTensorFile) throws {
    path = open.file.path
    configurationJSON = try open.file.json("configuration")
    configuration = try BERTConfiguration(json: configurationJSON, source: path + ", attribute configuration")
    vocabulary = try open.file.bytes("vocab.txt")
    tokenizerSettings = try open.file.decode(TokenizerSettings.self, "tokenizer")
    let entries = try open.file.entries()
    shapes = Dictionary(uniqueKeysWithValues: entries.map { ($0.name, $0.shape) })
    tensorNames = entries.map(\.name)
    notices = Base.unusedLayers(tensorNames, configuration, path)
    contentSHA256 = try open.file.text("content_sha256")
    directory = nil
    file = open
  }

  /// A base that is made up: no tensors, every parameter starts at random.
  package init(
    random configuration: BERTConfiguration, json: Data, vocabulary: [UInt8],
    tokenizerSettings: TokenizerSettings, name: String = "the embedded demo"
  ) {
    path = name
    self.configuration = configuration
    configurationJSON = json
    self.vocabulary = vocabulary
    self.tokenizerSettings = tokenizerSettings
    (file, directory) = (nil, nil)
    (shapes, tensorNames, notices) = ([:], [], [])
    contentSHA256 = Digest.hex(of: Array(json) + vocabulary)
  }

  /// Whether every parameter starts at random.
  package var isRandom: Bool { file == nil && directory == nil }

  /// The shape of a tensor; nil when the base does not have it.
  package func shape(_ name: String) -> [Int]? { shapes[name] }

  /// Makes sure that the base has a tensor, in a shape.
  /// - Throws: `Failure` when it does not.
  package func require(_ name: String, shape: [Int]) throws {
    guard let found = shapes[name] else {
      throw Failure(.badContent, "\(path) has no tensor \(name); expected one of shape \(shape).")
    }
    guard found == shape else {
      throw Failure(
        .badContent,
        "\(path): tensor \(name) has shape \(found), expected \(shape) from its configuration; the two do not belong together."
      )
    }
  }

  /// Reads a tensor.
  /// - Throws: `Failure` when it is missing, damaged, or of another shape.
  package func read(_ name: String, shape: [Int], into values: UnsafeMutableBufferPointer<Float>) throws {
    try require(name, shape: shape)
    if let directory { try directory.weights.read(name, into: values) }
    if let file { try file.file.read(name, shape: shape, into: values) }
    guard let place = values.firstIndex(where: { !$0.isFinite }) else { return }
    throw Failure(
      .badContent,
      "\(path): number \(place) of tensor \(name) is \(values[place]), expected finite numbers: the model was damaged before it was saved, and cannot be trained."
    )
  }

  /// Writes the base as one HDF5 file.
  /// - Returns: How many bytes the file has.
  /// - Throws: `Failure` when a tensor cannot be read or the file not be written.
  @discardableResult
  package func write(to path: String, producer: String, progress: (Int) -> Void = { _ in }) throws -> Int {
    try BaseFile(
      configurationJSON: configurationJSON, vocabulary: vocabulary, tokenizerSettings: tokenizerSettings
    ).write(self, tensorNames, contentSHA256: contentSHA256, to: path, producer: producer, progress: progress)
  }
}

/// Whether a path is a directory.
func isDirectory(_ path: String) -> Bool {
  var isDirectory = false
  return FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) && isDirectory
}
