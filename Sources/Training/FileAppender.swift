internal import FoundationEssentials
internal import Glibc

/// Appends whole lines to a file: each in one write, so that a reader never sees a part of one.
struct FileAppender: ~Copyable {
  private let descriptor: Int32

  init?(path: String) {
    descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
    if descriptor < 0 { return nil }
  }

  deinit { close(descriptor) }

  func append(_ data: Data) -> Bool {
    data.withUnsafeBytes { bytes in write(descriptor, bytes.baseAddress, bytes.count) == bytes.count }
  }
}
