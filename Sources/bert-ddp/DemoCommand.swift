import ArgumentParser
import Collectives
import Console
import Failures
import Training

/// `bert-ddp demo`.
struct DemoCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "demo",
    abstract: "Write the embedded demo's data as files, to try the other commands on.",
    discussion: """
      train.tsv and test.tsv: labelled reviews; texts.txt: unlabelled texts; vocab.txt:
      a vocabulary. All of them are made up by a grammar.
      Example:
        bert-ddp demo --output demo
        bert-ddp vocabulary --input demo/texts.txt --size 1000 --output vocab.txt
      """)

  @Option(help: "The folder to write them into.")
  var output: String
  @Option(help: "Other seeds give other texts.")
  var seed: UInt32 = 1
  @OptionGroup var screen: ScreenOptions

  func run() throws {
    try MPISession.run { communicator in
      let screen = screen.opened(on: communicator)
      let files = try communicator.collectively(where: communicator.isFirst) {
        try EmbeddedDemo.write(to: output, seed: seed)
      }
      screen.result("\(output): \((files ?? []).joined(separator: ", "))")
      if self.screen.json { screen.json(try jsonText(["output": [output], "files": files ?? []])) }
    }
  }
}
