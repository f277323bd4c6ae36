import Checkpoints
import Collectives
import Console
import Datasets
import FineTuning
import Kernels
import Metrics
import Tensors
import TestSupport
import Testing
import Training

/// Whole runs of every registered method, through the files that a person gets: what is saved is what was trained, and
/// going on from a checkpoint is as if nothing had been interrupted.
@Suite
struct MethodRunTests {
  struct Case: Sendable, CustomStringConvertible {
    let method: String
    var options = FineTuningOptions()
    var label = ""
    var precision = Precision.fp32
    var description: String { label.isEmpty ? method : "\(method) \(label)" }
  }

  /// Every registered method, and setups of several adapters. All of their adapters are trained here: frozen ones have
  /// to come from files.
  static let cases: [Case] = {
    var small = FineTuningOptions()
    (small.loraRank, small.prefixLength, small.prefixBottleneck) = (3, 4, 6)
    small.adapterReductionFactor = AdapterConfiguration.Reduction(4)
    func setup(_ method: String, _ composition: Composition) -> Case {
      var options = small
      var task = AdapterConfiguration.pfeiffer
      // Wide enough, and smooth, so that no bottleneck is dead.
      (task.reduction, task.activation) = (AdapterConfiguration.Reduction(4), .gelu)
      options.adapters = try? AdapterSetup(["ko": .language, "a": task, "b": task], composition)
      options.trainedAdapters = composition.names
      return Case(method: method, options: options, label: composition.description)
    }
    var list = FineTuningMethods.names.filter { $0 != "fusion" }.map { Case(method: $0, options: small) }
    var dora = small
    (dora.loraVariant, dora.loraTargets, dora.loraPlusRatio) = (.dora, ["all-linear"], 4)
    list.append(Case(method: "lora", options: dora, label: "dora, all-linear, LoRA+"))
    return list + [
      setup("adapter", .stack([.single("ko"), .single("a")])), setup("fusion", .fuse(["a", "b"])),
      setup("fusion", .stack([.single("ko"), .fuse(["a", "b"])])),
    ]
  }()

  @Test func everyMethodHasACase() {
    #expect(Set(Self.cases.map(\.method)) == Set(FineTuningMethods.names))
    #expect(Self.cases.allSatisfy { $0.method != "fusion" || $0.options.adapters != nil })
  }

  /// Seven steps of sixteen reviews over three epochs of forty: the third step ends an epoch with a short batch.
  private static func configuration(_ test: Case, _ files: TinyBase, _ output: String) -> TrainingConfiguration {
    var run = TrainingConfiguration()
    (run.base, run.trainFile, run.testFile) = (files.base, files.trainFile, files.testFile)
    (run.method, run.methodOptions, run.output) = (test.method, test.options, output)
    (run.maxLength, run.globalBatchSize, run.epochs, run.maxSteps) = (24, 16, 3, 7)
    (run.learningRate, run.weightDecay, run.checkpointEvery, run.keepCheckpoints) = (5e-3, 0.01, 2, 100)
    run.precision = test.precision
    return run
  }

  private static func train(_ configuration: TrainingConfiguration) throws -> RunResults {
    try #require(try TrainingStages.train(configuration, Communicator(program: "tests"), .silent()))
  }

  /// The tensors of a trained file, bit by bit, in each of its groups.
  private static func bits(_ path: String) throws -> [String: [UInt32]] {
    let file = try TensorFile(opening: path)
    var found: [String: [UInt32]] = [:]
    for group in [TensorSchema.tensors, TensorSchema.firstMoment, TensorSchema.secondMoment]
    where file.hasGroup(group) {
      for entry in try file.entries(group) {
        var values = [Float](repeating: .nan, count: entry.count)
        try values.withUnsafeMutableBufferPointer { try file.read(entry.name, in: group, into: $0) }
        found["\(group)/\(entry.name)"] = values.map(\.bitPattern)
      }
    }
    return found
  }

  /// Methods that have weights in every form: trained, frozen, scaled by rows, frozen below adapters.
  private static let roundedCases = cases.filter { ["full", "lora", "fusion"].contains($0.method) }.map {
    var test = $0
    (test.precision, test.label) = (.bf16, "bf16 \($0.label)")
    return test
  }

  @Test(
    .enabled(if: RoundedProducts.obstacle == nil, "needs oneDNN and a processor with AVX512-BF16 or AMX"),
    arguments: roundedCases)
  func savedAndGoneOnWithInBFloat16(_ test: Case) throws { try savedAndGoneOnWith(test) }

  /// A short training in bfloat16 has the losses of the same in floats. A loss is off by at most the share that a pass
  /// is (`RoundedModelTests`), 12 · 2⁻⁹, and by what the weights have moved apart: the gradients are off by twice that
  /// share, and AdamW's first steps are as long whatever a gradient's length, so the same again is allowed.
  @Test(
    .enabled(if: RoundedProducts.obstacle == nil, "needs oneDNN and a processor with AVX512-BF16 or AMX"),
    arguments: ["full", "lora"])
  func bfloat16TrainsAlike(_ method: String) throws {
    try withTemporaryDirectory { directory in
      let files = try TinyBase(in: directory)
      var test = Case(method: method)
      var losses: [Precision: [Double]] = [:]
      for precision in Precision.allCases {
        test.precision = precision
        var run = Self.configuration(test, files, directory.path("\(precision)"))
        (run.epochs, run.maxSteps, run.checkpointEvery, run.dropout) = (10, nil, nil, 0)
        let results = try Self.train(run)
        losses[precision] = results.run.epochs.map(\.loss)
      }
      let (exact, rounded) = (try #require(losses[.fp32]), try #require(losses[.bf16]))
      #expect(exact.count == 10 && exact[9] < exact[0] - 0.01, "it trains: \(exact)")
      #expect(exact != rounded, "nothing was rounded")
      expectClose(rounded, exact, relative: 24 * 0x1p-9, method)
    }
  }

  @Test(arguments: cases)
  func savedAndGoneOnWith(_ test: Case) throws {
    try withTemporaryDirectory { directory in
      let files = try TinyBase(in: directory)
      let whole = Self.configuration(test, files, directory.path("whole"))
      let results = try Self.train(whole)
      let evaluation = try #require(results.evaluation?.summary)
      let model = try Self.bits(directory.path("whole/model.h5"))

      // Saved and loaded, beside the weights: the same logits, so the same losses, to the last bit.
      let loaded = try Inference(
        checkpoint: directory.path("whole/model.h5"), basePath: nil, merged: false, threads: 1, maxLength: nil,
        Communicator(program: "tests"), .silent())
      let again = try #require(try loaded.evaluate(Dataset.labelled(path: files.testFile, classCount: 2), name: "test"))
      try loaded.close()
      #expect(again.summary == evaluation)

      // From the middle of the first epoch and of the second: tensors, moments and figures as in one go.
      for step in [2, 4] {
        var rest = Self.configuration(test, files, directory.path("from \(step)"))
        rest.resume = directory.path("whole/checkpoint-\(step).h5")
        let resumed = try Self.train(rest)
        #expect(resumed.evaluation?.summary == evaluation)
        for name in ["model.h5", "checkpoint-6.h5", "checkpoint-7.h5"] {
          let (found, expected) = (
            try Self.bits(directory.path("from \(step)/\(name)")), try Self.bits(directory.path("whole/\(name)"))
          )
          #expect(found.keys.sorted() == expected.keys.sorted())
          for (tensor, values) in expected where found[tensor] != values {
            Issue.record("from step \(step), \(name): \(tensor) differs")
          }
        }
      }
      // A checkpoint is not yet what it is to become: what was compared above moved. The bias of a fusion's key has no
      // gradient, as all scores of a token rise by the same.
      let early = try Self.bits(directory.path("whole/checkpoint-2.h5"))
      for (tensor, values) in model where !tensor.hasSuffix("key.bias") {
        #expect(early[tensor] != values, "\(tensor) moved")
      }
    }
  }

  /// What a trained file holds: the trained tensors under their names, no more, so little for a small method.
  @Test(arguments: cases)
  func content(_ test: Case) throws {
    try withTemporaryDirectory { directory in
      let files = try TinyBase(in: directory)
      var run = Self.configuration(test, files, directory.path("run"))
      (run.maxSteps, run.testFile) = (1, nil)
      _ = try Self.train(run)
      let file = try TensorFile(opening: directory.path("run/model.h5"))
      let method = try run.fineTuningMethod()
      let shape = try SharedBase(files.base, Communicator(program: "tests")).configuration
      let table = try method.table(for: shape)
      #expect(try file.entries().map(\.name) == table.trainableEntries.map(\.specification.name))
      #expect(try file.entries().map(\.shape) == table.trainableEntries.map(\.specification.shape))
      #expect(try TrainedFile(directory.path("run/model.h5")).configuration.methodOptions == test.options)
    }
  }
}
