internal import BERT
internal import Checkpoints
package import Collectives
package import Console
internal import Datasets
internal import Failures
internal import FoundationEssentials
package import Training

/// Methods × numbers of training reviews × seeds: every cell is a training run of its own, one after another in this job,
/// and what is done is not done again.
package struct Comparison: Sendable {
  /// A method to compare, with every option of its runs but the number of reviews, the seed and the place.
  package struct Method: Sendable {
    /// What tables call it.
    package let label: String
    /// The options.
    package let configuration: TrainingConfiguration

    /// A method to compare.
    package init(_ label: String, _ configuration: TrainingConfiguration) {
      (self.label, self.configuration) = (label, configuration)
    }

    /// Refuses what its runs would refuse once they are begun. What is built on other adapters is known only then.
    fileprivate func check(_ base: BERTConfiguration) throws {
      guard configuration.cacheFrozen == true, configuration.languageAdapter == nil, configuration.fuse.isEmpty else {
        return
      }
      do {
        _ = try FrozenOutputs.layerCount(configuration.fineTuningMethod(), base)
      } catch let failure as Failure {
        throw Failure(failure.kind, "\(label): \(failure.message)")
      }
    }
  }

  private let methods: [Method]
  private let limits: [Int]
  private let seeds: [UInt32]
  private let directory: String
  private let showsPublished: Bool

  /// A comparison.
  /// - Parameters:
  ///   - methods: What is compared; the first stands first in every table.
  ///   - limits: Numbers of training reviews; all reviews when empty.
  ///   - seeds: The seeds of the repetitions.
  ///   - directory: Where everything goes.
  ///   - showsPublished: Whether the paper's figures stand beside.
  package init(
    methods: [Method], limits: [Int], seeds: [UInt32], directory: String, showsPublished: Bool = false
  ) {
    (self.methods, self.limits, self.seeds) = (methods, limits, seeds)
    (self.directory, self.showsPublished) = (directory, showsPublished)
  }

  /// Runs what is not done yet and writes the tables and the report; collective.
  /// - Returns: The comparison as JSON, on rank 0.
  /// - Throws: The same `Failure` on all ranks; of kind `stopped` when the job is to stop, and then the next call goes on.
  package func run(_ communicator: Communicator, _ screen: Screen) throws -> String? {
    guard let first = methods.first else {
      throw Failure(.usage, "--methods is empty, expected methods such as full,lora:16.")
    }
    let shared = try SharedBase(first.configuration.base, communicator)
    for method in methods { try method.check(shared.configuration) }
    let data = try communicator.collectively { try ComparisonData(first.configuration) }
    let cells = self.cells(data)
    let place = try communicator.collectively(where: communicator.isFirst) {
      try RunDirectory(directory, screen)
    }
    let digests = data.digests(with: shared.identity)
    try communicator.collectively(where: communicator.isFirst) {
      try CellIdentity.checkOthers(than: cells, in: directory, digests)
    }
    // All cells before any is run: options that do not fit what is there are no news for later.
    let done = try communicator.shared {
      try cells.map { try CellIdentity($0, digests).check($0) && $0.isDone ? UInt8(1) : 0 }
    }
    place?.use()
    // A job that was killed may not have come to it.
    if place != nil { for (cell, isDone) in zip(cells, done) where isDone == 1 { removeCheckpoints(of: cell) } }
    var progress = ComparisonProgress(cells, isDone: done.map { $0 == 1 })
    for (index, cell) in cells.enumerated() where done[index] == 0 {
      screen.line(progress.line(index))
      try communicator.collectively(where: communicator.isFirst) {
        try CellIdentity(cell, digests).write(to: cell.directory)
      }
      _ = try TrainingStages.train(cell.configuration, communicator, screen)
      try communicator.collectively(where: communicator.isFirst) {
        removeCheckpoints(of: cell)
        progress.finished(index)
        try ComparisonTable(progress.finishedCells).write(to: directory)
      }
      screen.line()
    }
    return try communicator.collectively(where: communicator.isFirst) {
      try report(cells, data, screen)
    }
  }

  /// Seed by seed, so that the first whole table is there as early as can be.
  private func cells(_ data: ComparisonData) -> [Cell] {
    // Two limits beyond the file are the same cell.
    var counts: [Int] = []
    for count in limits.isEmpty ? [data.trainCount] : limits.map({ min($0, data.trainCount) })
    where !counts.contains(count) { counts.append(count) }
    return seeds.flatMap { seed in
      counts.flatMap { count in
        methods.map { method in
          var run = method.configuration
          (run.trainLimit, run.seed) = (count, seed)
          // A person says nothing of it: what is there is gone on with.
          (run.resume, run.resumeAdvice) = ("auto", "the same command")
          run.output = "\(directory)/cells/\(Cell.directoryName(method.label, count, seed))"
          return Cell(label: method.label, trainCount: count, seed: seed, configuration: run)
        }
      }
    }
  }

  /// A cell that is done needs them no more, nor do the adapters of a fusion in the folders below; `model.h5` stays.
  private func removeCheckpoints(of cell: Cell) {
    let files = FileManager.default
    let names = (try? files.contentsOfDirectory(atPath: cell.directory)) ?? []
    for folder in [cell.directory] + names.map({ cell.directory + "/" + $0 }) {
      for name in (try? files.contentsOfDirectory(atPath: folder)) ?? []
      where CheckpointFiles.step(named: name) != nil {
        try? files.removeItem(atPath: folder + "/" + name)
      }
    }
  }

  private func report(_ cells: [Cell], _ data: ComparisonData, _ screen: Screen) throws -> String {
    let finished = try cells.map { try FinishedCell($0) }
    let table = ComparisonTable(finished)
    try table.write(to: directory)
    let tests = try MethodTests(finished)
    let json = try jsonText(ComparisonJSON(table, tests))
    let files = RunFiles(directory: directory)
    try files.write(text: json + "\n", to: "comparison.json")
    try files.write(
      text: table.markdown(showsPublished: showsPublished) + "\n" + tests.markdown, to: "comparison.md")
    try files.write(
      text: try HTMLReport(table, tests, data, showsPublished: showsPublished).text, to: "report.html")
    screen.result(
      table.screenTable,
      heading: "\(finished.count) run\(finished.count == 1 ? "" : "s"), each of \(cells.first?.length ?? "no steps")")
    screen.result("report in \(directory)/report.html, tables in \(directory)/comparison.md, .csv and .json")
    return json
  }
}

/// What all cells read.
struct ComparisonData: Sendable {
  let trainCount: Int
  let trainingSHA256: String
  let testSHA256: String
  /// Nil when nothing is held out.
  let validationSHA256: String?
  /// The test reviews.
  let test: Dataset
  let labels: [String]

  /// Reads the data.
  /// - Throws: `Failure` when they are missing or wrong, or there is nothing to test on.
  init(_ run: TrainingConfiguration) throws {
    let (training, validation, test) = try RunInputs.datasets(run)
    guard let test else {
      throw Failure(.usage, "compare needs --test-file: methods are compared on the same test reviews.")
    }
    trainCount = training.count
    trainingSHA256 = Digest.hex { training.hashContent($0) }
    testSHA256 = Digest.hex { test.hashContent($0) }
    validationSHA256 = validation.map { reviews in Digest.hex { reviews.hashContent($0) } }
    self.test = test
    labels = run.labels ?? (0..<run.labelCount).map { "\($0)" }
  }

  /// The identity of base and data, by the names that `cell.json` has for them.
  func digests(with base: BaseIdentity) -> [String: String] {
    var digests = [
      "base_sha256": base.sha256, "training_sha256": trainingSHA256, "test_sha256": testSHA256,
    ]
    digests[CellIdentity.baseForm] = base.form
    digests["validation_sha256"] = validationSHA256
    return digests
  }
}

/// Which cell of how many, and how long the rest will take.
struct ComparisonProgress {
  private let cells: [Cell]
  private var done: [Int: FinishedCell] = [:]

  init(_ cells: [Cell], isDone: [Bool]) {
    self.cells = cells
    for index in cells.indices where isDone[index] { done[index] = try? FinishedCell(cells[index]) }
  }

  /// The cells that are done, in the order of all.
  var finishedCells: [FinishedCell] { cells.indices.compactMap { done[$0] } }

  /// Takes note of a cell.
  mutating func finished(_ index: Int) { done[index] = try? FinishedCell(cells[index]) }

  /// What comes now.
  func line(_ index: Int) -> String {
    let cell = cells[index]
    let rest = cells.indices.filter { done[$0] == nil }
    let seconds = rest.map(estimate).reduce(0.0) { sum, next in next.map { sum + $0 } ?? .nan }
    return
      "cell \(index + 1) of \(cells.count) (\(rest.count) left, ETA \(Format.duration(seconds))): \(cell.label), \(Format.count(cell.trainCount)) reviews, seed \(cell.seed)"
  }

  /// From cells of the same method, or else from any, in proportion to reviews; nil before the first.
  private func estimate(_ index: Int) -> Double? {
    let cell = cells[index]
    let own = done.values.filter { $0.cell.label == cell.label }
    let known = own.isEmpty ? Array(done.values) : own
    guard !known.isEmpty else { return nil }
    let perReview = known.map { $0.seconds / Double(max(1, $0.cell.trainCount)) }.reduce(0, +)
    return perReview / Double(known.count) * Double(cell.trainCount)
  }
}
