package import Datasets
internal import Failures
package import FineTuning
package import Tensors

/// Every option of a training run, resolved: what is printed, stored in `config.json` and in every checkpoint.
package struct TrainingConfiguration: Codable, Sendable, Equatable {
  /// The base: an HDF5 file or a Hugging Face directory; nil for the embedded demo.
  package var base: String?
  /// The labelled training file.
  package var trainFile: String?
  /// A labelled file that is evaluated after each epoch.
  package var validationFile: String?
  /// The share of the training file that is held out for validation instead; nil for none.
  package var validationFraction: Double?
  /// The labelled file whose metrics are the result.
  package var testFile: String?
  /// The column or key of the text.
  package var textColumn = "document"
  /// The column or key of a second text.
  package var textPairColumn: String?
  /// The column or key of the label.
  package var labelColumn = "label"
  /// How many classes.
  package var labelCount = 2
  /// The names of the classes, by their number, where an imported head brought some.
  package var labels: [String]?
  /// The name of an imported flexible head; nil for BERT's own head.
  package var head: String?
  /// How the base is fine-tuned.
  package var method = "full"
  /// The method's own options.
  package var methodOptions = FineTuningOptions()
  /// A trained adapter below the new one or below the fusion: `PATH` or `NAME=PATH`.
  package var languageAdapter: String?
  /// The adapters that are fused: `PATH`, `NAME=PATH` or `NAME=new` each.
  package var fuse: [String] = []
  /// Whether the fused adapters that were trained on a task are trained further.
  package var trainsAdapters = false
  /// The SHA-256 of the numbers of each adapter that the run builds on.
  package var adapterSHA256: [String: String] = [:]
  /// How often every review is seen.
  package var epochs = 4
  /// The learning rate at its highest; the method's own when nil.
  package var learningRate: Double?
  /// Decay of AdamW's first moment.
  package var adamBeta1 = 0.9
  /// Decay of AdamW's second moment.
  package var adamBeta2 = 0.999
  /// Added to the root of the second moment.
  package var adamEpsilon = 1e-8
  /// Decoupled weight decay, on all but biases and weights of normalisations.
  package var weightDecay = 0.0
  /// The largest global gradient norm; 0 for no limit.
  package var maxGradNorm = 1.0
  /// What the rate does after warm-up.
  package var lrSchedule = LearningRateSchedule.Shape.linear
  /// The share of steps over which the rate rises.
  package var warmupRatio = 0.06
  /// Reviews of one pass of all ranks together.
  package var globalBatchSize = 32
  /// How many such passes make an optimiser step.
  package var accumulationSteps = 1
  /// The longest review, in tokens.
  package var maxLength = 128
  /// Whether a person asked for that length; the default gives way to a base of fewer positions. Not stored: the length
  /// is.
  package var asksForMaxLength = true
  /// How many reviews are trained on: the first of a seeded shuffle.
  package var trainLimit: Int?
  /// Ends the run after so many steps.
  package var maxSteps: Int?
  /// What every random number depends on.
  package var seed: UInt32 = 1
  /// Overrides the base's dropout probabilities.
  package var dropout: Float?
  /// The run directory.
  package var output = ""
  /// `never`, `auto`, or a checkpoint's path.
  package var resume = "never"
  /// Steps between checkpoints; after every epoch when nil.
  package var checkpointEvery: Int?
  /// Minutes after which a checkpoint is written in any case, 0 for never; 15 when nil.
  package var checkpointMinutes: Double?
  /// Steps between evaluations; after every epoch when nil.
  package var evaluateEvery: Int?
  /// After how many validations in a row that were no better than the best one the run ends; never when nil.
  package var earlyStoppingPatience: Int?
  /// How many checkpoints stay.
  package var keepCheckpoints = 2
  /// Threads a rank.
  package var threads = 1
  /// Steps between `step` events.
  package var logEvery = 50
  /// In which precision products are computed.
  package var precision = Precision.fp32
  /// Whether an event file for TensorBoard is written beside `metrics.jsonl`.
  package var tensorboard: Bool?
  /// Whether trained tensors are to have the same bits on any number of ranks and threads.
  package var deterministic = false
  /// Whether AdamW's moments and its work are shared out over ranks (ZeRO-1): the same bits, less of both.
  package var shardOptimizer = true
  /// Whether what the frozen layers below everything trained make of a review is computed once, without dropout, and kept.
  package var cacheFrozen: Bool?
  /// How many steps with a loss or gradient that is not finite are left out before the run ends.
  package var skipNonfinite = 0
  /// Seconds without progress after which the job ends; 0 for never.
  package var stallTimeout = 600
  /// Minutes from the start of the program after which the run has stopped, its checkpoint written.
  package var maxMinutes: Double?
  /// What pre-training has to be told; nil for fine-tuning.
  package var pretraining: PretrainingOptions?
  /// The vocabulary of a model that starts at random.
  package var vocabulary: String?
  /// Whether each rank writes a trace of its last steps.
  package var trace = false
  /// Whether each rank writes a log of its own.
  package var logRanks = false
  /// For studies: steps at the start that are not timed; nil when none is to be. Not stored, as the next.
  package var untimedSteps: Int?
  /// What a person adds to the command line to go on with the run. Not stored either.
  package var resumeAdvice = "--resume auto"
  /// Whether checkpoints and the trained model are written.
  package var writesCheckpoints = true

  /// The defaults.
  package init() {}

  private enum CodingKeys: String, CodingKey {
    case base, method, epochs, labels, head, seed, dropout, output, resume, threads
    case trainFile = "train_file", validationFile = "validation_file", testFile = "test_file"
    case textColumn = "text_column", textPairColumn = "text_pair_column", labelColumn = "label_column"
    case labelCount = "num_labels", methodOptions = "method_options", learningRate = "learning_rate"
    case adamBeta1 = "adam_beta1", adamBeta2 = "adam_beta2", adamEpsilon = "adam_epsilon"
    case weightDecay = "weight_decay", maxGradNorm = "max_grad_norm", lrSchedule = "lr_schedule"
    case warmupRatio = "warmup_ratio", globalBatchSize = "global_batch_size"
    case accumulationSteps = "accumulation_steps", maxLength = "max_length", trainLimit = "train_limit"
    case maxSteps = "max_steps", checkpointEvery = "checkpoint_every"
    case checkpointMinutes = "checkpoint_minutes"
    case keepCheckpoints = "keep_checkpoints", logEvery = "log_every", deterministic
    case shardOptimizer = "shard_optimizer"
    case skipNonfinite = "skip_nonfinite", stallTimeout = "stall_timeout", maxMinutes = "max_minutes"
    case languageAdapter = "language_adapter", fuse, trainsAdapters = "train_adapters"
    case adapterSHA256 = "adapter_sha256", precision, validationFraction = "validation_fraction"
    case evaluateEvery = "evaluate_every", earlyStoppingPatience = "early_stopping_patience", tensorboard
    case pretraining, vocabulary, cacheFrozen = "cache_frozen"
  }

  /// The names of the data files' columns.
  package var columns: ColumnNames {
    ColumnNames(text: textColumn, textPair: textPairColumn, label: labelColumn)
  }
  /// Reviews of an optimiser step.
  package var reviewsPerStep: Int { globalBatchSize * accumulationSteps }

  /// The method with its options.
  /// - Throws: `Failure` when there is none of that name, or its options make no sense.
  package func fineTuningMethod() throws -> any FineTuningMethod {
    try FineTuningMethods.method(named: method, methodOptions)
  }

  /// The learning rate at its highest, where none is asked for the method's own; no adapter has to be opened to know it.
  /// - Throws: `Failure` when there is no such method, or its options make no sense.
  package func resolvedLearningRate() throws -> Double {
    if let learningRate { return learningRate }
    return try FineTuningMethods.planned(method, methodOptions).defaultLearningRate
  }

  /// Refuses numbers that make no sense, before anything is read.
  /// - Parameter needsFiles: Whether base and data have to come together, as they do for a run.
  /// - Throws: `Failure` of kind `usage` that names the option.
  package func validate(needsFiles: Bool = true) throws {
    func require(_ holds: Bool, _ option: String, _ found: Any, _ expected: String) throws {
      if !holds { throw Failure(.usage, "--\(option) is \(found), expected \(expected).") }
    }
    try validateMethod()
    if let learningRate {
      try require(learningRate.isFinite && learningRate >= 0, "learning-rate", learningRate, "0 or more")
    }
    let whole = [
      ("epochs", epochs), ("global-batch-size", globalBatchSize), ("accumulation-steps", accumulationSteps),
      ("keep-checkpoints", keepCheckpoints), ("log-every", logEvery),
      ("train-limit", trainLimit ?? 1), ("max-steps", maxSteps ?? 1),
      ("checkpoint-every", checkpointEvery ?? 1), ("evaluate-every", evaluateEvery ?? 1),
      ("early-stopping-patience", earlyStoppingPatience ?? 1),
    ]
    // Products of two of them, and of one with the number of reviews, are to stay far from overflow.
    let largest = 1_000_000_000
    for (option, value) in whole {
      try require((1...largest).contains(value), option, value, "a whole number from 1 to \(largest)")
    }
    for (option, value) in [("skip-nonfinite", skipNonfinite), ("stall-timeout", stallTimeout)] {
      try require((0...largest).contains(value), option, value, "a whole number from 0 to \(largest)")
    }
    if let checkpointMinutes {
      try require(
        checkpointMinutes >= 0 && checkpointMinutes.isFinite, "checkpoint-minutes", checkpointMinutes, "0 or more")
    }
    if let maxMinutes {
      try require(maxMinutes > 0 && maxMinutes.isFinite, "max-minutes", maxMinutes, "a number above 0")
    }
    if let validationFraction {
      try require(
        validationFraction > 0 && validationFraction < 1, "validation-fraction", validationFraction,
        "a number between 0 and 1")
    }
    try require((1...1024).contains(threads), "threads", threads, "a whole number from 1 to 1024")
    try require(
      (2...100_000).contains(labelCount), "num-labels", labelCount, "a whole number from 2 to 100000")
    try require((3...largest).contains(maxLength), "max-length", maxLength, "3 or more")
    for (option, beta) in [
      ("adam-beta1", adamBeta1), ("adam-beta2", adamBeta2), ("warmup-ratio", warmupRatio),
    ] {
      try require((0..<1).contains(beta), option, beta, "a number from 0 to below 1")
    }
    if let dropout { try require((0..<1).contains(dropout), "dropout", dropout, "a probability below 1") }
    try require(adamEpsilon > 0 && adamEpsilon.isFinite, "adam-epsilon", adamEpsilon, "a number above 0")
    try require(weightDecay >= 0 && weightDecay.isFinite, "weight-decay", weightDecay, "0 or more")
    try require(maxGradNorm >= 0 && maxGradNorm.isFinite, "max-grad-norm", maxGradNorm, "0 or more; 0 for no limit")
    try validateValidation()
    if let pretraining {
      if cacheFrozen == true {
        throw Failure(
          .usage, "--cache-frozen is for fine-tuning: pretrain hides other tokens in every epoch; leave it out.")
      }
      return try pretraining.validate(self)
    }
    guard needsFiles else { return }
    if trainFile != nil, base == nil {
      throw Failure(.usage, "--train-file needs --base: pass an HDF5 base or a Hugging Face directory.")
    }
    if base != nil, trainFile == nil {
      throw Failure(
        .usage, "--base needs --train-file: pass a labelled file, or leave out both for the demo.")
    }
  }

  private func validateValidation() throws {
    if validationFraction != nil, validationFile != nil {
      throw Failure(
        .usage,
        "--validation-fraction holds out a part of --train-file, and --validation-file names another; choose one.")
    }
    if earlyStoppingPatience != nil, validationFraction == nil, validationFile == nil {
      throw Failure(
        .usage, "--early-stopping-patience needs validation reviews: --validation-file or --validation-fraction.")
    }
  }

  /// What is built on other adapters has its setup only once they were opened.
  private func validateMethod() throws {
    guard languageAdapter != nil || !fuse.isEmpty else {
      if trainsAdapters { throw Failure(.usage, "--train-adapters needs --method fusion with --fuse.") }
      _ = try fineTuningMethod()
      return
    }
    let method = fuse.isEmpty ? "adapter" : "fusion"
    guard self.method == method || (self.method == "fusion" && fuse.isEmpty) else {
      throw Failure(
        .usage,
        "--\(fuse.isEmpty ? "language-adapter" : "fuse") needs --method \(fuse.isEmpty ? "adapter or fusion" : "fusion"), and --method is \(self.method)."
      )
    }
    if self.method == "fusion", fuse.count < 2 {
      throw Failure(
        .usage, "a fusion needs two adapters or more, and --fuse has \(fuse.count), as in --fuse ko=PATH,task=new.")
    }
    if trainsAdapters, fuse.isEmpty {
      throw Failure(.usage, "--train-adapters needs --method fusion with --fuse.")
    }
    for text in fuse { _ = try FuseMember(text) }
    if let languageAdapter { _ = try FuseMember(languageAdapter, option: "language-adapter") }
    _ = try methodOptions.adapter()
  }

  /// The fields that a resumed run may change: where it runs, how long, and what it says of itself.
  private static let changeable: Set<String> = [
    "output", "resume", "threads", "log_every", "checkpoint_every", "checkpoint_minutes",
    "keep_checkpoints", "epochs", "max_steps",
    "base", "train_file", "validation_file", "test_file", "language_adapter", "fuse", "vocabulary",
    "skip_nonfinite", "stall_timeout", "max_minutes", "shard_optimizer", "tensorboard",
  ]

  /// The fields that have to be as they were for a run to be resumed; files count by their content, not their names.
  /// - Returns: Each field under its name in `config.json`, as JSON.
  package func identity() throws -> [String: String] {
    try fields(of: self).filter { !TrainingConfiguration.changeable.contains($0.key) }
  }
}
