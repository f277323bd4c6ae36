package import FoundationEssentials
internal import Glibc

/// Appends whole lines to a file: each in one write, so that a reader never sees a part of one.
package struct FileAppender: ~Copyable {
  private let descriptor: Int32

  /// Opens a file, or makes it; nil when that cannot be done.
  package init?(path: String) {
    descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
    if descriptor < 0 { return nil }
  }

  deinit { close(descriptor) }

  /// Appends in one write.
  /// - Returns: Whether all of it was written.
  package func append(_ data: Data) -> Bool {
    data.withUnsafeBytes { bytes in write(descriptor, bytes.baseAddress, bytes.count) == bytes.count }
  }
}
