internal import Console
internal import Metrics
internal import Training

/// The cells that are done, put together over seeds.
struct ComparisonTable {
  /// A method at a number of training reviews.
  struct Row: Encodable {
    let method: String
    let trainCount: Int
    let seeds: [UInt32]
    let secondsPerEpoch: Statistic
    /// The epoch's time over that of `full` at the same number of reviews; nil where that was not compared.
    var timeRatio: Double?
    let accuracy: Statistic
    let precision: Statistic
    let recall: Statistic
    let f1: Statistic
    let loss: Statistic
    let trainableParameters: Int
    let share: Double
    let allReduceBytes: Int
    /// The cells behind the row.
    let cells: [FinishedCell]

    private enum CodingKeys: String, CodingKey {
      case method, seeds, accuracy, precision, recall, f1, loss
      case trainCount = "train_reviews", secondsPerEpoch = "seconds_per_epoch", timeRatio = "time_ratio_to_full"
      case trainableParameters = "trainable_parameters", share = "trainable_share"
      case allReduceBytes = "all_reduce_bytes_per_step"
    }
  }

  let cells: [FinishedCell]
  private(set) var rows: [Row] = []

  /// The methods, in the order in which they were asked for.
  var methods: [String] { unique(cells.map(\.cell.label)) }
  /// The numbers of training reviews, in the order in which they were asked for.
  var trainCounts: [Int] { unique(cells.map(\.cell.trainCount)) }

  init(_ cells: [FinishedCell]) {
    self.cells = cells
    for count in trainCounts {
      for method in methods {
        let own = cells.filter { $0.cell.label == method && $0.cell.trainCount == count }
        if !own.isEmpty { rows.append(Row(method, count, own)) }
      }
      // "full", "full@1e-4": the first of them.
      let full = rows.first {
        $0.trainCount == count && $0.method.prefix(while: \.isLetter) == "full"
      }?.secondsPerEpoch.mean
      for index in rows.indices where rows[index].trainCount == count {
        rows[index].timeRatio = full.flatMap { $0 > 0 ? rows[index].secondsPerEpoch.mean / $0 : nil }
      }
    }
  }

  /// Writes the tables that need no more than the cells' results.
  func write(to directory: String) throws {
    let files = RunFiles(directory: directory)
    try files.write(text: csv, to: "comparison.csv")
    try files.write(text: markdown(showsPublished: false), to: "comparison.md")
  }

  /// On how many ranks and threads the cells ran.
  var place: String {
    unique(
      cells.map { cell in
        let (ranks, threads) = (cell.results.worldSize, cell.results.threads)
        return "\(ranks) \(ranks == 1 ? "rank" : "ranks") of \(threads) \(threads == 1 ? "thread" : "threads")"
      }
    ).joined(separator: ", and ")
  }

  // MARK: Forms

  /// A line a cell.
  private var csv: String {
    let header =
      "method,train_reviews,seed,epochs,seconds_per_epoch,accuracy,precision,recall,f1,loss,trainable_parameters,total_parameters,trainable_share,all_reduce_bytes_per_step,world_size,threads\n"
    return header
      + cells.map { cell in
        let (r, s) = (cell.results, cell.results.summary)
        let values: [Any] = [
          quoted(cell.cell.label), cell.cell.trainCount, cell.cell.seed, r.epochs.count, cell.secondsPerEpoch,
          s.accuracy,
          s.precision, s.recall, s.f1, s.loss, r.trainableParameters, r.totalParameters, r.share, r.allReduceBytes,
          r.worldSize, r.threads,
        ]
        return values.map { "\($0)" }.joined(separator: ",") + "\n"
      }.joined()
  }

  private func quoted(_ text: String) -> String {
    text.contains { ",\"\n".contains($0) } ? "\"\(text.replacing("\"", with: "\"\""))\"" : text
  }

  /// The paper's columns, and what it leaves out.
  var screenTable: Table {
    var table = Table([
      Table.Column("method", .leading), "reviews", "time/epoch", "ratio", "accuracy", "precision", "recall", "F1",
      "trained", "all-reduce",
    ])
    for row in rows { table.add(cellTexts(row)) }
    return table
  }

  /// The texts of a row under the columns of `screenTable`.
  func cellTexts(_ row: Row) -> [String] {
    [
      row.method, Format.count(row.trainCount), row.secondsPerEpoch.duration,
      row.timeRatio.map { Format.figure($0) } ?? "–", row.accuracy.figure, row.precision.figure, row.recall.figure,
      row.f1.figure, Format.percent(row.share), Format.bytes(row.allReduceBytes),
    ]
  }

  /// The table in Markdown with a line about what it is.
  func markdown(showsPublished: Bool) -> String {
    var table = screenTable
    if showsPublished { for published in PublishedFigures.all { table.add(published.cellTexts) } }
    guard let first = cells.first else { return table.markdown() }
    let seeds = unique(cells.map(\.cell.seed)).map { "\($0)" }.joined(separator: ", ")
    return table.markdown()
      + """

      Time per epoch is training alone, the median of a run, in minutes and seconds; an epoch that was cut short counts by its rate. The ratio is to
      the first full fine-tuning; ± is the deviation over seeds. Seeds \(seeds), \(Format.count(first.results.summary.reviews)) test reviews,
      \(first.cell.length), \(place).

      """
  }
}

extension ComparisonTable.Row {
  init(_ method: String, _ trainCount: Int, _ cells: [FinishedCell]) {
    func statistic(_ figure: (CellResults) -> Double) -> Statistic { Statistic(cells.map { figure($0.results) }) }
    self.method = method
    self.trainCount = trainCount
    self.cells = cells
    seeds = cells.map(\.cell.seed)
    secondsPerEpoch = Statistic(cells.map(\.secondsPerEpoch))
    accuracy = statistic(\.summary.accuracy)
    precision = statistic(\.summary.precision)
    recall = statistic(\.summary.recall)
    f1 = statistic(\.summary.f1)
    loss = statistic(\.summary.loss)
    trainableParameters = cells[0].results.trainableParameters
    share = cells[0].results.share
    allReduceBytes = cells.map(\.results.allReduceBytes).reduce(0, +) / cells.count
  }
}

/// The values of a list, each once, in order.
func unique<Value: Hashable>(_ values: [Value]) -> [Value] {
  var seen: Set<Value> = []
  return values.filter { seen.insert($0).inserted }
}

/// What the paper has in its table for 150,000 reviews of NSMC, multilingual BERT, on V100s.
struct PublishedFigures {
  let method: String
  let seconds: Double
  let accuracy: Double
  let precision: Double
  let recall: Double
  let f1: Double

  static let all = [
    PublishedFigures(
      method: "published: full", seconds: 1021, accuracy: 0.871, precision: 0.864, recall: 0.882, f1: 0.869),
    PublishedFigures(
      method: "published: AdapterFusion", seconds: 749, accuracy: 0.858, precision: 0.856, recall: 0.863, f1: 0.855),
    PublishedFigures(
      method: "published: LoRA r=64", seconds: 659, accuracy: 0.726, precision: 0.745, recall: 0.692, f1: 0.711),
  ]

  var cellTexts: [String] {
    [
      method, "150,000", Format.duration(seconds), Format.figure(seconds / 1021), Format.figure(accuracy),
      Format.figure(precision), Format.figure(recall), Format.figure(f1), "–", "–",
    ]
  }
}
