import ArgumentParser
import Collectives
import Console
import Failures
import FineTuning
import FoundationEssentials
import Glibc
import Training

/// `bert-ddp train`, and `bert-ddp` alone.
struct Train: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Fine-tune a base on labelled reviews and evaluate it (the default).",
    discussion: """
      Each rank holds a replica; only the trainable gradients are all-reduced.
      With neither --base nor --train-file an embedded demo runs.
      Example:
        mpirun -np 4 bert-ddp train --base korean-mini --method lora \\
          --train-file train.tsv --test-file test.tsv --output runs/lora
      """)

  @OptionGroup(title: "Data") var data: DataOptions
  @OptionGroup(title: "Method") var choice: MethodChoice
  @OptionGroup(title: "Method") var method: MethodOptions
  @OptionGroup(title: "Optimiser") var optimizer: OptimizerOptions
  @OptionGroup(title: "Run") var single: SingleRunOptions
  @OptionGroup(title: "Run") var place: RunOptions
  @OptionGroup(title: "Screen") var screen: ScreenOptions

  func run() throws {
    let configuration = resolved()
    try configuration.validate()
    if single.printConfig { return try printConfiguration(configuration) }
    try MPISession.run { communicator in
      let screen = communicator.isFirst ? Screen(quiet: screen.quiet, json: screen.json) : Screen.silent()
      var configuration = configuration
      let output = try communicator.shared { Array((place.output ?? Train.newDirectory(choice.method)).utf8) }
      configuration.output = String(decoding: output, as: UTF8.self)
      let results = try TrainingStages.train(configuration, communicator, screen)
      if let results, self.screen.json { screen.json(try jsonText(results)) }
    }
  }

  /// The options of train that another command was given, judged by train's own rules; for its `validate`.
  /// - Throws: `ValidationError`.
  static func asked(_ arguments: [String], _ check: (TrainingConfiguration) throws -> Void) throws -> Train {
    do {
      let train = try Train.parse(arguments)
      try check(train.resolved())
      return train
    } catch let failure as Failure {
      throw ValidationError(failure.message)
    } catch {
      throw ValidationError(message(for: error))
    }
  }

  /// The options, with the demo's where no others are given.
  func resolved() -> TrainingConfiguration {
    var c = TrainingConfiguration(data, optimizer, place)
    (c.method, c.learningRate) = (choice.method, single.learningRate)
    (c.trainLimit, c.seed, c.resume) = (single.trainLimit, single.seed, single.resume)
    (c.untimedSteps, c.writesCheckpoints) = (single.untimedSteps, !single.noCheckpoints)
    c.take(method)
    if single.noCheckpoints {
      // A study times steps and nothing else.
      (c.validationFile, c.testFile, c.validationFraction) = (nil, nil, nil)
      (c.evaluateEvery, c.earlyStoppingPatience) = (nil, nil)
    }
    if c.base == nil, c.trainFile == nil { c.becomeDemo(data, optimizer) }
    return c
  }

  /// Every rank says the same, so the first one does.
  private func printConfiguration(_ configuration: TrainingConfiguration) throws {
    guard (Launcher.current?.rank ?? 0) == 0 else { return }
    var resolved = ["epochs": "\(configuration.epochs)"]
    let rate = try configuration.learningRate ?? configuration.fineTuningMethod().defaultLearningRate
    resolved["learning-rate"] = "\(rate)"
    let printed = PrintedConfiguration(
      self, heading: "bert-ddp train --config FILE; an option on the command line wins", resolved: resolved,
      hidden: ["config", "print-config", "untimed-steps", "no-checkpoints", "quiet", "json"])
    Screen().result(String(printed.yaml.dropLast()))
  }

  /// A directory that no other run has: the method and the time, to the second, in UTC.
  static func newDirectory(_ method: String) -> String {
    var seconds = time(nil)
    var parts = tm()
    gmtime_r(&seconds, &parts)
    func two(_ value: Int32) -> String { value < 10 ? "0\(value)" : "\(value)" }
    let day = "\(parts.tm_year + 1900)\(two(parts.tm_mon + 1))\(two(parts.tm_mday))"
    let name = "runs/\(method)-\(day)-\(two(parts.tm_hour))\(two(parts.tm_min))\(two(parts.tm_sec))"
    var candidate = name
    var number = 2
    while FileManager.default.fileExists(atPath: candidate) {
      candidate = "\(name)-\(number)"
      number += 1
    }
    return candidate
  }
}
