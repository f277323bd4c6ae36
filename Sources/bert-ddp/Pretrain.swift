import ArgumentParser
import Collectives
import Console
import Failures
import FineTuning
import Training

/// `bert-ddp pretrain`.
struct Pretrain: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Pre-train a base, or a language adapter on one, on unlabelled text.",
    discussion: """
      Masked-language modelling: 15 % of the tokens are hidden, others in each
      epoch, and the model learns to name them. The result is the run directory's
      base.h5, which train --base takes; with --method adapter it is model.h5,
      which train --language-adapter and --fuse take.
      The vocabulary is what bert-ddp vocabulary writes.
      Example:
        mpirun -np 4 bert-ddp pretrain --shape 4,256,4,1024 \\
          --vocabulary vocab.txt --train-file texts.txt --output runs/base
        mpirun -np 4 bert-ddp pretrain --base runs/base/base.h5 \\
          --train-file texts.txt --method adapter --adapter-config pfeiffer+inv \\
          --adapter-name ko --output runs/ko
      """)

  @OptionGroup(title: "Data") var data: PretrainingData
  @OptionGroup(title: "Model") var model: PretrainingModel
  @OptionGroup(title: "Optimiser") var optimizer: OptimizerOptions
  @OptionGroup(title: "Run") var single: SingleRunOptions
  @OptionGroup(title: "Run") var place: RunOptions
  @OptionGroup(title: "Screen") var screen: ScreenOptions

  func run() throws {
    try place.check(single)
    let configuration = try resolved()
    try configuration.validate()
    if single.printConfig { return try PrintedConfiguration.show(self, "pretrain", [configuration]) }
    try MPISession.run { communicator in
      let screen = screen.opened(on: communicator)
      var configuration = configuration
      configuration.output = try communicator.sharedText { place.directory("pretrain") }
      configuration.resumeAdvice = place.resumeAdvice(configuration.output)
      let results = try TrainingStages.train(configuration, communicator, screen)
      if let results, self.screen.json { screen.json(try jsonText(results)) }
    }
  }

  private func resolved() throws -> TrainingConfiguration {
    var (c, options) = (TrainingConfiguration(), PretrainingOptions())
    (c.base, c.trainFile, c.testFile, c.vocabulary) = (
      model.base, data.trainFile, data.heldOutFile, model.vocabulary
    )
    c.textColumn = data.textColumn
    c.maxLength = data.maxLength ?? c.maxLength
    c.asksForMaxLength = data.maxLength != nil
    (options.wholeWord, options.nextSentence, options.maskedShare) = (
      data.wholeWord, data.nextSentence, data.maskedShare
    )
    (options.heldOutLimit, options.lowercase) = (data.heldOutLimit, model.lowercase)
    options.batchTokens = data.batchTokens
    options.adapterName = model.adapterName ?? options.adapterName
    options.shape = try shape(maxLength: c.maxLength)
    c.method = model.method
    c.methodOptions = model.adapter
    c.pretraining = options
    try c.usePretrainingDefaults()
    c.take(place)
    c.take(single)
    c.take(optimizer)
    return c
  }

  private func shape(maxLength: Int) throws -> PretrainingOptions.Shape? {
    guard let text = model.shape else {
      if model.positions != nil { throw Failure(.usage, "--positions is for --shape; a base has its own.") }
      return nil
    }
    let positions = model.positions ?? maxLength
    guard (3...1 << 20).contains(positions) else {
      throw Failure(.usage, "--positions is \(positions), expected a whole number from 3 on.")
    }
    guard let shape = PretrainingOptions.Shape(text, positions: positions) else {
      throw Failure(
        .usage, "--shape is \"\(text)\", expected layers,hidden,heads,intermediate, such as 4,256,4,1024.")
    }
    return shape
  }
}

/// What is learnt from which texts.
struct PretrainingData: ParsableArguments {
  @Option(help: "Texts, one a line; or a TSV or JSONL file with the text column.")
  var trainFile: String?
  @Option(help: "Texts that the model is judged on after each epoch, tokens hidden at fixed positions.")
  var heldOutFile: String?
  @Option(help: "Look at the first N held-out texts only.")
  var heldOutLimit: Int?
  @Option(help: "Column or key of the text.")
  var textColumn = "document"
  @Option(help: "Longest text, in tokens (default: 128, or the base's positions if fewer).")
  var maxLength: Int?
  @Option(
    help: "A step has texts of like length, as many as fit into N tokens, in place of --global-batch-size texts.")
  var batchTokens: Int?
  @Option(help: "Share of the tokens that is hidden.")
  var maskedShare = 0.15
  @Flag(help: "Hide words whole, not single tokens.")
  var wholeWord = false
  @Flag(help: "Learn too which sentences follow each other: one a line, documents separated by blank lines.")
  var nextSentence = false
}

/// What is pre-trained.
struct PretrainingModel: ParsableArguments {
  @Option(help: "HDF5 base or Hugging Face directory to go on with, or to train a language adapter on.")
  var base: String?
  @Option(help: "Start a model at random: layers,hidden,heads,intermediate, such as 4,256,4,1024.")
  var shape: String?
  @Option(help: "The vocabulary of such a model: a vocab.txt.")
  var vocabulary: String?
  @Flag(help: "Such a model lower-cases its texts.")
  var lowercase = false
  @Option(help: "Positions of such a model: the longest text it can ever read (default: --max-length).")
  var positions: Int?
  @Option(help: "What is trained: full, for a base, or adapter, for a language adapter.")
  var method = "full"
  @Option(help: "A language adapter's configuration: pfeiffer+inv, pfeiffer, houlsby or parallel.")
  var adapterConfig = "pfeiffer+inv"
  @Option(help: "Hidden size divided by the adapter's bottleneck (default: the configuration's own).")
  var adapterReductionFactor: AdapterConfiguration.Reduction?
  @Option(help: "The adapter's non-linearity (default: the configuration's own).")
  var adapterActivation: String?
  @Option(help: "Layers without an adapter, counted from 0, such as 0-3,7 (default: none).")
  var adapterLeaveOut: LayerList?
  @Option(help: "What the language adapter is called (default: \(PretrainingOptions.defaultAdapterName)).")
  var adapterName: String?

  var adapter: FineTuningOptions {
    var options = FineTuningOptions()
    options.adapterConfiguration = adapterConfig
    options.adapterReductionFactor = adapterReductionFactor
    options.adapterActivation = adapterActivation
    options.adapterLeaveOut = adapterLeaveOut?.layers ?? []
    return options
  }
}
