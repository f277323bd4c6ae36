import Failures
import FoundationEssentials
import Glibc

/// Where a result goes: a file, which is replaced at once, a pipe or device, or `-` for standard output.
struct Output {
  private let path: String

  /// The place that a path names.
  init(_ path: String) { self.path = path }

  /// Finds out early that a file cannot be written.
  /// - Throws: `Failure` that says why.
  func check() throws {
    guard path != "-", kind == nil || isFile else {
      if kind == S_IFDIR { throw Failure(.cannotWrite, "\(path) is a directory; name a file in it.") }
      return
    }
    guard access(directory + "/.", W_OK | X_OK) == 0 else { throw failure(errno) }
  }

  /// Refuses to replace what is read.
  /// - Parameter inputs: Options or arguments, and the files that they name; nil for one that is left out.
  /// - Throws: `Failure` that names the one that is the same file.
  func check(isNone inputs: [(option: String, path: String?)]) throws {
    guard path != "-", isFile else { return }
    for (option, input) in inputs {
      guard let input, let other = Output(input).identity, other == identity else { continue }
      throw Failure(
        .usage, "--output is \(path), the file that \(option) names and that is read; choose another --output.")
    }
  }

  /// What tells a file from others, whatever its name.
  private var identity: [UInt64]? {
    var status = stat()
    return stat(path, &status) == 0 ? [UInt64(status.st_dev), UInt64(status.st_ino)] : nil
  }

  /// Makes sure that nothing is lost but an older file of ours.
  /// - Throws: `Failure` when another program's file stands there: the weights that are being imported, for one.
  func checkReplacesOnlyOurs() throws {
    guard isFile, let content = try? Data(contentsOf: URL(filePath: path), options: .alwaysMapped),
      !content.isEmpty
    else { return }
    guard content.starts(with: Array("bert-ddp seal ".utf8)) else {
      throw Failure(.cannotWrite, "\(path) exists and is not a file of bert-ddp; choose another --output.")
    }
  }

  /// Writes all of it.
  /// - Throws: `Failure` when that cannot be done; a file that stood before stands.
  func write(_ data: Data) throws {
    guard path != "-" else {
      guard Output.writeAll(data, to: STDOUT_FILENO) else {
        throw Failure(.cannotWrite, "standard output cannot be written: \(String(cString: strerror(errno))).")
      }
      return
    }
    if kind != nil, !isFile { return try writeInPlace(data) }
    do {
      try data.write(to: URL(filePath: path), options: .atomic)
    } catch {
      throw failure(errno)
    }
  }

  /// A pipe or a device is not to be replaced by a file.
  private func writeInPlace(_ data: Data) throws {
    let descriptor = open(path, O_WRONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw failure(errno) }
    defer { close(descriptor) }
    guard Output.writeAll(data, to: descriptor) else { throw failure(errno) }
  }

  private static func writeAll(_ data: Data, to descriptor: CInt) -> Bool {
    data.withUnsafeBytes { bytes in
      var written = 0
      while written < bytes.count {
        guard let base = bytes.baseAddress else { return false }
        let count = Glibc.write(descriptor, base + written, bytes.count - written)
        if count < 0, errno == EINTR { continue }
        if count < 0, errno == EAGAIN {
          // A pipe shared with a program that made it non-blocking.
          var waiting = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
          poll(&waiting, 1, 1000)
          continue
        }
        if count <= 0 { return false }
        written += count
      }
      return true
    }
  }

  /// The file type of what is there; nil when nothing is.
  private var kind: mode_t? {
    var status = stat()
    return stat(path, &status) == 0 ? status.st_mode & S_IFMT : nil
  }
  private var isFile: Bool { kind == S_IFREG }
  private var directory: String {
    guard let slash = path.lastIndex(of: "/") else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
  }

  private func failure(_ code: CInt) -> Failure {
    Failure(
      .cannotWrite, "\(path) cannot be written: \(String(cString: strerror(code))); choose another --output.")
  }
}
