internal import Console
internal import Datasets
internal import Metrics
internal import Plots
internal import Training

/// Which test reviews the methods get right and wrong, at one number of training reviews.
struct ReviewFindings {
  private let rows: [ComparisonTable.Row]
  private let methods: [String]
  private let data: ComparisonData
  /// The predictions of each row's cells, by seed.
  private let predictions: [[ReviewPredictions]]

  init(_ table: ComparisonTable, _ tests: MethodTests, _ data: ComparisonData, _ trainCount: Int) {
    rows = table.rows.filter { $0.trainCount == trainCount }
    methods = table.methods
    self.data = data
    let known = Dictionary(
      zip(table.cells.map(\.cell.directory), tests.predictions), uniquingKeysWith: { first, _ in first })
    predictions = rows.map { $0.cells.compactMap { known[$0.cell.directory] } }
  }

  private var classCount: Int { data.labels.count }

  // MARK: Confusion

  /// A matrix a method, its counts summed over seeds.
  var confusion: [CountGrid] {
    zip(rows, predictions).map { row, runs in
      var matrix = ConfusionMatrix(classCount: classCount)
      for run in runs { add(run, to: &matrix) { _ in true } }
      return CountGrid(row.method, classes: data.labels, counts: matrix.rows)
    }
  }

  private func add(_ run: ReviewPredictions, to matrix: inout ConfusionMatrix, where holds: (Int) -> Bool) {
    for review in 0..<run.count where holds(review) {
      matrix.add(truth: Int(run.labels[review]), prediction: Int(run.predictions[review]))
    }
  }

  private func matrices(_ runs: [ReviewPredictions], where holds: (ReviewPredictions, Int) -> Bool) -> [ConfusionMatrix]
  {
    runs.map { run in
      var matrix = ConfusionMatrix(classCount: classCount)
      add(run, to: &matrix) { holds(run, $0) }
      return matrix
    }
  }

  // MARK: Texts that occur in training

  /// Accuracy and F1 over all reviews, over those whose text training has not seen, and over the others; nil where
  /// training has seen none.
  var seenAndUnseen: (headings: [String], rows: [[String]])? {
    guard predictions.contains(where: { $0.contains { $0.isInTraining.contains(true) } }) else { return nil }
    let rows = zip(rows, predictions).map { row, runs in
      let groups = [
        matrices(runs) { _, _ in true }, matrices(runs) { !$0.isInTraining[$1] },
        matrices(runs) { $0.isInTraining[$1] },
      ]
      let counts = Statistic(groups[2].map { Double($0.total) }).mean
      return [row.method, Format.count(Int(counts.rounded()))]
        + groups.flatMap { group in
          [Statistic(group.map(\.accuracy)).figure, Statistic(group.map(\.f1)).figure]
        }
    }
    return (
      [
        "method", "seen reviews", "accuracy, all", "F1, all", "accuracy, unseen", "F1, unseen", "accuracy, seen",
        "F1, seen",
      ], rows
    )
  }

  // MARK: Length

  /// Bands of lengths in tokens, the two of the frame included; one with few reviews goes to the band before it.
  private var bands: [ClosedRange<Int>] {
    let lengths = predictions.first?.first?.tokenCounts ?? []
    let longest = lengths.max() ?? 0
    var bands: [ClosedRange<Int>] = []
    var low = 1
    for high in [8, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, Int.max] where low <= longest {
      let band = low...min(high, max(longest, low))
      let count = lengths.count(where: band.contains)
      if count < max(30, lengths.count / 100), let last = bands.popLast() {
        bands.append(last.lowerBound...band.upperBound)
      } else if count > 0 {
        bands.append(band)
      }
      low = high == Int.max ? high : high + 1
    }
    return bands
  }

  /// Accuracy by length, a series a method.
  var lengthPlot: Plot {
    let series = zip(rows, predictions).map { row, runs in
      let points = bands.map { band in
        let value = Statistic(matrices(runs) { band.contains($0.tokenCounts[$1]) }.map(\.accuracy))
        return Point(
          (Double(band.lowerBound) * Double(band.upperBound)).squareRoot(), value.mean,
          yRange: value.range?.clamped(to: 0...1))
      }
      return Series(row.method, points, style: Style(methods.firstIndex(of: row.method) ?? 0))
    }
    return Plot(
      "Accuracy by length of the review", x: Axis("length (tokens, logarithmic)", scale: .log(base: 2)),
      y: Axis("accuracy", format: .figure), series)
  }

  /// The figures by length.
  var lengths: (headings: [String], rows: [[String]]) {
    let bands = bands
    let body = zip(rows, predictions).map { row, runs in
      [row.method]
        + bands.map { band in
          Statistic(matrices(runs) { band.contains($0.tokenCounts[$1]) }.map(\.accuracy)).figure
        }
    }
    let lengths = predictions.first?.first?.tokenCounts ?? []
    let counts = ["reviews"] + bands.map { band in Format.count(lengths.count(where: band.contains)) }
    return (["accuracy by tokens"] + bands.map { "\($0.lowerBound)–\($0.upperBound)" }, [counts] + body)
  }

  // MARK: Mistakes

  /// The ten mistakes of each method that it is surest of.
  var mistakes: [(method: String, rows: [[String]])] {
    zip(rows, predictions).compactMap { row, runs in
      guard let run = runs.first else { return nil }
      let wrong = (0..<run.count).filter { run.labels[$0] != run.predictions[$0] }
      let surest = wrong.sorted { (run.probabilities[$1], $0) < (run.probabilities[$0], $1) }.prefix(10)
      return (
        row.method,
        surest.map { review in
          [
            "\(data.test.line(review))", data.labels[Int(run.labels[review])],
            data.labels[Int(run.predictions[review])],
            Format.figure(Double(run.probabilities[review]), digits: 4), shown(review),
          ]
        }
      )
    }
  }

  /// A review's text, cut where it is very long; both texts of a pair.
  private func shown(_ review: Int) -> String {
    let text = data.test.text(review) + (data.test.textPair(review).map { " ‖ \($0)" } ?? "")
    return text.count > 400 ? text.prefix(400) + "…" : text
  }
}
