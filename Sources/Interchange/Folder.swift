internal import Failures
internal import FoundationEssentials
internal import JSON

/// Folders of other libraries: what is read from them and put into them.
enum Folder {
  /// The forms of a file of tensors.
  enum Form {
    case safetensors
    case torch
  }

  /// The path of a folder that has to be there, without a slash at the end.
  /// - Throws: `Failure(.noInput)` when there is none.
  static func existing(_ path: String, holding what: String) throws -> String {
    let path = path.count > 1 && path.hasSuffix("/") ? String(path.dropLast()) : path
    var isDirectory = false
    guard FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) else {
      throw Failure(.noInput, "there is no directory \(path.quoted); pass one with \(what)")
    }
    guard isDirectory else {
      throw Failure(.noInput, "\(path.quoted) is not a directory; pass one with \(what)")
    }
    return path
  }

  /// The first of some files that is there.
  /// - Throws: `Failure(.noInput)` when none is.
  static func choose(_ names: [String], in path: String) throws -> String {
    guard let name = names.first(where: { InputFile.exists(path + "/" + $0) }) else {
      throw Failure(.noInput, "\(path.quoted) has none of \(names.joined(separator: ", ")); fetch it again")
    }
    return name
  }

  /// Makes a folder with those above it; one that is there must be empty, since files left from another adapter
  /// would be loaded with this one.
  /// - Throws: `Failure(.cannotWrite)` when that fails.
  static func create(_ path: String) throws {
    let found = try? FileManager.default.contentsOfDirectory(atPath: path)
    guard found?.isEmpty ?? true else {
      throw Failure(.cannotWrite, "\(path.quoted) is not empty; pass a new directory")
    }
    do {
      try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    } catch {
      throw Failure(.cannotWrite, "cannot make the directory \(path.quoted)")
    }
  }

  /// Writes a JSON document.
  /// - Throws: `Failure(.cannotWrite)` when that fails.
  static func write(_ document: JSONValue, to path: String) throws {
    try write(document.fileBytes, to: path)
  }

  /// Writes a file.
  /// - Throws: `Failure(.cannotWrite)` when that fails.
  static func write(_ bytes: [UInt8], to path: String) throws {
    var file = try OutputFile(path)
    try file.write(bytes)
    try file.finish()
  }

  /// Writes tensors under other names than they have here; one may be written under several.
  /// - Throws: `Failure(.cannotWrite)` when that fails, and what `source` throws.
  static func write(
    _ tensors: [(name: String, tensor: TensorEntry)], as form: Form, to path: String, source: TensorSource
  ) throws {
    let published = tensors.map { $0.tensor.renamed($0.name) }
    let originals = Dictionary(tensors.map { ($0.name, $0.tensor) }) { first, _ in first }
    let renamedSource: TensorSource = { entry, destination in
      try source(originals[entry.name] ?? entry, destination)
    }
    switch form {
    case .safetensors: try SafeTensors.write(published, to: path, source: renamedSource)
    case .torch: try PyTorchFile.write(published, to: path, source: renamedSource)
    }
  }

  /// Checks that labels differ from each other: a file lists them as the keys of an object.
  /// - Throws: `Failure(.badContent)` naming the first that occurs twice.
  static func checkLabels(_ labels: [String]) throws {
    var seen: Set<String> = []
    if let twice = labels.first(where: { !seen.insert($0).inserted }) {
      throw Failure(.badContent, "two classes have the label \(twice.quoted); give them different names")
    }
  }

  /// Whether a name of an adapter can be a folder's name and a part of a tensor's name.
  static func isPlain(_ name: String) -> Bool {
    !name.isEmpty && !name.utf8.contains { $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: ".") || $0 < 0x20 }
      && name.utf8.count <= 200
  }
}
