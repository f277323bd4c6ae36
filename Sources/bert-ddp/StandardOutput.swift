import FoundationEssentials
import Glibc

/// Writes all bytes to standard output; false when that fails.
func writeToStandardOutput(_ data: Data) -> Bool {
  data.withUnsafeBytes { bytes in
    var written = 0
    while written < bytes.count {
      guard let base = bytes.baseAddress else { return false }
      let count = write(STDOUT_FILENO, base + written, bytes.count - written)
      if count < 0, errno == EINTR { continue }
      if count <= 0 { return false }
      written += count
    }
    return true
  }
}
