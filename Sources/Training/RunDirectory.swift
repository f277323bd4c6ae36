internal import Checkpoints
internal import Failures
internal import FoundationEssentials
internal import Glibc

/// The run directory while a run has it: made, writable and locked; gone again if the run came to write nothing there.
final class RunDirectory {
  private let path: String
  /// The directories that were made for it, the innermost first.
  private let made: [String]
  private let lock: RunLock

  /// Makes and locks a directory.
  /// - Throws: `Failure` when it cannot be made or written to, or another run has it.
  init(_ path: String) throws {
    let missing = RunDirectory.missing(path)
    try RunFiles(directory: path).makeDirectory()
    lock = try RunLock.take(in: path)
    self.path = path
    made = missing
  }

  deinit {
    let content = try? FileManager.default.contentsOfDirectory(atPath: path)
    guard !made.isEmpty, content == [RunLock.fileName] else { return }
    unlink(path + "/" + RunLock.fileName)
    for directory in made { rmdir(directory) }
  }

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
