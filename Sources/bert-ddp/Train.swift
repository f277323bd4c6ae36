import ArgumentParser
import Collectives
import Console
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
    let configurations = (isComparison ? EmbeddedDemo.methods : [choice.method ?? "full"]).map(resolved)
    for configuration in configurations { try configuration.validate() }
    try MPISession.run { communicator in
      let screen = communicator.isFirst ? Screen(quiet: screen.quiet, json: screen.json) : Screen.silent()
      var configurations = configurations
      let prefix = isComparison ? "demo" : configurations[0].method
      let output = String(
        decoding: try communicator.shared { Array(place.directory(prefix).utf8) }, as: UTF8.self)
      for index in configurations.indices {
        configurations[index].output = output + (isComparison ? "/" + configurations[index].method : "")
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

  private func resolved(_ name: String) -> TrainingConfiguration {
    var c = TrainingConfiguration(data, optimizer, place)
    c.method = name
    c.take(single)
    c.take(method)
    if c.base == nil, c.trainFile == nil { c.becomeDemo(data, optimizer) }
    return c
  }
}
