import ArgumentParser
import BERT
import Collectives
import Console
import Failures
import FineTuning
import FoundationEssentials
import Glibc
import Tensors
import Training

extension Precision: ExpressibleByArgument {}
extension LearningRateSchedule.Shape: ExpressibleByArgument {}
extension LoRA.Bias: ExpressibleByArgument {}
extension LoRA.Variant: ExpressibleByArgument {}

/// What is trained on what.
struct DataOptions: ParsableArguments {
  @Option(help: "HDF5 base or Hugging Face directory.")
  var base: String?
  @Option(help: "Labelled reviews to train on: TSV with a header, or JSONL.")
  var trainFile: String?
  @Option(help: "Labelled reviews that are evaluated after each epoch.")
  var validationFile: String?
  @Option(help: "Hold out this share of the training file for validation instead.")
  var validationFraction: Double?
  @Option(
    help:
      "Labelled reviews that the result is measured on; without reviews to validate on it is so after each epoch, or every --evaluate-every steps."
  )
  var testFile: String?
  @Option(help: "Column or key of the text.")
  var textColumn = "document"
  @Option(help: "Column or key of a second text, for sentence pairs.")
  var textPairColumn: String?
  @Option(help: "Column or key of the label.")
  var labelColumn = "label"
  @Option(help: "How many classes there are.")
  var numLabels = 2
  @Option(help: "Longest review, in tokens (default: 128, or the base's positions if fewer).")
  var maxLength: Int?
}

/// How it is trained.
struct OptimizerOptions: ParsableArguments {
  @Option(help: "How often every review is seen (default: 4; the demo: 3 or 12; pretrain: 1).")
  var epochs: Int?
  @Option(help: "AdamW's epsilon (default: 1e-8; pretrain: 1e-6).")
  var adamEpsilon: Double?
  @Option(help: "AdamW's decay of the first moment.")
  var adamBeta1 = 0.9
  @Option(help: "AdamW's decay of the second moment (default: 0.999; pretrain: 0.98).")
  var adamBeta2: Double?
  @Option(help: "Decoupled weight decay on all but biases and normalisations (default: 0; pretrain: 0.01).")
  var weightDecay: Double?
  @Option(help: "Largest global gradient norm; 0 for no limit.")
  var maxGradNorm = 1.0
  @Option(help: "What the rate does after warm-up.")
  var lrSchedule = LearningRateSchedule.Shape.linear
  @Option(help: "Share of the steps over which the rate rises.")
  var warmupRatio = 0.06
  @Option(help: "Reviews of a pass, over all ranks (default: 32; pretrain: 256).")
  var globalBatchSize: Int?
  @Option(help: "Passes to an optimiser step.")
  var accumulationSteps = 1
  @Option(help: "End after so many steps.")
  var maxSteps: Int?
  @Option(help: "Override the base's dropout probabilities.")
  var dropout: Float?
}

/// What a single run has one of and a comparison several.
struct SingleRunOptions: ParsableArguments {
  @Option(help: "Train on the first N of a seeded shuffle.")
  var trainLimit: Int?
  @Option(help: "Learning rate at its highest (default: the method's own; pretrain: 1e-3, from a base 1e-4).")
  var learningRate: Double?
  @Option(help: "What every random number depends on.")
  var seed: UInt32 = 1
  @Option(help: "Go on from a checkpoint: auto, never, or its path.")
  var resume = "never"
  @Flag(help: "Print every option as YAML that --config reads, and end.")
  var printConfig = false
  // For studies.
  @Option(help: .hidden)
  var untimedSteps: Int?
  @Flag(help: .hidden)
  var noCheckpoints = false
}

/// The fine-tuning method.
struct MethodChoice: ParsableArguments {
  @Option(
    help:
      "Fine-tuning method: \(FineTuningMethods.names.joined(separator: ", ")). (default: full; the demo compares \(EmbeddedDemo.methods.joined(separator: " and ")))"
  )
  var method: String?
}

/// The options of the fine-tuning methods.
struct MethodOptions: ParsableArguments {
  @Option(help: "LoRA's inner dimension.")
  var loraRank = 16
  @Option(help: "LoRA's alpha (default: twice the inner dimension).")
  var loraAlpha: Double?
  @Option(help: "Dropout on the input of LoRA's update.")
  var loraDropout: Float = 0.1
  @Option(help: "Modules that get an update, by published name, or all-linear.")
  var loraTargets = "query,value"
  @Option(help: "Biases trained beside the updates: none, lora_only or all.")
  var loraBias = LoRA.Bias.none
  @Option(help: "How the update enters: standard, rslora, dora or adapterhub-dora.")
  var loraVariant = LoRA.Variant.standard
  @Option(help: "LoRA+: what B's learning rate is multiplied by.")
  var loraPlusRatio: Float = 1
  @Option(help: "Layers that get an update, counted from 0, such as 0-3,7 (default: all).")
  var loraLayers: LayerList?
  @Option(help: "Positions of prefix tuning's prefix.")
  var prefixLength = 30
  @Option(help: "Inner width of the network that makes the prefix.")
  var prefixBottleneck = 512
  @Option(
    help:
      "An adapter's configuration: pfeiffer, houlsby, parallel, scaled_parallel or pfeiffer+inv; what differs in AdapterHub's keys, as in pfeiffer[ln_after=true]."
  )
  var adapterConfig = "pfeiffer"
  @Option(
    help:
      "Hidden size divided by an adapter's bottleneck; layer by layer as in 16,0=8,3=4 (default: the configuration's own)."
  )
  var adapterReductionFactor: AdapterConfiguration.Reduction?
  @Option(help: "An adapter's non-linearity: relu, gelu, gelu_new, swish or tanh (default: the configuration's own).")
  var adapterActivation: String?
  @Option(help: "Layers without an adapter, counted from 0, such as 0-3,7 (default: none).")
  var adapterLeaveOut: LayerList?
  @Option(help: "A trained adapter below the new one or the fusion, as PATH or NAME=PATH.")
  var languageAdapter: String?
  @Option(
    help: "Adapters to fuse, separated by commas: PATH, NAME=PATH, or NAME=new for one that is trained first.")
  var fuse: String?
  @Option(help: "What holds a fusion's value matrices near the identity; 0 for nothing.")
  var fusionRegularization: Float = 0.01
  @Flag(help: "Train the fused adapters that come with a head too, beside the fusion and the head.")
  var trainAdapters = false

  /// Options that have another value than by default although a method does not read them.
  /// - Parameter method: What `--method` calls it.
  /// - Returns: Their names without dashes; whose they are the beginning of a name tells.
  func withoutEffect(in method: String) -> [String] {
    let readers = [
      "lora-": ["lora"], "prefix-": ["prefix-tuning"], "adapter-": ["adapter", "fusion"], "fusion-": ["fusion"],
    ]
    guard let standard = try? MethodOptions.parse([]) else { return [] }
    return zip(PrintedConfiguration.values(of: self), PrintedConfiguration.values(of: standard)).compactMap {
      given, usual in
      let reader = readers.first { given.name.hasPrefix($0.key) }?.value
      return given.value == usual.value || reader?.contains(method) != false ? nil : given.name
    }
  }

  var fineTuning: FineTuningOptions {
    var options = FineTuningOptions()
    options.loraRank = loraRank
    options.loraAlpha = loraAlpha
    options.loraDropout = loraDropout
    options.loraTargets = loraTargets.split(separator: ",").map(String.init)
    options.loraBias = loraBias
    options.loraVariant = loraVariant
    options.loraPlusRatio = loraPlusRatio
    options.loraLayers = loraLayers?.layers
    options.prefixLength = prefixLength
    options.prefixBottleneck = prefixBottleneck
    options.adapterConfiguration = adapterConfig
    options.adapterReductionFactor = adapterReductionFactor
    options.adapterActivation = adapterActivation
    options.adapterLeaveOut = adapterLeaveOut?.layers ?? []
    options.fusionRegularization = fusionRegularization
    return options
  }
}

/// Numbers of layers as a person writes them: single ones and ranges, `0-3,7`.
struct LayerList: ExpressibleByArgument {
  let layers: [Int]

  init?(argument: String) {
    var layers: Set<Int> = []
    for part in argument.split(separator: ",", omittingEmptySubsequences: false) {
      let ends = part.split(separator: "-", omittingEmptySubsequences: false).map { Int($0) }
      // No BERT has a thousand layers; the limit keeps a slip from filling memory.
      guard (1...2).contains(ends.count), let first = ends[0], let last = ends[ends.count - 1],
        first >= 0, first <= last, last < 1000
      else { return nil }
      layers.formUnion(first...last)
    }
    self.layers = layers.sorted()
  }
}

/// An adapter's reduction as a person writes it: one number, numbers by layer, or both, `16,0=8,3=4`.
extension AdapterConfiguration.Reduction: ExpressibleByArgument {
  /// Reads one; nil when it is none, or has a layer or the number for all others twice.
  public init?(argument: String) {
    self.init(nil)
    for part in argument.split(separator: ",", omittingEmptySubsequences: false) {
      let sides = part.split(separator: "=", omittingEmptySubsequences: false)
      guard (1...2).contains(sides.count), let factor = Double(sides[sides.count - 1]) else { return nil }
      if sides.count == 1 || sides[0] == "default" {
        guard standard == nil else { return nil }
        standard = factor
      } else {
        guard let layer = Int(sides[0]), layer >= 0, byLayer.updateValue(factor, forKey: layer) == nil else {
          return nil
        }
      }
    }
  }
}

/// Where it runs and what it writes.
struct RunOptions: ParsableArguments {
  @Option(help: "Run directory (default: a new one under runs/).")
  var output: String?
  @Option(help: "Steps between further checkpoints; one is written after each epoch in any case.")
  var checkpointEvery: Int?
  @Option(help: "Minutes after which a checkpoint is written in any case; 0 for never (default: 15).")
  var checkpointMinutes: Double?
  @Option(help: "Steps between evaluations (default: after each epoch).")
  var evaluateEvery: Int?
  @Option(help: "End after so many validations in a row without a better one: accuracy, of equals the loss.")
  var earlyStoppingPatience: Int?
  @Flag(help: "Write an event file for TensorBoard, in the run directory.")
  var tensorboard = false
  @Option(help: "How many checkpoints stay, beside the newest of those by --checkpoint-minutes and at a stop.")
  var keepCheckpoints = 2
  @Option(help: "Threads a rank.")
  var threads = 1
  @Option(help: "Steps between lines of metrics.jsonl.")
  var logEvery = 50
  @Option(help: "fp32, or bf16 for weights and inputs of matrix products.")
  var precision = Precision.fp32
  @Flag(help: "The same bits on any number of ranks and threads.")
  var deterministic = false
  @Flag(inversion: .prefixedNo, help: "Share AdamW's moments and work out over ranks: the same bits, less of both.")
  var shardOptimizer = true
  @Flag(help: "Keep what the frozen layers below all that is trained make of a review; no dropout in them.")
  var cacheFrozen = false
  @Option(help: "Leave out up to N steps whose loss or gradient is not finite.")
  var skipNonfinite = 0
  @Option(help: "End the job after so many seconds without progress; 0 for never.")
  var stallTimeout = 600
  @Option(help: "Stop with a checkpoint before so many minutes are over.")
  var maxMinutes: Double?
  // Taken out before the arguments are parsed; it stands here for the help.
  @Option(help: "Options in YAML, such as \"method: lora\"; one on the command line wins.")
  var config: String?
  @Flag(help: "A Chrome trace for each rank in the run directory: trace-RANK.json.")
  var trace = false
  @Flag(help: "What each rank does, in a file of its own in the run directory: log-RANK.txt.")
  var logRanks = false

  /// A new directory has nothing to go on from.
  /// - Throws: `Failure` of kind `usage`.
  func check(_ single: SingleRunOptions) throws {
    guard single.resume == "auto", output == nil else { return }
    throw Failure(.usage, "--resume auto needs --output: the directory to go on in.")
  }

  /// How a run is gone on with: by name, where its directory was made up.
  func resumeAdvice(_ directory: String) -> String {
    (output == nil ? "--output \(directory) " : "") + "--resume auto"
  }

  /// The run directory that was asked for, or a new one.
  func directory(_ prefix: String) -> String { output ?? RunOptions.newDirectory(prefix) }

  /// A directory that no other run has: a name and the time, to the second, in UTC.
  static func newDirectory(_ prefix: String) -> String {
    var seconds = time(nil)
    var parts = tm()
    gmtime_r(&seconds, &parts)
    func two(_ value: Int32) -> String { value < 10 ? "0\(value)" : "\(value)" }
    let day = "\(parts.tm_year + 1900)\(two(parts.tm_mon + 1))\(two(parts.tm_mday))"
    let name = "runs/\(prefix)-\(day)-\(two(parts.tm_hour))\(two(parts.tm_min))\(two(parts.tm_sec))"
    var candidate = name
    var number = 2
    while FileManager.default.fileExists(atPath: candidate) {
      candidate = "\(name)-\(number)"
      number += 1
    }
    return candidate
  }
}

/// What is said.
struct ScreenOptions: ParsableArguments {
  @Flag(help: "Say only warnings, errors and results.")
  var quiet = false
  @Flag(help: "Print the result as JSON on standard output; people's output goes to standard error.")
  var json = false

  /// Opens the screen of the first rank; the others have none.
  /// - Parameters:
  ///   - communicator: All ranks.
  ///   - isPiped: Whether standard output is not people's; as `--json` says when left out.
  /// - Returns: The screen, a silent one on other ranks.
  func opened(on communicator: Communicator, json isPiped: Bool? = nil) -> Screen {
    communicator.isFirst ? Screen(quiet: quiet, json: isPiped ?? json) : Screen.silent()
  }
}
