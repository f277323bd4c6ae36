internal import Console
internal import Failures
internal import Metrics
internal import Training

/// McNemar's test between every two methods, on the same test reviews, seed by seed.
struct MethodTests {
  /// Two methods at a number of training reviews.
  struct Pair: Encodable {
    let first: String
    let second: String
    let trainCount: Int
    /// The first's mean accuracy less the second's.
    let accuracyDifference: Double
    let seeds: [UInt32]
    /// One a seed.
    let tests: [McNemarTest]

    private enum CodingKeys: String, CodingKey {
      case first, second, seeds, tests, trainCount = "train_reviews", accuracyDifference = "accuracy_difference"
    }

    /// The p-value of each seed.
    var pValues: String {
      tests.map { $0.pValue < 0.001 ? "< .001" : Format.figure($0.pValue) }.joined(separator: ", ")
    }
  }

  let pairs: [Pair]
  /// The predictions of each cell, in the order of the cells, for whoever needs them again.
  let predictions: [ReviewPredictions]

  /// Tests.
  /// - Throws: `Failure` when a cell's predictions are damaged or not of the same reviews.
  init(_ cells: [FinishedCell]) throws {
    let predictions = try cells.map { try $0.predictions() }
    for (cell, own) in zip(cells, predictions) where own.labels != predictions[0].labels {
      throw Failure(
        .badContent,
        "\(cell.cell.directory)/\(ReviewPredictions.fileName) is not of the same test reviews as the others; remove the directory to run the cell again."
      )
    }
    self.predictions = predictions
    let methods = unique(cells.map(\.cell.label))
    var pairs: [Pair] = []
    for count in unique(cells.map(\.cell.trainCount)) {
      for (index, first) in methods.enumerated() {
        for second in methods.dropFirst(index + 1) {
          if let pair = try Pair(first, second, count, cells, predictions) { pairs.append(pair) }
        }
      }
    }
    self.pairs = pairs
  }

  /// The pairs as a table.
  var table: Table {
    var table = Table([
      Table.Column("first", .leading), Table.Column("second", .leading), "reviews", "accuracy, first − second",
      "only first right", "only second right", Table.Column("p, seed by seed", .trailing),
    ])
    for pair in pairs { table.add(cellTexts(pair)) }
    return table
  }

  /// The texts of a pair under the columns of `table`.
  func cellTexts(_ pair: Pair) -> [String] {
    func counts(_ count: KeyPath<McNemarTest, Int>) -> String {
      pair.tests.map { Format.count($0[keyPath: count]) }.joined(separator: " / ")
    }
    return [
      pair.first, pair.second, Format.count(pair.trainCount), Format.figure(pair.accuracyDifference, digits: 4),
      counts(\.onlyFirstCorrect), counts(\.onlySecondCorrect), pair.pValues,
    ]
  }

  /// The pairs in Markdown with a sentence about what they are; empty with one method.
  var markdown: String {
    guard !pairs.isEmpty else { return "" }
    return
      "McNemar's test: the chance of a difference this large between equally good methods, on the same test reviews.\n\n"
      + table.markdown()
  }
}

extension MethodTests.Pair {
  /// A pair with the seeds that both methods have; nil where there is none.
  fileprivate init?(
    _ first: String, _ second: String, _ count: Int, _ cells: [FinishedCell], _ predictions: [ReviewPredictions]
  ) throws {
    func index(_ label: String, _ seed: UInt32) -> Int? {
      cells.firstIndex { $0.cell.label == label && $0.cell.trainCount == count && $0.cell.seed == seed }
    }
    var seeds: [UInt32] = []
    var tests: [McNemarTest] = []
    var difference = 0.0
    for seed in unique(cells.map(\.cell.seed)) {
      guard let a = index(first, seed), let b = index(second, seed) else { continue }
      seeds.append(seed)
      tests.append(
        try McNemarTest(
          labels: predictions[a].labels, first: predictions[a].predictions, second: predictions[b].predictions))
      difference += cells[a].results.summary.accuracy - cells[b].results.summary.accuracy
    }
    guard !seeds.isEmpty else { return nil }
    (self.first, self.second, trainCount, self.seeds, self.tests) = (first, second, count, seeds, tests)
    accuracyDifference = difference / Double(seeds.count)
  }
}

/// `comparison.json`.
struct ComparisonJSON: Encodable {
  private let table: ComparisonTable
  private let tests: MethodTests

  init(_ table: ComparisonTable, _ tests: MethodTests) { (self.table, self.tests) = (table, tests) }

  private enum CodingKeys: String, CodingKey { case rows, cells, mcnemar }

  func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(table.rows, forKey: .rows)
    try container.encode(table.cells.map(CellJSON.init), forKey: .cells)
    try container.encode(tests.pairs, forKey: .mcnemar)
  }

  private struct CellJSON: Encodable {
    let cell: FinishedCell

    private enum CodingKeys: String, CodingKey {
      case method, seed, directory, summary = "test", trainCount = "train_reviews", secondsPerEpoch =
        "seconds_per_epoch"
      case learningRate = "learning_rate", epochs
    }

    func encode(to encoder: any Encoder) throws {
      var container = encoder.container(keyedBy: CodingKeys.self)
      try container.encode(cell.cell.label, forKey: .method)
      try container.encode(cell.cell.trainCount, forKey: .trainCount)
      try container.encode(cell.cell.seed, forKey: .seed)
      try container.encode(cell.cell.directory, forKey: .directory)
      try container.encode(cell.secondsPerEpoch, forKey: .secondsPerEpoch)
      try container.encode(cell.results.epochs, forKey: .epochs)
      try container.encodeIfPresent(cell.cell.configuration.learningRate, forKey: .learningRate)
      try container.encode(cell.results.summary, forKey: .summary)
    }
  }
}
