internal import BERT
internal import Failures
internal import FineTuning
internal import Interchange

/// A tensor of another library's file, and what it is here.
struct ForeignTensor: Sendable {
  /// Its name here.
  let name: String
  /// Its shape here: the same numbers in the same order.
  let shape: [Int]
  /// The file.
  let archive: TensorArchive
  /// Its name there.
  let published: String

  /// A tensor that has another name here, and the shape `[n]` where the file has `[n, 1]` and a method wants that.
  init(_ entry: TensorEntry, in archive: TensorArchive, as name: String? = nil, isVector: Bool = false) {
    self.name = name ?? entry.name
    shape = isVector ? [entry.elementCount] : entry.shape
    self.archive = archive
    published = entry.name
  }
}

/// A classification head that came with an adapter.
struct ForeignHead {
  let design: HeadDesign
  /// The names of the classes, by their number.
  let labels: [String]
  let tensors: [ForeignTensor]
}

/// What a folder of another library is here.
struct Translation {
  /// What `--method` calls it.
  let method: String
  /// The method's options.
  let options: FineTuningOptions
  /// All tensors but the head's.
  let tensors: [ForeignTensor]
  /// The head; nil when the folder brings none for classification.
  var head: ForeignHead?
  /// Sentences for a person.
  var notices: [String] = []
  /// The base that the folder names.
  let baseName: String?
  /// Compares the files with a base's sizes.
  let check: @Sendable (EncoderShape) throws -> Void
}

/// Refuses heads with a single class.
func requireClasses(_ count: Int, _ path: String) throws {
  guard count >= 2 else {
    throw Failure(
      .badContent, "\(path): the head has \(count) class, expected two or more; regression is not supported here.")
  }
}
