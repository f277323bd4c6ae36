import ArgumentParser
import Collectives
import Console
import Failures
import Training

/// `bert-ddp train`, and `bert-ddp` alone.
struct Train: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Fine-tune a base on labelled reviews and evaluate it (the default).",
    discussion: """
      Each rank holds a replica; only the trainable gradients are all-reduced.
      With neither --base nor --train-file an embedded demo runs; asked for nothing
      else, it compares full fine-tuning and LoRA.
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
    try place.check(single)
    let names: [String?] = isComparison ? EmbeddedDemo.methods : [choice.method]
    let configurations = names.map(resolved)
    for configuration in configurations { try configuration.validate() }
    if single.printConfig { return try PrintedConfiguration.show(self, "train", configurations) }
    try MPISession.run { communicator in
      let screen = screen.opened(on: communicator)
      if let name = choice.method {
        for option in method.withoutEffect(in: name) {
          screen.warning("--\(option) has no effect: the method is \(name).")
        }
      }
      var configurations = configurations
      let prefix = isComparison ? "demo" : configurations[0].method
      let output = try communicator.sharedText { place.directory(prefix) }
      for index in configurations.indices {
        configurations[index].output = output + (isComparison ? "/" + configurations[index].method : "")
        configurations[index].resumeAdvice =
          isComparison ? EmbeddedDemo.resumeAdvice(configurations[index]) : place.resumeAdvice(output)
      }
      let results = try TrainingStages.train(configurations, communicator, screen)
      if let results, self.screen.json { screen.json(try jsonText(results)) }
    }
  }

  /// Whether the demo is asked for and nothing else: it then compares two methods.
  private var isComparison: Bool {
    data.base == nil && data.trainFile == nil && choice.method == nil && method.languageAdapter == nil
      && method.fuse == nil && place.output == nil && single.resume == "never"
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

  /// - Parameter name: Another method than the one that was asked for.
  /// - Returns: The options, with the demo's where no others are given.
  func resolved(_ name: String? = nil) -> TrainingConfiguration {
    var c = TrainingConfiguration(data, optimizer, place)
    c.method = name ?? choice.method ?? c.method
    c.take(single)
    c.take(method)
    if single.noCheckpoints {
      // A study times steps and nothing else.
      (c.validationFile, c.testFile, c.validationFraction) = (nil, nil, nil)
      (c.evaluateEvery, c.earlyStoppingPatience) = (nil, nil)
    }
    if c.base == nil, c.trainFile == nil { c.becomeDemo(data, optimizer) }
    if isComparison { EmbeddedDemo.adjustComparison(&c) }
    return c
  }
}
