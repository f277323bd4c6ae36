import ArgumentParser
import Collectives
import Console
import Datasets
import Failures
import FoundationEssentials
import Training

/// `bert-ddp predict`.
struct Predict: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Label and probability of each line of a file.",
    discussion: """
      Writes a TSV with the header "label probability", a line for each line of
      the input, in order; with --logits, a column logit_0, logit_1, … for each
      class follows.
      Example:
        bert-ddp predict --checkpoint runs/lora/model.h5 \\
          --input reviews.txt --output labels.tsv
      """)

  @OptionGroup var trained: TrainedOptions
  @Option(help: "Texts, one a line, or a TSV or JSONL file with the text column; - for standard input.")
  var input = "-"
  @Option(help: "Where the labels go; - for standard output.")
  var output = "-"
  @Flag(help: "Write the logits of every class too.")
  var logits = false
  @Flag(help: "Say only warnings, errors and results.")
  var quiet = false

  func run() throws {
    try MPISession.run { communicator in
      // Standard output may be the labels', so people's output goes to standard error.
      let screen = communicator.isFirst ? Screen(quiet: quiet, json: true) : Screen.silent()
      // Now rather than when everything is computed.
      try communicator.collectively(where: communicator.isFirst) {
        try Output(output).check()
        try Output(output).check(isNone: [
          ("--input", input), ("--checkpoint", trained.checkpoint), ("--base", trained.base),
        ])
      }
      let model = try trained.load(communicator, screen)
      let bytes = try communicator.shared { try fileContents(of: input, option: "--input") }
      let dataset = try communicator.collectively {
        try Dataset.unlabelled(
          bytes: bytes, name: input == "-" ? "standard input" : input, columns: trained.columns(model),
          keepsBlankLines: true)
      }
      let predictions = try model.predict(dataset)
      try model.close()
      try communicator.collectively(where: communicator.isFirst) {
        try write(predictions ?? [], classes: model.configuration.labelCount)
      }
    }
  }

  private func write(_ predictions: [Prediction], classes: Int) throws {
    let columns = logits ? (0..<classes).map { "logit_\($0)" } : []
    var text = (["label", "probability"] + columns).joined(separator: "\t") + "\n"
    for prediction in predictions {
      text += "\(prediction.label)\t\(Format.fixed(prediction.probability, digits: 6))"
      // The shortest text that is read back as the same number.
      if logits { for logit in prediction.logits { text += "\t\(logit)" } }
      text += "\n"
    }
    try Output(output).write(Data(text.utf8))
  }
}
