internal import Checkpoints
package import Console
internal import Failures
internal import FoundationEssentials
internal import Glibc

/// The run directory while a run has it: made, writable and locked; as it was if the run comes to write nothing there.
package final class RunDirectory {
  private let path: String
  /// The directories that were made for it, the innermost first.
  private let made: [String]
  private let lock: RunLock
  private let hadLock: Bool
  /// Whether anything is going to be written.
  private var isUsed = false

  /// Makes and locks a directory.
  /// - Parameters:
  ///   - path: The directory.
  ///   - screen: Shows what is waited for, where a job of another host has it, and warns where nobody can have it alone.
  /// - Throws: `Failure` when it cannot be made or written to, or another run has it.
  package init(_ path: String, _ screen: Screen) throws {
    let missing = RunDirectory.missing(path)
    let files = RunFiles(directory: path)
    hadLock = files.has(RunLock.fileName)
    try files.makeDirectory()
    lock = try RunLock.take(in: path, onWait: screen.line)
    if !lock.isEnforced { screen.warning(RunLock.warning(on: path)) }
    // Now that nobody else writes here: what a killed run left half-written.
    try CheckpointFiles(in: path).removeStaleTemporaries()
    self.path = path
    made = missing
  }

  deinit {
    guard !isUsed else { return }
    if !hadLock { unlink(path + "/" + RunLock.fileName) }
    for directory in made { rmdir(directory) }
  }

  /// Keeps the directory from here on.
  package func use() { isUsed = true }

  /// The path and those above it that do not exist.
  private static func missing(_ path: String) -> [String] {
    var missing: [String] = []
    var rest = path[...]
    while true {
      while rest.count > 1, rest.last == "/" { rest.removeLast() }
      guard !rest.isEmpty, !FileManager.default.fileExists(atPath: String(rest)) else { return missing }
      missing.append(String(rest))
      guard let slash = rest.lastIndex(of: "/") else { return missing }
      rest = rest[..<slash]
    }
  }
}
