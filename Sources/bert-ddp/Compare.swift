import ArgumentParser
import Collectives
import Comparison
import Console
import Failures
import Training

/// `bert-ddp compare`.
struct Compare: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Fine-tuning methods side by side: a table, tests between them, and a report with plots.",
    discussion: """
      Runs every method with every number of training reviews and every seed, one
      after another on the ranks it was started with. Started again with the same
      options, it goes on where it was: what is done is skipped, the run under way
      goes on from its checkpoint.
      A method is NAME[:OPTION…][@RATE]: lora:16 is LoRA with an inner dimension of
      16, adapter:houlsby an adapter of that configuration, full@2e-5 full
      fine-tuning at that learning rate, lora:32:lora-targets=query+value any of
      train's options, with + for its commas. A fusion mixes what --fuse names, or
      else two new task adapters that are trained first.
      Example:
        mpirun -np 4 bert-ddp compare --base korean-mini --epochs 4 \\
          --train-file train.tsv --test-file test.tsv \\
          --methods full,fusion,lora:64,lora:16 --train-limits 150000,50000 \\
          --seeds 1,2,3 --output runs/comparison
      """)

  @Option(help: "Methods, separated by commas.")
  var methods = "full,lora:16"
  @Option(help: "Numbers of training reviews, separated by commas (default: all reviews).")
  var trainLimits: String?
  @Option(help: "Seeds, separated by commas.")
  var seeds = "1"
  @Option(help: "A trained adapter below new adapters and fusions, as PATH or NAME=PATH.")
  var languageAdapter: String?
  @Option(help: "What fusions mix: PATH, NAME=PATH or NAME=new, separated by commas (default: first=new,second=new).")
  var fuse: String?
  @Flag(help: "Show the figures of the paper that this program follows beside the results.")
  var published = false
  @OptionGroup(title: "Data") var data: DataOptions
  @OptionGroup(title: "Optimiser") var optimizer: OptimizerOptions
  @OptionGroup(title: "Run") var place: RunOptions
  @OptionGroup(title: "Screen") var screen: ScreenOptions

  func run() throws {
    guard let output = place.output else {
      throw Failure(.usage, "compare needs --output: the directory that it goes on in when it is started again.")
    }
    let comparison = Comparison(
      methods: try MethodSpecification.list(methods).map(method),
      limits: try numbers(trainLimits ?? "", "train-limits"),
      seeds: try numbers(seeds, "seeds"), directory: output, showsPublished: published)
    try MPISession.run { communicator in
      let screen = screen.opened(on: communicator)
      let json = try comparison.run(communicator, screen)
      if let json, self.screen.json { screen.json(json) }
    }
  }

  private func method(_ specification: MethodSpecification) throws -> Comparison.Method {
    var run = TrainingConfiguration(data, optimizer, place)
    if run.base == nil, run.trainFile == nil { run.becomeDemo(data, optimizer) }
    run.method = specification.method
    run.learningRate = specification.learningRate ?? run.learningRate
    do {
      run.take(try MethodOptions.parse(specification.arguments))
    } catch {
      throw Failure(
        .usage, "--methods has \(specification.label): \(MethodOptions.message(for: error).prefix { $0 != "\n" })")
    }
    if ["adapter", "fusion"].contains(run.method) { run.languageAdapter = run.languageAdapter ?? languageAdapter }
    if run.method == "fusion", run.fuse.isEmpty {
      run.fuse = (fuse ?? "first=new,second=new").split(separator: ",", omittingEmptySubsequences: false).map(
        String.init)
    }
    do {
      try run.validate()
    } catch let failure as Failure {
      throw Failure(failure.kind, "\(specification.label): \(failure.message)")
    }
    return Comparison.Method(specification.label, run)
  }

  private func numbers<Number: FixedWidthInteger>(_ text: String, _ option: String) throws -> [Number] {
    let parts = text.split(separator: ",", omittingEmptySubsequences: false)
    if text.isEmpty, option != "seeds" { return [] }
    let numbers = parts.compactMap { Number(String($0)) }
    guard numbers.count == parts.count, numbers.allSatisfy({ $0 >= (option == "seeds" ? 0 : 1) }),
      Set(numbers).count == numbers.count
    else {
      throw Failure(
        .usage,
        "--\(option) is \(text), expected whole numbers such as \(option == "seeds" ? "1,2,3" : "150000,50000"), each once."
      )
    }
    return numbers
  }
}
