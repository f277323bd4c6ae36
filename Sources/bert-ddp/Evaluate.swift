import ArgumentParser
import Collectives
import Console
import Datasets
import Failures
import Metrics
import Training

/// The options that name a trained file.
struct TrainedOptions: ParsableArguments {
  @Option(help: "A checkpoint or model.h5.")
  var checkpoint: String
  @Option(help: "The base it belongs to (default: where it was trained from).")
  var base: String?
  @Option(help: "Threads a rank.")
  var threads = 1
  @Option(help: "Longest review, in tokens (default: as in training).")
  var maxLength: Int?
  @Flag(help: "Keep low-rank updates beside the weights instead of folding them in first.")
  var unmerged = false

  func load(_ communicator: Communicator, _ screen: Screen) throws -> Inference {
    try Inference(
      checkpoint: checkpoint, basePath: base, merged: !unmerged, threads: threads, maxLength: maxLength,
      communicator, screen)
  }
}

/// `bert-ddp evaluate`.
struct Evaluate: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Metrics of a checkpoint on labelled reviews.",
    discussion: """
      Example:
        mpirun -np 4 bert-ddp evaluate --checkpoint runs/lora/model.h5 \\
          --test-file test.tsv
      """)

  @OptionGroup var trained: TrainedOptions
  @Option(help: "Labelled reviews: TSV with a header, or JSONL.")
  var testFile: String
  @OptionGroup var screen: ScreenOptions

  func run() throws {
    try MPISession.run { communicator in
      let screen = communicator.isFirst ? Screen(quiet: screen.quiet, json: screen.json) : Screen.silent()
      let model = try trained.load(communicator, screen)
      let dataset = try communicator.collectively {
        try Dataset.labelled(
          path: testFile, columns: model.configuration.columns, classCount: model.configuration.labelCount)
      }
      let evaluation = try model.evaluate(dataset, name: testFile)
      try model.close()
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

  private func count(_ value: Int?) -> String { value.map(Format.count) ?? "–" }
}
