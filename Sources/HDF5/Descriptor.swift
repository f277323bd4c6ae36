internal import CHDF5
internal import Glibc

/// The owner of an open file's descriptor, with the few calls that files of ours need; each retries on EINTR.
package struct Descriptor: ~Copyable, Sendable {
  /// A call that failed, as `errno` has it.
  package struct SystemError: Error, Equatable, Sendable {
    /// `errno`.
    package let code: Int32
    /// The system's text for it.
    package var text: String { systemErrorText(code) }

    /// An error of the system.
    package init(code: Int32) { self.code = code }
  }

  /// What identifies an open file and tells a change of its content.
  package struct Status: Equatable, Sendable {
    /// Bytes in the file.
    package let length: Int
    /// The time of the last change of the content, in ns since 1970.
    package let modified: Int
    /// Whether it is a plain file.
    package let isRegular: Bool
  }

  /// The number; valid as long as the owner.
  package let number: Int32

  /// Opens a file; the descriptor is not inherited by programs that are started.
  ///
  /// The corresponding C function is `open`.
  package init(path: String, flags: Int32, mode: UInt32 = 0o666) throws(SystemError) {
    number = try retrying { open(path, flags | O_CLOEXEC, mode) }
  }

  /// A second descriptor of the same open file.
  ///
  /// The corresponding C function is `fcntl` with `F_DUPFD_CLOEXEC`.
  package init(duplicating other: borrowing Descriptor) throws(SystemError) {
    let original = other.number
    number = try retrying { fcntl(original, F_DUPFD_CLOEXEC, 0) }
  }

  deinit {
    close(number)
  }

  /// The file's length, time of change and kind.
  ///
  /// The corresponding C function is `fstat`.
  package func status() throws(SystemError) -> Status {
    var status = stat()
    let number = number
    try retrying { fstat(number, &status) }
    return Status(
      length: Int(status.st_size),
      modified: Int(status.st_mtim.tv_sec) &* 1_000_000_000 &+ Int(status.st_mtim.tv_nsec),
      isRegular: status.st_mode & S_IFMT == S_IFREG)
  }

  /// Reads bytes at a place until the buffer is full or the file ends; the count of bytes read.
  ///
  /// The corresponding C function is `pread`.
  package func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws(SystemError) -> Int {
    var done = 0
    while done < buffer.count {
      let rest = UnsafeMutableRawBufferPointer(rebasing: buffer[done...])
      let count = try retrying { pread(number, rest.baseAddress, rest.count, offset + done) }
      if count == 0 { break }
      done += count
    }
    return done
  }

  /// Writes all bytes at a place.
  ///
  /// The corresponding C function is `pwrite`.
  package func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(SystemError) {
    var done = 0
    while done < bytes.count {
      let rest = UnsafeRawBufferPointer(rebasing: bytes[done...])
      done += try retrying { pwrite(number, rest.baseAddress, rest.count, offset + done) }
    }
  }

  /// Asks the system to bring everything written to the disk, and waits for it.
  ///
  /// The corresponding C function is `fsync`.
  package func synchronize() throws(SystemError) {
    let number = number
    try retrying { fsync(number) }
  }

  /// Sets aside space on the disk for the file's first bytes without changing its length, so that want of
  /// space shows now and not halfway. File systems that cannot do that are left alone.
  ///
  /// The corresponding C function is `fallocate` with `FALLOC_FL_KEEP_SIZE`.
  package func reserve(byteCount: Int) throws(SystemError) {
    guard byteCount > 0 else { return }
    let code = CHDF5_reserve(number, Int64(byteCount))
    let isRealFailure = [ENOSPC, EDQUOT, EFBIG, EIO, EROFS].contains(code)
    if isRealFailure { throw SystemError(code: code) }
  }

  /// Tells the system that the file will be read once from the beginning, so that it reads ahead.
  package func willReadSequentially() {
    _ = posix_fadvise(number, 0, 0, POSIX_FADV_SEQUENTIAL)
  }

  /// Drops what the system keeps of the file in memory, so that the next reading comes from the disk.
  package func dropCache() {
    _ = posix_fadvise(number, 0, 0, POSIX_FADV_DONTNEED)
  }
}

/// Calls again while a signal interrupts the call; throws `errno` for a negative result.
@discardableResult
private func retrying<Result: SignedInteger>(_ call: () -> Result) throws(Descriptor.SystemError) -> Result {
  while true {
    let result = call()
    if result >= 0 { return result }
    let code = errno
    if code != EINTR { throw Descriptor.SystemError(code: code) }
  }
}
