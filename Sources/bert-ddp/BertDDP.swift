import ArgumentParser
import Collectives
import Console
import Failures
import Glibc
import Training

/// The program: one command a file; each turns options into a call of `Training`.
@main
struct BertDDP: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bert-ddp",
    abstract: "Fine-tune BERT on the machines you already have, data-parallel over MPI ranks.",
    discussion: """
      Without arguments it trains on an embedded demo:
        mpirun -np 4 bert-ddp
      On your own base and data:
        mpirun -np 4 bert-ddp train --base bert-base-multilingual-cased --method lora \\
          --train-file ratings_train.txt --test-file ratings_test.txt --output runs/lora
      """,
    version: producer,
    subcommands: [Train.self, Import.self, Evaluate.self, Predict.self, Inspect.self],
    defaultSubcommand: Train.self)

  static func main() {
    do {
      var command = try parseAsRoot(ConfigurationFile.expand(Array(CommandLine.arguments.dropFirst())))
      try command.run()
    } catch let failure as Failure {
      leave(failure)
    } catch {
      // Of several ranks with the same options only the first one speaks.
      guard (Launcher.current?.rank ?? 0) == 0 else { Glibc.exit(exitCode(for: error).rawValue) }
      exit(withError: error)
    }
  }

  private static func leave(_ failure: Failure) -> Never {
    if (Launcher.current?.rank ?? 0) == 0 { Screen().error(failure.message) }
    Glibc.exit(failure.exitStatus)
  }
}
