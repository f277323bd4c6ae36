import ArgumentParser
import Collectives
import Console
import Failures
import Training

/// `bert-ddp export`.
struct Export: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Write a checkpoint as a directory that other libraries load.",
    discussion: """
      hf: a merged model for Transformers. The directory is read back and its logits compared; one that is not the same
      model is not left behind.
      Example:
        bert-ddp export --checkpoint runs/lora/model.h5 --base korean-mini --format hf --output korean-mini-nsmc
      """)

  /// What is written.
  enum Format: String, ExpressibleByArgument, CaseIterable {
    /// A merged model for Transformers.
    case hf
  }

  @Option(help: "A checkpoint or model.h5.")
  var checkpoint: String
  @Option(help: "The base it belongs to (default: where it was trained from).")
  var base: String?
  @Option(help: "What to write.")
  var format: Format
  @Option(help: "A new or empty directory.")
  var output: String
  @OptionGroup var screen: ScreenOptions

  func run() throws {
    try MPISession.run { communicator in
      let screen = communicator.isFirst ? Screen(quiet: screen.quiet, json: screen.json) : Screen.silent()
      let summary = try HuggingFaceExport(communicator, screen)
        .write(checkpoint: checkpoint, base: base, to: output)
      screen.result(
        "\(output): \(summary.tensorCount) tensors; read back, logits of \(summary.probeCount) reviews differ by at most \(summary.largestDifference)"
      )
    }
  }
}
