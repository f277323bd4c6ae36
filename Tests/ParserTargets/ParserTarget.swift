import BERT
import Datasets
import Exchange
import Failures
import FoundationEssentials
import Interchange
import JSON
package import TestSupport
import Tokenization

/// The parsers of files that nobody vouches for, each as a function of bytes: what `launch/fuzz` feeds with anything.
///
/// A parser may refuse its input with a `Failure`; it may not crash, run for seconds, throw anything else, or take more
/// memory than twice the input and a constant.
package enum ParserTarget: String, CaseIterable, Sendable {
  /// A file of tensors: safetensors.
  case safetensors
  /// A file of tensors as `torch.save` writes it, a zip or the stream before PyTorch 1.6.
  case torch
  /// The pickle inside such a file, in both forms.
  case pickle
  /// A JSON document: as a tree, as a model's configuration, value by value.
  case json
  /// A folder of AdapterHub's library or of PEFT; see ``Parts``.
  case adapter
  /// `vocab.txt`, and texts cut by it.
  case vocabulary
  /// A tokenizer's files; see ``Parts``.
  case tokenizer
  /// A table of reviews.
  case tsv
  /// JSON lines of reviews.
  case jsonl
  /// A file of ours, as it is.
  case sealed
  /// The HDF5 part of a file of ours under a seal that fits it.
  case hdf5
  /// An HDF5 file of ours with any members under a seal that fits it; see ``SchemaProgram``.
  case schema

  /// Reads the bytes as the program would, and everything in them.
  /// - Parameters:
  ///   - bytes: Anything.
  ///   - folder: A directory for the files that the parser wants, on a fast disk.
  /// - Throws: What the parser says of them: a `Failure`, or else it is at fault.
  package func run(_ bytes: [UInt8], in folder: TemporaryDirectory) throws {
    switch self {
    case .safetensors, .torch: try readTensors(folder.replace("weights", bytes))
    case .pickle:
      var attempts = Attempts()
      for file in [Pickled.zip(bytes), Pickled.stream(bytes)] {
        try attempts.attempt { try readTensors(folder.replace("weights", file)) }
      }
      try attempts.end()
    case .json: try readJSON(bytes)
    case .adapter: try readAdapter(bytes, in: folder)
    case .vocabulary:
      let vocabulary = try Vocabulary(bytes, file: "vocab.txt")
      try cut(WordPieceTokenizer(vocabulary, TokenizerSettings()))
    case .tokenizer:
      let contents = Parts.split(bytes, into: TokenizerFiles.names)
      let (settings, vocabulary, _) = try TokenizerFiles(directory: "folder", contents: contents).read()
      try cut(WordPieceTokenizer(vocabulary, settings))
    case .tsv, .jsonl: try readReviews(bytes)
    case .sealed: try readSealed(folder.replace("file.h5", bytes))
    case .hdf5: try readSealed(folder.replace("file.h5", underSeal(bytes)))
    case .schema: try SchemaProgram(bytes).run(at: folder.path("file.h5")) { try readSealed($0) }
    }
  }

  private func readJSON(_ bytes: [UInt8]) throws {
    var attempts = Attempts()
    var scanner = JSONScanner(bytes[...], source: "text")
    try attempts.attempt { try scanner.skipValue() }
    try attempts.attempt { _ = try JSONValue(bytes, source: "text") }
    try attempts.attempt { _ = try BERTConfiguration(json: Data(bytes), source: "config.json") }
    try attempts.end()
  }

  private func readAdapter(_ bytes: [UInt8], in folder: TemporaryDirectory) throws {
    try folder.removeFiles()
    for (name, content) in Parts.split(bytes, into: Parts.adapterFiles) where !content.isEmpty {
      _ = try folder.replace(name, content)
    }
    let adapter = try ForeignAdapter(opening: folder.path)
    for name in adapter.names {
      guard let shape = adapter.shape(name) else { continue }
      try withNumbers(shape.reduce(1, *)) { try adapter.read(name, shape: shape, into: $0) }
    }
    var base = BERTConfiguration()
    (base.hiddenSize, base.intermediateSize, base.layerCount, base.attentionHeadCount) = (64, 128, 2, 4)
    try adapter.check(against: base)
  }

  private func cut(_ tokenizer: WordPieceTokenizer) throws {
    for text in ["정말 재미있는 영화 unaffable", "", "\u{0}a\u{FFFD}e\u{301}[MASK]中"] {
      _ = tokenizer.encode(text, maxLength: 16)
    }
  }

  private func readReviews(_ bytes: [UInt8]) throws {
    let name = "reviews.\(rawValue)"
    var attempts = Attempts()
    try attempts.attempt { _ = try Dataset.unlabelled(bytes: bytes, name: name) }
    try attempts.attempt {
      let labelled = try Dataset.labelled(bytes: bytes, name: name, classCount: 3)
      for row in 0..<labelled.count {
        precondition(labelled.text(row).utf8.count <= 3 * bytes.count, "a text beyond its file")
      }
    }
    try attempts.end()
  }
}

/// Several readings of one input: what one of them refuses does not keep the others from being tried.
struct Attempts {
  private var refusal: Failure?

  init() {}

  /// Tries one.
  /// - Throws: What is no `Failure`.
  mutating func attempt(_ body: () throws -> Void) throws {
    do { try body() } catch let failure as Failure { refusal = failure }
  }

  /// Throws the last refusal, if there was one.
  func end() throws {
    if let refusal { throw refusal }
  }
}

/// Opens a file of tensors and reads every number, one tensor after the other.
func readTensors(_ path: String) throws {
  let archive = try TensorArchive(opening: path, unwrapping: ["state_dict"])
  for entry in archive.entries {
    if entry.element.isWeight {
      try withNumbers(entry.elementCount) { try archive.read(entry.name, into: $0) }
    } else if entry.element.isInteger {
      _ = try archive.integers(entry.name)
    }
  }
}

/// Memory for some numbers.
func withNumbers(_ count: Int, _ body: (UnsafeMutableBufferPointer<Float>) throws -> Void) rethrows {
  let values = UnsafeMutableBufferPointer<Float>.allocate(capacity: count)
  defer { values.deallocate() }
  values.initialize(repeating: 0)
  try body(values)
}

extension TemporaryDirectory {
  /// Writes a file over the one that is there; the path.
  func replace(_ name: String, _ bytes: [UInt8]) throws -> String {
    let path = path(name)
    try Data(bytes).write(to: URL(filePath: path))
    return path
  }

  /// Removes all files.
  func removeFiles() throws {
    for name in try FileManager.default.contentsOfDirectory(atPath: path) {
      try FileManager.default.removeItem(atPath: self.path(name))
    }
  }
}
