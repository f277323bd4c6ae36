internal import Failures
internal import Glibc

/// A file being written beside its final place: it takes the place of what stood there only when it is
/// complete and on the disk, and is removed when it never gets that far.
struct OutputFile: ~Copyable {
  private let path: String
  private let temporaryPath: String
  private let descriptor: Int32
  private var buffer: [UInt8] = []
  private var isFinished = false
  /// How many bytes were written so far.
  private(set) var byteCount = 0

  private static let bufferByteCount = 1 << 20

  /// Starts a file.
  /// - Throws: `Failure(.cannotWrite)` when it cannot be made.
  init(_ path: String) throws {
    let temporaryPath = "\(path).partial-\(getpid())"
    let descriptor = open(temporaryPath, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o666)
    guard descriptor >= 0 else {
      throw Failure(.cannotWrite, "cannot write \(path.quoted): \(InputFile.reason(errno))")
    }
    self.path = path
    self.temporaryPath = temporaryPath
    self.descriptor = descriptor
    buffer.reserveCapacity(OutputFile.bufferByteCount)
  }

  deinit {
    close(descriptor)
    if !isFinished { unlink(temporaryPath) }
  }

  /// Appends bytes.
  /// - Throws: `Failure(.cannotWrite)` when the disk is full or fails.
  mutating func write(_ bytes: [UInt8]) throws {
    try bytes.withUnsafeBytes { try write($0) }
  }

  /// Appends bytes.
  /// - Throws: `Failure(.cannotWrite)` when the disk is full or fails.
  mutating func write(_ bytes: UnsafeRawBufferPointer) throws {
    byteCount += bytes.count
    if buffer.count + bytes.count <= OutputFile.bufferByteCount {
      buffer.append(contentsOf: bytes)
    } else {
      try flush()
      try writeThrough(bytes, at: nil)
    }
  }

  /// Replaces bytes that were written before.
  /// - Throws: `Failure(.cannotWrite)` when the disk fails.
  mutating func overwrite(_ bytes: [UInt8], at offset: Int) throws {
    try flush()
    try bytes.withUnsafeBytes { try writeThrough($0, at: offset) }
  }

  /// Puts the complete file in its place.
  /// - Throws: `Failure(.cannotWrite)` when the disk is full or fails; what stood there before still does.
  mutating func finish() throws {
    try flush()
    guard fsync(descriptor) == 0, rename(temporaryPath, path) == 0 else {
      throw Failure(.cannotWrite, "cannot write \(path.quoted): \(InputFile.reason(errno))")
    }
    isFinished = true
    synchronizeDirectory()
  }

  /// Brings the renaming to the disk where the file system can; the file is in its place in any case.
  private func synchronizeDirectory() {
    let slash = path.lastIndex(of: "/")
    let directory = open(slash.map { String(path[...$0]) } ?? ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard directory >= 0 else { return }
    _ = fsync(directory)
    close(directory)
  }

  private mutating func flush() throws {
    try buffer.withUnsafeBytes { try writeThrough($0, at: nil) }
    buffer.removeAll(keepingCapacity: true)
  }

  private func writeThrough(_ bytes: UnsafeRawBufferPointer, at offset: Int?) throws {
    guard let base = bytes.baseAddress else { return }
    var done = 0
    while done < bytes.count {
      let count = min(bytes.count - done, 1 << 30)
      let written =
        offset.map { pwrite(descriptor, base + done, count, $0 + done) }
        ?? Glibc.write(descriptor, base + done, count)
      if written >= 0 {
        done += written
      } else if errno != EINTR {
        throw Failure(.cannotWrite, "cannot write \(path.quoted): \(InputFile.reason(errno))")
      }
    }
  }
}
