internal import Failures

extension TensorArchive {
  /// Opens a file of tensors; what kind it is, its first bytes say, whatever its name.
  /// - Parameter path: A safetensors file.
  /// - Throws: `Failure(.noInput)` when the file is missing or unreadable, `Failure(.badContent)` when it is damaged
  ///   or of another kind.
  package init(opening path: String) throws {
    let file = try InputFile(path)
    self = try SafeTensors.open(file)
  }
}
