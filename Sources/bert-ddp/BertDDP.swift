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
        mpirun -np 4 bert-ddp train --base bert-base-multilingual-cased \\
          --train-file train.tsv --test-file test.tsv --method lora
      """,
    version: producer,
    subcommands: [
      Train.self, Pretrain.self, VocabularyCommand.self, DemoCommand.self, Import.self, Evaluate.self, Predict.self,
      Inspect.self, Export.self, Methods.self, Prove.self, Compare.self, Scaling.self, Plan.self, DoctorCommand.self,
    ],
    defaultSubcommand: Train.self)

  /// What the first argument may be.
  static var commandNames: [String] { configuration.subcommands.map { $0._commandName } }

  static func main() {
    // A reader that goes away ends what it was told, not a training run; who must write finds out by himself.
    signal(SIGPIPE, SIG_IGN)
    holdStandardDescriptors()
    do {
      var command = try ConfigurationFile.parse(Array(CommandLine.arguments.dropFirst()))
      try command.run()
    } catch let failure as Failure {
      leave(failure)
    } catch {
      switch exitCode(for: error) {
      case .success:
        // Help or the version: of several ranks the first one shows it.
        guard (Launcher.current?.rank ?? 0) == 0 else { return }
        exit(withError: error)
      case .validationFailure: leave(Failure(.usage, sentence(on: error)))
      default: leave(Failure(.other, message(for: error)), isWithinMPI: true)
      }
    }
  }

  /// Sees to it that what is opened later does not become standard output where that was closed: a lock, a checkpoint.
  private static func holdStandardDescriptors() {
    var descriptor: CInt = 0
    repeat { descriptor = open("/dev/null", O_RDWR) } while (0...2).contains(descriptor)
    if descriptor > 2 { close(descriptor) }
  }

  /// What is wrong with the options, and where to read more.
  static func sentence(on error: any Error) -> String {
    let lines = fullMessage(for: error).split(separator: "\n").map(String.init)
    let what = message(for: error).prefix { $0 != "\n" }
    let hint = lines.compactMap { $0.split(separator: "'").dropFirst().first.map(String.init) }
      .last { $0.hasSuffix("--help") }
    // ArgumentParser takes a word that starts with - for an option.
    if let option = what.split(separator: "'").last?.split(separator: " ").first, what.hasPrefix("Missing value for '"),
      let place = CommandLine.arguments.firstIndex(of: String(option)),
      let value = CommandLine.arguments.dropFirst(place + 1).first, value.dropFirst().first?.isNumber == true
    {
      return
        "\(option) is followed by \(value), which starts like an option; write \(option)=\(value). See \(hint ?? "bert-ddp --help")."
    }
    return "\(what)\(what.last == "." || what.last == "?" ? "" : ".") See \(hint ?? "bert-ddp --help")."
  }

  /// Says why the program ends and ends it. Under a launcher MPI does both: a rank that merely leaves would be
  /// reported by mpirun, in many lines, before rank 0 has spoken.
  private static func leave(_ failure: Failure, isWithinMPI: Bool = false) -> Never {
    if !isWithinMPI { try? MPISession.run { _ in throw failure } }
    Screen().error(failure.message)
    Glibc.exit(failure.exitStatus)
  }
}
