internal import Failures
internal import Glibc
internal import HDF5

/// What a disk has room for, and what to say when it has not.
enum Disk {
  /// Bytes that may still be written in a directory; `nil` where the file system does not tell.
  ///
  /// The corresponding C function is `statvfs`.
  static func availableByteCount(in directory: String) -> Int? {
    var status = statvfs()
    guard statvfs(directory, &status) == 0, status.f_blocks > 0 else { return nil }
    let (count, overflow) = UInt64(status.f_bavail).multipliedReportingOverflow(by: UInt64(status.f_frsize))
    return overflow ? Int.max : Int(clamping: count)
  }

  /// The largest file that this process may write; `nil` is no limit.
  ///
  /// The corresponding C function is `getrlimit` with `RLIMIT_FSIZE`.
  static var fileSizeLimit: Int? {
    var limit = rlimit()
    guard getrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit) == 0 else { return nil }
    return Int(exactly: limit.rlim_cur)
  }

  /// Makes a write beyond the file size limit return EFBIG; by default the signal SIGXFSZ ends the process. A
  /// handler that someone has set stays.
  static func ignoreFileSizeSignal() {
    var action = sigaction()
    sigaction(SIGXFSZ, nil, &action)
    // SIG_DFL is the null pointer.
    if action.__sigaction_handler.sa_handler == nil { signal(SIGXFSZ, SIG_IGN) }
  }

  /// Checks before anything is written that a file can stand at a path and that there is room for it.
  static func checkRoom(for byteCount: Int, at path: String) throws(Failure) {
    var status = stat()
    if stat(path, &status) == 0, status.st_mode & S_IFMT != S_IFREG {
      throw Failure(
        .cannotWrite, "\(path) could not be written: it is a directory or a device, not a plain file")
    }
    let directory = directory(of: path)
    if let available = availableByteCount(in: directory), available < byteCount {
      throw failure(ENOSPC, path, needed: byteCount)
    }
    if let limit = fileSizeLimit, limit < byteCount { throw failure(EFBIG, path, needed: byteCount) }
  }

  /// The failure of a write: path, reason, what to do about it, and bytes where they are the reason.
  static func failure(_ code: Int32, _ path: String, needed: Int) -> Failure {
    let available = availableByteCount(in: directory(of: path)).map { "\($0) are available" }
    let room = "it needs \(needed) bytes" + (available.map { " and \($0)" } ?? "")
    let advice =
      switch code {
      case ENOSPC, EDQUOT: "\(room); free some space, or choose another disk"
      case EFBIG:
        "it needs \(needed) bytes and a file may have \(fileSizeLimit.map(String.init) ?? "fewer") (ulimit -f); raise that limit"
      case EACCES, EPERM, EROFS: "allow writing there, or choose another directory"
      case ENOENT, ENOTDIR: "its directory must exist"
      default: room
      }
    return Failure(
      .cannotWrite, "\(path) could not be written: \(systemErrorText(code)); \(advice); what stood there is unchanged")
  }

  /// The directory that a path's last name is in.
  static func directory(of path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
  }
}
