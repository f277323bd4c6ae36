internal import Failures
internal import Glibc

/// A regular file opened for reading at any position, closed with its last owner.
///
/// Reads go through `pread`, not through a memory map: a file that shrinks or a disk that fails while it is
/// read is then an error with a sentence instead of a SIGBUS, numbers land in their destination without a
/// second copy, and the file's pages do not count as memory of the process.
package final class InputFile: Sendable {
  /// The path it was opened by.
  package let path: String
  /// Its size when it was opened.
  package let byteCount: Int
  private let descriptor: Int32

  /// Opens a file.
  /// - Throws: `Failure(.noInput)` when it is missing, unreadable or not a regular file.
  package init(_ path: String) throws {
    // Without O_NONBLOCK, opening a named pipe would wait for a writer.
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else {
      let cause = errno
      guard cause == ENOENT else {
        throw Failure(.noInput, "cannot read \(path.quoted): \(InputFile.reason(cause))")
      }
      throw InputFile.exists(path)
        ? Failure(.noInput, "\(path.quoted) is a link to a file that does not exist; fetch the file again")
        : Failure(.noInput, "there is no file \(path.quoted)")
    }
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
      let what = status.st_mode & S_IFMT == S_IFDIR ? "a directory" : "not a regular file"
      close(descriptor)
      throw Failure(.noInput, "\(path.quoted) is \(what); a file was expected")
    }
    self.path = path
    self.descriptor = descriptor
    byteCount = Int(status.st_size)
  }

  deinit { close(descriptor) }

  /// Fills a buffer with the bytes at a position.
  /// - Throws: `Failure(.badContent)` when the file ends before, `Failure(.noInput)` when reading fails.
  package func read(at offset: Int, into buffer: UnsafeMutableRawBufferPointer) throws {
    try require(offset: offset, count: buffer.count)
    guard let base = buffer.baseAddress else { return }
    var done = 0
    while done < buffer.count {
      let count = pread(descriptor, base + done, min(buffer.count - done, 1 << 30), offset + done)
      if count > 0 {
        done += count
      } else if count == 0 {
        throw Failure(.badContent, "\(path.quoted) became shorter while it was being read")
      } else if errno != EINTR {
        throw Failure(.noInput, "cannot read \(path.quoted): \(InputFile.reason(errno))")
      }
    }
  }

  /// The bytes at a position, as an array of their own.
  /// - Throws: `Failure(.badContent)` when the file ends before, `Failure(.noInput)` when reading fails.
  package func bytes(at offset: Int, count: Int) throws -> [UInt8] {
    try require(offset: offset, count: count)
    return try [UInt8](unsafeUninitializedCapacity: count) { buffer, initializedCount in
      try read(
        at: offset,
        into: UnsafeMutableRawBufferPointer(rebasing: UnsafeMutableRawBufferPointer(buffer)[..<count]))
      initializedCount = count
    }
  }

  /// All bytes of a file.
  /// - Throws: `Failure(.noInput)` when it is missing or unreadable.
  package static func contents(of path: String) throws -> [UInt8] {
    let file = try InputFile(path)
    return try file.bytes(at: 0, count: file.byteCount)
  }

  /// Whether there is anything of that name, if only a link that leads nowhere.
  static func exists(_ path: String) -> Bool {
    var status = stat()
    return lstat(path, &status) == 0
  }

  private func require(offset: Int, count: Int) throws {
    let (end, overflow) = offset.addingReportingOverflow(count)
    guard offset >= 0, count >= 0, !overflow, end <= byteCount else {
      throw Failure(
        .badContent,
        """
        \(path.quoted) is cut short or damaged: \(count) bytes are expected at byte \(offset), \
        but it has \(byteCount) in all
        """
      )
    }
  }

  /// What the operating system says about an error number.
  static func reason(_ number: Int32) -> String { String(cString: strerror(number)) }
}
