package import Failures
internal import FoundationEssentials
internal import Glibc
internal import HDF5

/// The checkpoints of a run directory.
///
/// A name only makes a file a candidate; its step is what its content says, and it counts only if every bit
/// is as it was published. Times and the order of names in the directory count for nothing.
package struct CheckpointFiles: Sendable {
  /// The run directory.
  package let directory: String

  /// A file that was passed over.
  package struct Skipped: Sendable, Equatable {
    /// Its path.
    package let path: String
    /// Why, in one sentence that names the file.
    package let reason: String
  }

  /// A valid checkpoint.
  package struct Found: Sendable, Equatable {
    /// Its path.
    package let path: String
    /// Its step, from its content.
    package let step: Int
    /// Its identity.
    package let sha256: String
  }

  /// The checkpoints of a directory; it need not exist.
  package init(in directory: String) {
    self.directory = directory
  }

  private static let (prefix, suffix) = ("checkpoint-", ".h5")

  /// What a run calls the checkpoint of a step.
  package static func name(step: Int) -> String { "\(prefix)\(step)\(suffix)" }

  /// The step in a name that a run gives a checkpoint; nil for any other name.
  package static func step(named name: String) -> Int? {
    guard isCandidate(name), let step = Int(name.dropFirst(prefix.count).dropLast(suffix.count)),
      step >= 0, name == self.name(step: step)
    else { return nil }
    return step
  }

  /// Whether a file of this name may be a checkpoint, be it a copy that somebody has made.
  private static func isCandidate(_ name: String) -> Bool { name.hasPrefix(prefix) && name.hasSuffix(suffix) }

  /// Where the checkpoint of a step stands.
  package func path(step: Int) -> String { "\(directory)/\(CheckpointFiles.name(step: step))" }

  /// Opens the newest valid checkpoint.
  ///
  /// The seals, of 512 bytes, give the order; files are verified from the newest on until one is valid. A
  /// seal that lies about its step has a wrong bit, so its file is not valid.
  ///
  /// - Parameter onSkip: Told of each newer file that is not valid, and why.
  /// - Returns: The checkpoint, verified; `nil` when there is none.
  /// - Throws: `noInput` where the directory cannot be read.
  package func openNewestValid(onSkip: (Skipped) -> Void = { _ in }) throws(Failure) -> TensorFile? {
    for candidate in try candidates(onSkip: onSkip) {
      do throws(Failure) {
        return try TensorFile(opening: candidate.path, as: [.checkpoint])
      } catch {
        onSkip(Skipped(path: candidate.path, reason: error.message))
      }
    }
    return nil
  }

  /// Finds the newest valid checkpoint, and says what was passed over.
  package func newestValid() throws(Failure) -> (found: Found?, skipped: [Skipped]) {
    var skipped: [Skipped] = []
    guard let file = try openNewestValid(onSkip: { skipped.append($0) }), let step = file.step else {
      return (nil, skipped)
    }
    return (Found(path: file.path, step: step, sha256: file.sha256), skipped)
  }

  /// Takes a copy of a checkpoint from elsewhere, so that what goes on here finds it.
  ///
  /// - Parameters:
  ///   - path: The checkpoint.
  ///   - step: Its step.
  /// - Throws: `noInput` or `badContent` where it is missing or damaged, `cannotWrite` where there is no room for it.
  package func adopt(_ path: String, step: Int) throws(Failure) {
    let file = try TensorFile(opening: path, as: [.checkpoint])
    guard file.step == step else {
      throw Failure(.badContent, "\(path) is of step \(file.step ?? 0), expected step \(step).")
    }
    try Publication.copy(path, to: self.path(step: step))
    _ = try TensorFile(opening: self.path(step: step), as: [.checkpoint])
  }

  /// Removes old checkpoints.
  ///
  /// The newest `count` stay, those of pinned steps, and in any case one that is valid. Files that are no
  /// checkpoints, have another name than a run gives or a damaged seal are left to people.
  ///
  /// - Parameters:
  ///   - count: How many of the newest stay; at least 1.
  ///   - pinned: Steps whose checkpoints stay besides.
  ///   - knownValid: The step of one that this process has just published, which saves verifying it.
  /// - Returns: The paths that were removed.
  /// - Throws: `cannotWrite` where a file cannot be removed.
  @discardableResult
  package func rotate(
    keeping count: Int, pinned: Set<Int> = [], knownValid: Int? = nil
  ) throws(Failure) -> [String] {
    // A copy that somebody has made under another name is theirs.
    let candidates = try candidates { _ in }.filter { $0.path == path(step: $0.step) }
    var kept = Set(candidates.prefix(max(1, count)).map(\.path))
    kept.formUnion(candidates.filter { pinned.contains($0.step) }.map(\.path))
    let surplus = candidates.filter { !kept.contains($0.path) }
    if surplus.isEmpty { return [] }
    if !candidates.contains(where: { $0.step == knownValid && kept.contains($0.path) }) {
      guard let newest = try newestValid().found else { return [] }
      kept.insert(newest.path)
    }
    var removed: [String] = []
    for candidate in surplus where !kept.contains(candidate.path) {
      guard unlink(candidate.path) == 0 || errno == ENOENT else {
        throw Failure(
          .cannotWrite, "\(candidate.path), an old checkpoint, cannot be removed: \(systemErrorText(errno))")
      }
      removed.append(candidate.path)
    }
    return removed
  }

  /// Removes what dead processes left half-written in the directory.
  ///
  /// - Returns: The paths that were removed.
  /// - Throws: `noInput` where the directory cannot be read.
  @discardableResult
  package func removeStaleTemporaries() throws(Failure) -> [String] {
    try names().filter(TemporaryFile.isName).map { "\(directory)/\($0)" }.filter {
      TemporaryFile.removeIfStale($0)
    }
  }

  // MARK: - The directory

  /// A file that may be a checkpoint, with the step that its seal claims.
  private struct Candidate {
    let path: String
    let step: Int
  }

  /// Files named like checkpoints and with a seal that says so, the newest first.
  private func candidates(onSkip: (Skipped) -> Void) throws(Failure) -> [Candidate] {
    var candidates: [Candidate] = []
    for name in try names() where CheckpointFiles.isCandidate(name) {
      let path = "\(directory)/\(name)"
      do throws(Failure) {
        guard let step = try SealedFile.claim(path).step else {
          throw Failure(.badContent, "\(path) is no checkpoint: its seal has no step")
        }
        candidates.append(Candidate(path: path, step: step))
      } catch {
        onSkip(Skipped(path: path, reason: error.message))
      }
    }
    return candidates.sorted { ($1.step, $0.path) < ($0.step, $1.path) }
  }

  /// The names in the directory, sorted; none where there is no directory.
  private func names() throws(Failure) -> [String] {
    var status = stat()
    guard stat(directory, &status) == 0 else {
      if errno == ENOENT { return [] }
      throw Failure(.noInput, "\(directory) cannot be read: \(systemErrorText(errno))")
    }
    do {
      return try FileManager.default.contentsOfDirectory(atPath: directory).sorted()
    } catch {
      throw Failure(.noInput, "\(directory) cannot be read: \(error)")
    }
  }
}
