internal import Failures
internal import JSON

/// A checkpoint in several files with an index that says which tensor is in which.
enum ShardedWeights {
  /// Opens the files that an index names.
  /// - Parameters:
  ///   - index: The name of the index, `model.safetensors.index.json` or its `.bin` twin.
  ///   - directory: The directory that holds the index and the files.
  /// - Returns: The tensors of all files.
  /// - Throws: `Failure(.noInput)` naming a file that is missing; `Failure(.badContent)` when the index is
  ///   malformed, names a file outside the directory, or a tensor is not in the file that it names.
  static func open(index: String, in directory: String) throws -> TensorArchive {
    let indexPath = directory + "/" + index
    let files = try fileNames(in: indexPath)
    var archives: [String: TensorArchive] = [:]
    var order: [TensorArchive] = []
    for (tensor, file) in files {
      if archives[file] == nil {
        let archive = try openShard(file, in: directory, index: indexPath)
        archives[file] = archive
        order.append(archive)
      }
      guard archives[file]?.entry(named: tensor) != nil else {
        throw Failure(
          .badContent,
          "\(indexPath.quoted) places the tensor \(tensor.quoted) in \(file.quoted), which does not have it")
      }
    }
    return try TensorArchive.joining(order, path: directory)
  }

  private static func openShard(_ file: String, in directory: String, index: String) throws -> TensorArchive {
    // A name with a slash could lead to any file of the machine.
    guard !file.isEmpty, file != ".", file != "..", !file.utf8.contains(UInt8(ascii: "/")),
      !file.utf8.contains(0)
    else {
      throw Failure(
        .badContent,
        "\(index.quoted) names the file \(file.quoted), which is not a plain name in its directory")
    }
    let path = directory + "/" + file
    guard InputFile.exists(path) else {
      throw Failure(.noInput, "\(path.quoted) is missing, though \(index.quoted) names it; fetch it again")
    }
    return try TensorArchive(opening: path)
  }

  /// Tensors and the files that hold them, in the order of the index.
  private static func fileNames(in path: String) throws -> [(tensor: String, file: String)] {
    var scanner = JSONScanner(try InputFile.contents(of: path)[...], source: path.quoted)
    var files: [(String, String)] = []
    try scanner.object { key, scanner in
      if key == "weight_map" {
        try scanner.object { tensor, scanner in files.append((tensor, try scanner.string())) }
      } else {
        try scanner.skipValue()
      }
    }
    try scanner.end()
    guard !files.isEmpty else { throw Failure(.badContent, "\(path.quoted) has no weight_map with tensors") }
    return files
  }
}
