internal import Failures

extension TensorArchive {
  /// Opens a file of tensors: safetensors, or what `torch.save` writes, whatever its name; its first bytes
  /// say which.
  /// - Parameters:
  ///   - path: The file.
  ///   - wrappers: Keys such as `state_dict` and `model`: where a PyTorch file has a dictionary of tensors
  ///     under one of them, that is what is opened.
  /// - Throws: `Failure(.noInput)` when the file is missing or unreadable, `Failure(.badContent)` when it is
  ///   damaged, of another kind, or holds anything but tensors.
  package init(opening path: String, unwrapping wrappers: [String] = []) throws {
    let file = try InputFile(path)
    let start = try file.bytes(at: 0, count: min(file.byteCount, 512))
    if start.count > 8, start[8] == UInt8(ascii: "{") {
      self = try SafeTensors.open(file)
    } else if start.starts(with: PyTorchFile.zipMagic) {
      self = try PyTorchFile.openZip(file, wrappers: wrappers)
    } else if start.starts(with: PyTorchFile.streamMagic) {
      self = try PyTorchFile.openStream(file, wrappers: wrappers)
    } else {
      throw Failure(.badContent, "\(path.quoted) \(TensorArchive.describe(start))")
    }
  }

  /// What a file is that has no tensors which are understood here, and what to do.
  private static func describe(_ start: [UInt8]) -> String {
    if start.isEmpty { return "is empty; fetch it again" }
    if start.starts(with: "version https://git-lfs".utf8) {
      return "is only a Git LFS pointer to the weights; run \"git lfs pull\" where it was cloned"
    }
    if start.dropFirst(257).starts(with: "ustar".utf8) {
      return "is a tar file, as PyTorch wrote before 0.1.10; load and save it with a newer PyTorch"
    }
    if start.starts(with: [0x89, 0x48, 0x44, 0x46]) {
      return "is an HDF5 file; a safetensors or PyTorch file is expected here"
    }
    if start.starts(with: [0x80]) {
      return "is a pickle, but not one that torch.save wrote; save the state dictionary with torch.save"
    }
    return "is cut short, or neither a safetensors nor a PyTorch file"
  }
}
