import ArgumentParser
import BERT
import Collectives
import Console
import Failures
import FineTuning
import Training

/// `bert-ddp methods`.
struct Methods: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "The fine-tuning methods, and what each trains on a base.",
    discussion: """
      Counts of parameters, their share, the bytes of a step's all-reduce, and the
      learning rate when none is asked for. Options change the methods they belong
      to; below the methods stand other forms of them.
      Example:
        bert-ddp methods --base korean-mini --lora-rank 8
      """)

  @Option(help: "HDF5 base or Hugging Face directory (default: the shape of multilingual BERT).")
  var base: String?
  @Option(help: "How many classes there are.")
  var numLabels = 2
  @OptionGroup(title: "Method") var method: MethodOptions
  @OptionGroup var screen: ScreenOptions

  func run() throws {
    guard (2...100_000).contains(numLabels) else {
      throw Failure(.usage, "--num-labels is \(numLabels), expected a whole number from 2 to 100000.")
    }
    guard method.fuse == nil, method.languageAdapter == nil, !method.trainAdapters else {
      throw Failure(
        .usage,
        "--fuse, --language-adapter and --train-adapters take trained adapters, and methods counts new ones; leave them out."
      )
    }
    try MPISession.run { communicator in
      let screen = screen.opened(on: communicator)
      try communicator.collectively(where: communicator.isFirst) { try list(on: screen) }
    }
  }

  private func list(on screen: Screen) throws {
    var shape = try base.map { try Base(opening: $0).configuration } ?? Methods.multilingual
    shape.labelCount = numLabels
    let rows = try FineTuningMethods.figures(method.fineTuning, on: shape)
    let variants = try FineTuningMethods.variants(method.fineTuning, on: shape)
    if self.screen.json {
      screen.json(try jsonText(Listing(base: base, numLabels: numLabels, methods: (rows + variants).map(Row.init))))
      return
    }
    screen.result(
      Methods.table(rows),
      heading: "On \(base ?? "the shape of bert-base-multilingual-cased, as no --base is given"), \(numLabels) classes")
    screen.result("")
    screen.result(Methods.table(variants), heading: "Other forms")
  }

  /// `bert-base-multilingual-cased`.
  static var multilingual: BERTConfiguration {
    var shape = BERTConfiguration()
    shape.vocabularySize = 119_547
    return shape
  }

  private static func table(_ rows: [MethodFigures]) -> Table {
    var table = Table([
      Table.Column("method", .leading), Table.Column("options", .leading), "trained", "share", "all-reduce",
      "learning rate",
    ])
    for row in rows {
      table.add(
        row.method.name, row.options, Format.count(row.trainableCount), Format.percent(row.share),
        Format.bytes(row.allReduceBytes), "\(row.method.defaultLearningRate)")
    }
    return table
  }

  /// What `--json` writes.
  private struct Listing: Encodable {
    let base: String?
    let numLabels: Int
    let methods: [Row]

    private enum CodingKeys: String, CodingKey { case base, numLabels = "num_labels", methods }
  }

  private struct Row: Encodable {
    let method: String
    let options: String
    let settings: [String: String]
    let trainable: Int
    let total: Int
    let share: Double
    let bytes: Int
    let learningRate: Double

    init(_ figures: MethodFigures) {
      (method, options, settings) = (figures.method.name, figures.options, figures.method.settings)
      (trainable, total, share) = (figures.trainableCount, figures.totalCount, figures.share)
      (bytes, learningRate) = (figures.allReduceBytes, figures.method.defaultLearningRate)
    }

    private enum CodingKeys: String, CodingKey {
      case method, options, settings
      case trainable = "trainable_parameters", total = "total_parameters", share = "trainable_share"
      case bytes = "all_reduce_bytes_per_step", learningRate = "default_learning_rate"
    }
  }
}
