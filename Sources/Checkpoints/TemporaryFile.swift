internal import Glibc
internal import HDF5

/// The owner of a file `<name>.tmp-<pid>` beside the one that it is to become; removed unless it is renamed.
///
/// It is locked as long as its process lives, so that a leftover can be told from a file that is being
/// written: on every host that shares the directory, and even where the same process id comes again.
struct TemporaryFile: ~Copyable, Sendable {
  /// Open for reading and writing.
  let descriptor: Descriptor
  /// The path, until it is renamed.
  let path: String
  private var isRenamed = false

  /// Makes an empty file.
  init(for destination: String) throws(Descriptor.SystemError) {
    path = "\(destination).tmp-\(getpid())"
    // A leftover of an earlier process with our id.
    Self.removeIfStale(path)
    descriptor = try Descriptor(path: path, flags: O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW)
    // Where the file system has no locks, the process id tells.
    _ = flock(descriptor.number, LOCK_EX | LOCK_NB)
  }

  deinit {
    if !isRenamed { unlink(path) }
  }

  /// Puts the file in the place of its destination, at once, and opens it to readers that lock what they
  /// read.
  ///
  /// The corresponding C function is `rename`.
  mutating func rename(to destination: String) throws(Descriptor.SystemError) {
    guard Glibc.rename(path, destination) == 0 else { throw Descriptor.SystemError(code: errno) }
    isRenamed = true
    flock(descriptor.number, LOCK_UN)
  }

  /// Whether a name is one of a temporary file.
  static func isName(_ name: String) -> Bool { processIdentifier(name) != nil }

  /// Removes a temporary file whose process is gone; whether it did.
  @discardableResult
  static func removeIfStale(_ path: String) -> Bool {
    guard
      let process = processIdentifier(path),
      let descriptor = try? Descriptor(path: path, flags: O_RDWR | O_NOFOLLOW | O_NONBLOCK)
    else { return false }
    if flock(descriptor.number, LOCK_EX | LOCK_NB) != 0 {
      let isHeld = errno == EWOULDBLOCK
      let isAlive = process == getpid() || kill(process, 0) == 0 || errno == EPERM
      if isHeld || isAlive { return false }
    }
    return unlink(path) == 0
  }

  private static func processIdentifier(_ name: String) -> pid_t? {
    guard let range = name.lastRange(of: ".tmp-") else { return nil }
    let digits = name[range.upperBound...]
    guard !digits.isEmpty, digits.allSatisfy({ $0.isASCII && $0.isNumber }) else { return nil }
    return pid_t(digits)
  }
}

extension String {
  /// Where another text stands for the last time.
  fileprivate func lastRange(of text: String) -> Range<Index>? {
    var start = endIndex
    while start > startIndex {
      start = index(before: start)
      if self[start...].hasPrefix(text) { return start..<index(start, offsetBy: text.count) }
    }
    return nil
  }
}
