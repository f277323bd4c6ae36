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
      hf: a plain model for Transformers, with what the method added folded in; a
      base as it is.
      peft: LoRA and its head, for PEFT.
      adapterhub: an adapter, several with their fusion, LoRA, (IA)³ or a prefix,
      and the head, for AdapterHub's library adapters.
      The directory is read back and its logits compared; one that is not the same
      model is not left behind.
      Example:
        bert-ddp export --checkpoint runs/lora/model.h5 --base korean-mini \\
          --format peft --output lora-nsmc
      """)

  @Option(help: "A checkpoint, model.h5 or a base.")
  var checkpoint: String
  @Option(help: "The base it belongs to (default: where it was trained from).")
  var base: String?
  @Option(help: "What to write.")
  var format: FormatName
  @Option(help: "A new or empty directory.")
  var output: String
  @OptionGroup var screen: ScreenOptions

  /// What is written, by a name of `ExportFormats`.
  struct FormatName: ExpressibleByArgument {
    let name: String

    init?(argument: String) {
      guard ExportFormats.names.contains(argument) else { return nil }
      name = argument
    }

    static var allValueStrings: [String] { ExportFormats.names }
    static var defaultCompletionKind: CompletionKind { .list(allValueStrings) }
  }

  func run() throws {
    try MPISession.run { communicator in
      let screen = screen.opened(on: communicator)
      let summary = try ModelExport(communicator)
        .write(checkpoint: checkpoint, base: base, format: format.name, to: output)
      let proof =
        summary.probeCount == 0
        ? "every number is the same"
        : "logits of \(summary.probeCount) reviews differ by at most \(summary.largestDifference)"
      screen.result("\(output): \(summary.tensorCount) tensors; read back, \(proof)")
      if self.screen.json {
        screen.json(
          try jsonText(
            Report(
              output: output, format: format.name, tensors: summary.tensorCount,
              largestDifference: Double(summary.largestDifference), reviewsCompared: summary.probeCount)))
      }
    }
  }

  private struct Report: Encodable {
    let output: String
    let format: String
    let tensors: Int
    let largestDifference: Double
    let reviewsCompared: Int

    private enum CodingKeys: String, CodingKey {
      case output, format, tensors
      case largestDifference = "largest_difference", reviewsCompared = "reviews_compared"
    }
  }
}
