internal import Failures
internal import FoundationEssentials
internal import Glibc

/// A directory of a test's own, removed with everything in it when the last reference goes.
///
/// Its name has a space, as users' directories do.
package final class TemporaryDirectory: Sendable {
  /// The absolute path.
  package let path: String

  /// Makes an empty directory under `TMPDIR`, or `/tmp`.
  /// - Throws: `Failure(.cannotWrite)` when that fails.
  package init() throws {
    let parent = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
    var template = Array("\(parent)/bert-ddp test XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else {
      throw Failure(.cannotWrite, "cannot make a temporary directory in \(parent)")
    }
    path = template.withUnsafeBufferPointer { buffer in
      buffer.baseAddress.map { String(cString: $0) } ?? ""
    }
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  /// The path of something in it.
  package func path(_ name: String) -> String { path + "/" + name }

  /// Writes a file into it, making the directories on the way, and returns the path.
  /// - Throws: What Foundation says when that fails.
  @discardableResult
  package func write(_ bytes: [UInt8], to name: String) throws -> String {
    let target = path(name)
    let parent = String(target[..<(target.lastIndex(of: "/") ?? target.startIndex)])
    try FileManager.default.createDirectory(atPath: parent, withIntermediateDirectories: true)
    try Data(bytes).write(to: URL(filePath: target))
    return target
  }

  /// Writes a text file into it and returns the path.
  /// - Throws: What Foundation says when that fails.
  @discardableResult
  package func write(_ text: String, to name: String) throws -> String {
    try write(Array(text.utf8), to: name)
  }
}

/// Calls `body` with a directory of its own, which is removed afterwards.
/// - Throws: What `body` throws.
package func withTemporaryDirectory<Result>(
  _ body: (TemporaryDirectory) throws -> Result
) throws -> Result {
  let directory = try TemporaryDirectory()
  return try withExtendedLifetime(directory) { try body(directory) }
}
