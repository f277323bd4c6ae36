internal import Console
internal import Failures
internal import FoundationEssentials
internal import JSON
internal import Training

/// One run of a comparison: a method, a number of training reviews, a seed.
struct Cell: Sendable {
  /// The method as a person wrote it.
  let label: String
  /// How many reviews are trained on.
  let trainCount: Int
  /// What every random number depends on.
  let seed: UInt32
  /// Every option; its output is the cell's own directory.
  let configuration: TrainingConfiguration

  /// The cell's directory.
  var directory: String { configuration.output }

  /// How long the run is: `4 epochs`, `at most 100 steps`.
  var length: String {
    if let steps = configuration.maxSteps { return "at most \(Format.count(steps)) step\(steps == 1 ? "" : "s")" }
    return "\(Format.count(configuration.epochs)) epoch\(configuration.epochs == 1 ? "" : "s")"
  }

  /// The name of the directory of a cell; everything that a file system might mind is a `-`.
  static func directoryName(_ label: String, _ trainCount: Int, _ seed: UInt32) -> String {
    let safe = label.map { $0.isLetter || $0.isNumber || "@.=+_-".contains($0) ? $0 : "-" }
    return "\(String(safe))-\(trainCount)-seed\(seed)"
  }

  /// Whether the cell's run is over and everything that the comparison needs of it is there.
  var isDone: Bool {
    let files = RunFiles(directory: directory)
    guard let results = files.read(CellResults.self, from: "results.json") else { return false }
    return results.isWhole && files.has(ReviewPredictions.fileName)
  }
}

/// What a cell was begun with, kept in its directory as `cell.json`: a cell is gone on with, or skipped, only under the
/// same options, base and data.
struct CellIdentity {
  static let fileName = "cell.json"
  /// Fields that change nothing about a result; files count by their content.
  private static let free: Set<String> = [
    "output", "resume", "threads", "log_every", "checkpoint_every", "checkpoint_minutes",
    "keep_checkpoints", "stall_timeout", "max_minutes",
    "base", "train_file", "validation_file", "test_file", "tensorboard", "language_adapter", "fuse", "skip_nonfinite",
    "shard_optimizer",
  ]

  /// How the base reads a text; cells that are older than that do not say it, and it is not compared.
  static let baseForm = "base_form_sha256"

  private let fields: [String: String]

  /// - Parameters:
  ///   - cell: The cell.
  ///   - digests: The identity of base, training and test data, by name.
  /// - Throws: `Failure` when an option cannot be written down.
  init(_ cell: Cell, _ digests: [String: String]) throws {
    var fields = try Training.fields(of: cell.configuration).filter { !CellIdentity.free.contains($0.key) }
    fields["method_label"] = try jsonText(cell.label, pretty: false)
    for (name, digest) in try cell.configuration.adapterFileDigests() {
      fields[name] = try jsonText(digest, pretty: false)
    }
    for (name, digest) in digests { fields[name] = try jsonText(digest, pretty: false) }
    self.fields = fields
  }

  /// Compares with what the cell's directory says, if it was begun before.
  /// - Returns: Whether it was.
  /// - Throws: `Failure` of kind `disagreement` that names what differs.
  func check(_ cell: Cell) throws -> Bool {
    let files = RunFiles(directory: cell.directory)
    guard let stored = files.read([String: JSONValue].self, from: CellIdentity.fileName) else {
      guard !files.has(CellIdentity.fileName), !files.has("config.json") else {
        throw Failure(
          .disagreement, "\(cell.directory) holds something else than a cell of a comparison; choose another --output.")
      }
      return false
    }
    let theirs = try stored.mapValues { try jsonText($0, pretty: false) }
    var differing: [String] = []
    for key in Set(theirs.keys).union(fields.keys).sorted() where theirs[key] != fields[key] {
      if key == CellIdentity.baseForm, theirs[key] == nil || fields[key] == nil { continue }
      differing += differences(key, there: theirs[key], here: fields[key])
    }
    guard differing.isEmpty else {
      if differing.count > 4 { differing[4...] = ["\(differing.count - 4) more"] }
      throw Failure(
        .disagreement,
        "\(cell.directory) was run with other options, which differ in \(differing.joined(separator: ", ")); use the same, or choose another --output."
      )
    }
    return true
  }

  /// Makes sure that a directory holds nothing but cells on the same base and data, those of other methods among them: its
  /// tables would otherwise be of other reviews than they say.
  /// - Throws: `Failure` of kind `disagreement`.
  static func checkOthers(than cells: [Cell], in directory: String, _ digests: [String: String]) throws {
    guard !RunFiles(directory: directory).has("config.json") else {
      throw Failure(
        .disagreement, "\(directory) holds a training run and no comparison; choose another --output.")
    }
    let own = Set(cells.map(\.directory))
    let names = (try? FileManager.default.contentsOfDirectory(atPath: directory + "/cells")) ?? []
    for other in names.sorted().map({ "\(directory)/cells/\($0)" }) where !own.contains(other) {
      guard let stored = RunFiles(directory: other).read([String: JSONValue].self, from: fileName) else { continue }
      for (name, digest) in digests.sorted(by: { $0.key < $1.key }) {
        guard let theirs = stored[name], try jsonText(theirs, pretty: false) != jsonText(digest, pretty: false) else {
          continue
        }
        throw Failure(
          .disagreement,
          "\(other) was run on another base or other data (\(name)); use the same, or choose another --output.")
      }
    }
  }

  /// Keeps it for the next time.
  func write(to directory: String) throws {
    let files = RunFiles(directory: directory)
    try files.makeDirectory()
    let values = try fields.mapValues { try JSONDecoder().decode(JSONValue.self, from: Data($0.utf8)) }
    try files.write(json: values, to: CellIdentity.fileName)
  }
}
