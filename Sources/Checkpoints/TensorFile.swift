package import Failures
package import FoundationEssentials
internal import HDF5
package import JSON

/// The schema of our files: names that `FileFormat.md` documents.
package enum TensorSchema {
  /// What a file is for; the raw value is its attribute `format`.
  package enum Kind: String, Sendable, CaseIterable {
    /// A base model, imported.
    case base = "bert-ddp base"
    /// All that a run needs to go on.
    case checkpoint = "bert-ddp checkpoint"
    /// What was trained, alone.
    case model = "bert-ddp model"
  }

  /// The version that is written; older ones are read, newer ones refused.
  package static let version: Int64 = 1
  /// The group of the parameters.
  package static let tensors = "/tensors"
  /// The group of AdamW's running means of the gradients.
  package static let firstMoment = "/optimizer/first_moment"
  /// The group of AdamW's running means of the squared gradients.
  package static let secondMoment = "/optimizer/second_moment"
  /// The group of files that belong to the tensors, such as a vocabulary.
  package static let files = "/files"

  /// Checks that a name can stand in a group: not empty, no slash, no dot alone, no control character.
  static func check(name: String, in group: String, path: String) throws(Failure) {
    let isFit =
      !name.isEmpty && name != "." && name != ".." && name.utf8.count <= 1024
      && name.utf8.allSatisfy { $0 >= 32 && $0 != UInt8(ascii: "/") && $0 != 127 }
    guard isFit else {
      throw Failure(
        .badContent,
        "\(path): “\(name)” cannot be a name in \(group): it is empty, too long or has a slash")
    }
  }
}

/// A published file of ours, verified and open for reading.
///
/// Everything that does not fit the schema is refused with `badContent`, naming file and tensor.
package struct TensorFile: ~Copyable, Sendable {
  /// What the file is for.
  package let kind: TensorSchema.Kind
  /// The version of the schema that it was written in.
  package let version: Int64
  /// The verified file, for what the schema does not cover.
  package let sealed: SealedFile

  /// The path, for messages.
  package var path: String { sealed.path }
  /// The file's identity: SHA-256 of everything after the first 512 bytes, in hexadecimal.
  package var sha256: String { sealed.sha256 }
  /// Bytes in the whole file.
  package var byteCount: Int { sealed.byteCount }
  /// The step of a checkpoint.
  package var step: Int? { sealed.step }

  /// Verifies a file and checks its format.
  ///
  /// - Parameters:
  ///   - path: The file.
  ///   - kinds: What it may be for.
  /// - Throws: `noInput` where it cannot be read; `badContent` where it is damaged, of another kind or a
  /// newer version.
  package init(opening path: String, as kinds: [TensorSchema.Kind] = TensorSchema.Kind.allCases)
    throws(Failure)
  {
    try self.init(SealedFile.open(path), as: kinds)
  }

  private init(_ sealed: consuming SealedFile, as kinds: [TensorSchema.Kind]) throws(Failure) {
    let (kind, version) = try Self.format(of: sealed)
    guard kinds.contains(kind) else {
      let expected = kinds.map(\.rawValue).joined(separator: " or ")
      throw Failure(.badContent, "\(sealed.path) is a \(kind.rawValue); expected a \(expected)")
    }
    self.kind = kind
    self.version = version
    self.sealed = sealed
  }

  /// Kind and version, checked for what this program reads.
  private static func format(of sealed: borrowing SealedFile) throws(Failure) -> (TensorSchema.Kind, Int64) {
    do throws(HDF5Error) {
      let format = try sealed.hdf5.stringAttribute("format")
      let version = try sealed.hdf5.integerAttribute("format_version")
      guard let kind = TensorSchema.Kind(rawValue: format) else {
        throw HDF5Error(
          .mismatch, path: sealed.path, object: "format", "unknown format “\(format.prefix(80))”")
      }
      guard version >= 1, version <= TensorSchema.version else {
        throw HDF5Error(
          .mismatch, path: sealed.path, object: "format_version",
          "found \(version), but this program reads 1 to \(TensorSchema.version): "
            + "use a newer version of bert-ddp"
        )
      }
      let step = try sealed.hdf5.hasAttribute("step") ? Int(sealed.hdf5.integerAttribute("step")) : nil
      guard step == sealed.step else {
        throw HDF5Error(
          .mismatch, path: sealed.path, object: "step",
          "the content is of step \(step.map(String.init) ?? "none"), but the seal says "
            + "\(sealed.step.map(String.init) ?? "none")")
      }
      return (kind, version)
    } catch {
      throw error.failure
    }
  }

  // MARK: - Attributes

  /// A JSON text, such as `configuration`, as its UTF-8 bytes.
  /// - Throws: `badContent` where there is none, and where it is not JSON as ``JSON/JSONValue`` reads it.
  package func json(_ name: String) throws -> Data {
    _ = try jsonValue(name)
    return try Data(text(name).utf8)
  }

  /// A JSON text as a tree.
  /// - Throws: As ``json(_:)``.
  package func jsonValue(_ name: String) throws -> JSONValue {
    try JSONValue(Array(text(name).utf8), source: source(of: name), limit: JSONValue.largestModelConfiguration)
  }

  /// A JSON text as a value of a type.
  /// - Throws: As ``json(_:)``, and where it is not of the type.
  package func decode<Value: Decodable>(_ type: Value.Type, _ name: String) throws -> Value {
    try JSONValue.decode(type, from: Array(text(name).utf8), source: source(of: name))
  }

  private func source(of name: String) -> String { "\(path), attribute \(name)" }

  /// A text, such as `producer`.
  package func text(_ name: String) throws(Failure) -> String {
    try asFailure { () throws(HDF5Error) in try sealed.hdf5.stringAttribute(name) }
  }

  /// Whether there is an attribute of this name.
  package func hasAttribute(_ name: String) -> Bool { sealed.hdf5.hasAttribute(name) }

  /// Turns the wrapper's error into a person's.
  func asFailure<Result>(_ body: () throws(HDF5Error) -> Result) throws(Failure) -> Result {
    do throws(HDF5Error) {
      return try body()
    } catch {
      throw error.failure
    }
  }
}

/// The library that files are written and read with: `HDF5 1.10.8`.
package func fileLibraryVersion() -> String { "HDF5 " + hdf5LibraryVersion() }
