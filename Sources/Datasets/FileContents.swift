internal import Failures
internal import Glibc

/// All bytes of a file, a named pipe or, for the path `-`, of standard input.
///
/// - Parameters:
///   - path: The file.
///   - option: The option that names it, for a message.
/// - Returns: Its bytes.
/// - Throws: `Failure(.noInput)` when the file is missing, unreadable, a directory or a device.
package func fileContents(of path: String, option: String? = nil) throws -> [UInt8] {
  if path == "-" { return try readToEnd(0, expecting: 0, path: "standard input") }
  let descriptor = open(path, O_RDONLY | O_CLOEXEC)
  guard descriptor >= 0 else { throw unreadable(path, option) }
  defer { close(descriptor) }
  var status = stat()
  guard fstat(descriptor, &status) == 0 else { throw unreadable(path) }
  switch status.st_mode & S_IFMT {
  case S_IFREG:
    // Refused here, because an allocation that cannot be had would end the program without a word.
    let memory = sysconf(Int32(_SC_PHYS_PAGES)) * sysconf(Int32(_SC_PAGESIZE))
    guard memory <= 0 || status.st_size < memory else {
      throw Failure(
        .noInput,
        "\(path) has \(status.st_size) bytes, more than this machine's memory of \(memory); split it.")
    }
    return try readToEnd(descriptor, expecting: Int(status.st_size), path: path)
  case S_IFIFO: return try readToEnd(descriptor, expecting: 0, path: path)
  case S_IFDIR: throw Failure(.noInput, "\(path) is a directory; name a file in it.")
  // A device such as /dev/zero might never end.
  default:
    throw Failure(.noInput, "\(path) is neither a file nor a pipe; name a file, or - for standard input.")
  }
}

private func readToEnd(_ descriptor: Int32, expecting size: Int, path: String) throws -> [UInt8] {
  var bytes: [UInt8] = []
  bytes.reserveCapacity(size)
  try withUnsafeTemporaryAllocation(byteCount: 1 << 20, alignment: 16) { chunk in
    while true {
      let count = read(descriptor, chunk.baseAddress, chunk.count)
      if count < 0 && errno == EINTR { continue }
      guard count >= 0 else { throw unreadable(path) }
      if count == 0 { return }
      bytes.append(contentsOf: chunk[..<count])
    }
  }
  return bytes
}

private func unreadable(_ path: String, _ option: String? = nil) -> Failure {
  let advice = errno == EACCES ? "let yourself read it, or name another file" : "name a file that is there"
  return Failure(
    .noInput,
    "Cannot read \(path): \(String(cString: strerror(errno))); \(advice)\(option.map { " (\($0))" } ?? "").")
}
