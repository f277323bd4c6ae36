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
  /// - Parameter onSkip: Told of each file that is not valid and might have been newer, and why.
  /// - Returns: The checkpoint, verified; `nil` when there is none.
  /// - Throws: `noInput` where the directory cannot be read, or a file that may be the newest: a disk that does not answer
  ///   just now is no reason to do again what was done. By its name one may be older than the newest that is valid.
  package func openNewestValid(onSkip: (Skipped) -> Void = { _ in }) throws(Failure) -> TensorFile? {
    let (readable, others) = try candidates()
    for (path, failure) in others where !mayCount(path, failure) {
      onSkip(Skipped(path: path, reason: failure.message))
    }
    let unreadable = others.filter { mayCount($0.path, $0.failure) }
    for candidate in readable {
      let file: TensorFile
      do throws(Failure) {
        file = try TensorFile(opening: candidate.path, as: [.checkpoint])
      } catch {
        if mayCount(candidate.path, error) { throw refusal(error) }
        onSkip(Skipped(path: candidate.path, reason: error.message))
        continue
      }
      for (path, failure) in unreadable {
        let step = CheckpointFiles.step(named: String(path.dropFirst(directory.count + 1)))
        guard let step, step <= candidate.step else { throw refusal(failure) }
        onSkip(Skipped(path: path, reason: failure.message))
      }
      return file
    }
    if let (_, failure) = unreadable.first { throw refusal(failure) }
    return nil
  }

  /// Whether a file that could not be opened may be a checkpoint all the same.
  private func mayCount(_ path: String, _ failure: Failure) -> Bool {
    failure.kind != .badContent && isUnreadableFile(path)
  }

  private func refusal(_ failure: Failure) -> Failure {
    Failure(
      failure.kind,
      "\(failure.message); it may be the newest checkpoint: start again when it can be read, or move it away")
  }

  /// Finds the newest valid checkpoint, and says what was passed over; throws as `openNewestValid` does.
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
  /// The newest `count` stay, those of pinned steps, of those in passing the newest, which does not count, until there is
  /// a newer one of the others, and in any case one that is valid.
  /// Files that are no checkpoints, have another name than a run gives, a damaged seal or one that
  /// cannot be read are left to people.
  ///
  /// - Parameters:
  ///   - count: How many of the newest stay; at least 1.
  ///   - pinned: Steps whose checkpoints stay besides.
  ///   - passing: Steps whose checkpoints were written in passing, between those that a person asked for.
  ///   - knownValid: The step of one that this process has just published, which saves verifying it.
  /// - Returns: The paths that were removed.
  /// - Throws: `cannotWrite` where a file cannot be removed.
  @discardableResult
  package func rotate(
    keeping count: Int, pinned: Set<Int> = [], passing: Set<Int> = [], knownValid: Int? = nil
  ) throws(Failure) -> [String] {
    // A copy that somebody has made under another name is theirs.
    let candidates = try candidates().readable.filter { $0.path == path(step: $0.step) }
    let isPassing = { (candidate: Candidate) in passing.contains(candidate.step) }
    var kept = Set(candidates.filter { !isPassing($0) }.prefix(max(1, count)).map(\.path))
    let newest = candidates.first { !isPassing($0) }?.step ?? 0
    kept.formUnion(candidates.first { isPassing($0) && $0.step > newest }.map { [$0.path] } ?? [])
    kept.formUnion(candidates.filter { pinned.contains($0.step) }.map(\.path))
    let surplus = candidates.filter { !kept.contains($0.path) }
    if surplus.isEmpty { return [] }
    if !candidates.contains(where: { $0.step == knownValid && kept.contains($0.path) }) {
      // Where one cannot be read, it may be the last that is valid.
      guard let newest = try? newestValid().found else { return [] }
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

  /// Files named like checkpoints: those with a seal that says so, the newest first, and the others, with what is wrong.
  private func candidates() throws(Failure) -> (readable: [Candidate], others: [(path: String, failure: Failure)]) {
    var candidates: [Candidate] = []
    var others: [(path: String, failure: Failure)] = []
    for name in try names() where CheckpointFiles.isCandidate(name) {
      let path = "\(directory)/\(name)"
      do throws(Failure) {
        guard let step = try SealedFile.claim(path).step else {
          throw Failure(.badContent, "\(path) is no checkpoint: its seal has no step")
        }
        candidates.append(Candidate(path: path, step: step))
      } catch {
        others.append((path, error))
      }
    }
    return (candidates.sorted { ($1.step, $0.path) < ($0.step, $1.path) }, others)
  }

  /// Whether what could not be opened is, for all that can be seen, a file all the same: neither gone since its name was
  /// listed nor a directory.
  private func isUnreadableFile(_ path: String) -> Bool {
    var status = stat()
    guard stat(path, &status) == 0 else { return errno != ENOENT }
    return status.st_mode & S_IFMT == S_IFREG
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
