internal import Checkpoints
internal import Collectives
internal import Console
internal import Failures

/// Decides where a run starts: at the beginning, or at a checkpoint of the same configuration.
struct ResumePlan {
  private let run: TrainingConfiguration
  private let checkpoint: TrainingCheckpoint
  private let communicator: Communicator
  private let screen: Screen

  init(
    _ run: TrainingConfiguration, _ checkpoint: TrainingCheckpoint, _ communicator: Communicator,
    _ screen: Screen
  ) {
    self.run = run
    self.checkpoint = checkpoint
    self.communicator = communicator
    self.screen = screen
  }

  /// The checkpoint to go on from, the same on every rank; nil to start at the beginning.
  /// - Throws: The same `Failure` on all ranks when the run directory or the checkpoint belongs to another configuration.
  func checkpointPath() throws -> String? {
    let path = try communicator.sharedText { try choose() ?? "" }
    return path.isEmpty ? nil : path
  }

  private func choose() throws -> String? {
    switch run.resume {
    case "never":
      try refuseUsedDirectory()
      return nil
    case "auto":
      let newest = try CheckpointFiles(in: run.output).newestValid()
      for skipped in newest.skipped { screen.warning("passing over a checkpoint: \(skipped.reason)") }
      guard let found = newest.found else {
        try refuseUsedDirectory()
        return try origin()
      }
      try requireSameConfiguration(found.path)
      return found.path
    default:
      try requireSameConfiguration(run.resume)
      try refuseUsedDirectory()
      try refuseLaterSteps(than: run.resume)
      return run.resume
    }
  }

  /// The checkpoint elsewhere that a run began with which was ended before it had one of its own.
  private func origin() throws -> String? {
    guard let stored = RunFiles(directory: run.output).read(StoredConfiguration.self, from: "config.json"),
      !["never", "auto"].contains(stored.run.resume)
    else { return nil }
    try requireSameConfiguration(stored.run.resume)
    return stored.run.resume
  }

  /// What is older than the newest checkpoints of a directory would be removed as soon as it is written, and `auto` would
  /// go on from the others.
  private func refuseLaterSteps(than path: String) throws {
    let step = try TensorFile(opening: path, as: [.checkpoint]).step ?? 0
    guard let newest = try CheckpointFiles(in: run.output).newestValid().found, newest.step > step else { return }
    throw Failure(
      .disagreement,
      "the run directory \(run.output) holds this run at step \(newest.step), and \(path) is of step \(step); go on with --resume auto, or choose another --output."
    )
  }

  /// A directory with saved work is never written over.
  private func refuseUsedDirectory() throws {
    let files = RunFiles(directory: run.output)
    if let stored = files.read(StoredConfiguration.self, from: "config.json") {
      try requireSame(stored.run, stored.base, stored.dataSHA256, "the run directory \(run.output)")
    } else if files.has("config.json") {
      throw Failure(
        .disagreement,
        "\(run.output)/config.json is not of a run that this version knows, perhaps of a model, and would be written over; choose another --output."
      )
    }
    guard run.resume == "never", let found = try CheckpointFiles(in: run.output).newestValid().found else {
      return
    }
    throw Failure(
      .disagreement,
      "the run directory \(run.output) holds this run at step \(found.step); go on with --resume auto, or choose another --output."
    )
  }

  private func requireSameConfiguration(_ path: String) throws {
    let stored = try TrainedFile(path)
    try requireSame(stored.configuration, stored.base, stored.dataSHA256, path)
  }

  private func requireSame(
    _ other: TrainingConfiguration, _ base: BaseIdentity, _ data: String, _ source: String
  ) throws {
    var differing: [String] = []
    let (mine, theirs) = (try run.identity(), try other.identity())
    for key in Set(mine.keys).union(theirs.keys).sorted() where mine[key] != theirs[key] {
      differing += differences(key, there: theirs[key], here: mine[key])
    }
    if let difference = base.difference(from: checkpoint.base) { differing.append(difference) }
    if data != checkpoint.dataSHA256 { differing.append("the training data") }
    if differing.count > 4 { differing[4...] = ["\(differing.count - 4) more"] }
    guard differing.isEmpty else {
      throw Failure(
        .disagreement,
        "\(source) belongs to a configuration that differs in \(differing.joined(separator: ", ")); use the same options, or choose another --output."
      )
    }
  }
}
