import ArgumentParser
import Collectives
import Console
import Datasets
import Failures
import Metrics
import Tensors
import Training

/// The options that name a trained file.
struct TrainedOptions: ParsableArguments {
  @Option(help: "A checkpoint, model.h5, or (evaluate) a base.")
  var checkpoint: String
  @Option(help: "The base it belongs to (default: where it was trained from).")
  var base: String?
  @Option(help: "Threads a rank.")
  var threads = 1
  @Option(help: "Longest review, in tokens (default: as in training).")
  var maxLength: Int?
  @Option(help: "fp32 or bf16 (default: as in training).")
  var precision: Precision?
  @Option(help: "Column or key of the text (default: as in training).")
  var textColumn: String?
  @Option(help: "Column or key of a second text, for sentence pairs (default: as in training).")
  var textPairColumn: String?
  @Flag(help: "Keep low-rank updates beside the weights instead of folding them in first.")
  var unmerged = false

  /// The names of columns: those asked for, else those of training.
  /// - Throws: `Failure` of kind `usage` when the base cannot tell two texts apart.
  func columns(_ model: Inference, label: String? = nil) throws -> ColumnNames {
    var columns = model.configuration.columns
    columns.text = textColumn ?? columns.text
    columns.textPair = textPairColumn ?? columns.textPair
    columns.label = label ?? columns.label
    try model.requirePairs(columns.textPair != nil)
    return columns
  }

  func load(_ communicator: Communicator, _ screen: Screen) throws -> Inference {
    try Inference(
      checkpoint: checkpoint, basePath: base, merged: !unmerged, threads: threads, maxLength: maxLength,
      precision: precision, communicator, screen)
  }
}

/// `bert-ddp evaluate`.
struct Evaluate: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Metrics of a checkpoint on labelled reviews.",
    discussion: """
      A base, or a language adapter, is judged by how well it names hidden tokens:
      in text r, counted from 0, position i is hidden when (i + r) mod 7 is 3.
      Example:
        mpirun -np 4 bert-ddp evaluate --checkpoint runs/lora/model.h5 \\
          --test-file test.tsv
      """)

  @OptionGroup var trained: TrainedOptions
  @Option(help: "Labelled reviews: TSV with a header, or JSONL; for a base also plain texts, one a line.")
  var testFile: String
  @Option(help: "Column or key of the label (default: as in training).")
  var labelColumn: String?
  @Option(help: "Look at the first N rows only.")
  var testLimit: Int?
  @OptionGroup var screen: ScreenOptions

  func run() throws {
    try MPISession.run { communicator in
      let screen = screen.opened(on: communicator)
      let model = try trained.load(communicator, screen)
      let evaluation = try model.evaluate(try communicator.collectively { try read(model) }, name: testFile)
      try model.close()
      if case .maskedLanguage(let summary) = evaluation?.figures {
        screen.result(summary.table, heading: "\(testFile): hidden tokens")
        if self.screen.json { screen.json(try jsonText(summary)) }
      }
      guard let s = evaluation?.summary else { return }
      var table = Table(["accuracy", "95 %", "precision", "recall", "F1", "loss", "tp", "fp", "tn", "fn"])
      table.add(
        Format.figure(s.accuracy, digits: 4),
        Format.interval(s.accuracyInterval.lower, s.accuracyInterval.upper),
        Format.figure(s.precision, digits: 4), Format.figure(s.recall, digits: 4),
        Format.figure(s.f1, digits: 4),
        Format.figure(s.loss, digits: 4), count(s.tp), count(s.fp), count(s.tn), count(s.fn))
      screen.result(table, heading: "\(testFile): \(Format.count(s.reviews)) reviews")
      if self.screen.json { screen.json(try jsonText(s)) }
    }
  }

  private func read(_ model: Inference) throws -> Dataset {
    if let testLimit, testLimit < 1 {
      throw Failure(.usage, "--test-limit is \(testLimit), expected a whole number from 1 on.")
    }
    let columns = try trained.columns(model, label: labelColumn)
    let all =
      try model.isPretrained
      ? Dataset.unlabelled(path: testFile, columns: columns, option: "--test-file")
      : Dataset.labelled(
        path: testFile, columns: columns, classCount: model.configuration.labelCount, option: "--test-file")
    return testLimit.map { all.selecting(Array(0..<min($0, all.count))) } ?? all
  }

  private func count(_ value: Int?) -> String { value.map(Format.count) ?? "–" }
}
