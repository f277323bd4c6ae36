import ArgumentParser
import Collectives
import Console
import Failures
import Training

/// `bert-ddp import`.
struct Import: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Turn a Hugging Face directory into one HDF5 base.",
    discussion: """
      Configuration, vocabulary, tokenizer settings and every tensor under its
      published name go into one verified file.
      Example:
        bert-ddp import bert-base-multilingual-cased --output mbert.h5
      """)

  @Argument(help: "Hugging Face directory: config.json, vocab.txt and weights.")
  var source: String
  @Option(help: "The HDF5 file to write.")
  var output: String
  @OptionGroup var screen: ScreenOptions

  func run() throws {
    try MPISession.run { communicator in
      let screen = communicator.isFirst ? Screen(quiet: screen.quiet, json: screen.json) : Screen.silent()
      try communicator.collectively(where: communicator.isFirst) {
        try Output(output).checkReplacesOnlyOurs()
        let base = try Base(opening: source)
        let bar = screen.progress("importing", total: base.tensorNames.count, unit: "tensors")
        let bytes = try base.write(to: output, producer: producer) { bar.update($0) }
        bar.finish()
        screen.result(
          "\(output): \(Format.count(base.tensorNames.count)) tensors, \(Format.bytes(bytes)), base \(base.contentSHA256.prefix(12))…"
        )
        if self.screen.json {
          let summary = Summary(
            output: output, tensors: base.tensorNames.count, bytes: bytes, contentSHA256: base.contentSHA256)
          screen.json(try jsonText(summary))
        }
      }
    }
  }

  private struct Summary: Encodable {
    let output: String
    let tensors: Int
    let bytes: Int
    let contentSHA256: String

    private enum CodingKeys: String, CodingKey {
      case output, tensors, bytes
      case contentSHA256 = "base_sha256"
    }
  }
}
