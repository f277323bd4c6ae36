internal import Checkpoints
internal import Failures
internal import FoundationEssentials
internal import Tensors

/// How far a run is: everything that is not a tensor and that going on depends on.
struct RunState: Codable, Equatable {
  /// Optimiser steps done.
  var step = 0
  /// The epochs that are done.
  var epochs: [EpochEvent] = []
  /// The sum of losses, and over how many their mean is, of reviews, tokens and training seconds within the epoch under
  /// way.
  var epochLoss = 0.0
  var epochTargets = 0
  var epochReviews = 0
  var epochTokens = 0
  var epochSeconds = 0.0
  /// The same since the last `step` event, so that the curve goes on where it was.
  var windowLoss = 0.0
  var windowTargets = 0
  /// The best validation, and the one that was before it.
  var best: BestStep?
  var bestBefore: BestStep?
  /// Which reviews they were found on.
  var validationSHA256: String?
  /// The step of the last validation.
  var validatedStep: Int?
  /// Validations since the best one.
  var worseValidations = 0
  /// Whether the run ended there because validation got no better (`--early-stopping-patience`).
  var hasStoppedEarly = false
  /// Steps whose loss or gradient was not finite, which changed nothing (`--skip-nonfinite`).
  var skippedSteps = 0
  /// Bytes that a rank handed to the sum of gradients in a step; nil in old checkpoints.
  var allReduceBytesPerStep: Int?
  /// Who multiplied, and with which kernels (`blasDescription`); nil in old checkpoints.
  var products: String?
  /// Over how many steps the learning rate was to go; nil in old checkpoints.
  var totalSteps: Int?
  /// Steps whose checkpoints were written because time had passed or the run stopped: they make room for others. Nil in
  /// old checkpoints and where there is none.
  var passingSteps: [Int]?

  /// Takes note of a checkpoint of this step.
  mutating func note(checkpointInPassing isPassing: Bool) {
    let others = (passingSteps ?? []).filter { $0 != step }
    // All but the newest are removed when the next one is written.
    let steps = (isPassing ? others + [step] : others).suffix(16)
    passingSteps = steps.isEmpty ? nil : Array(steps)
  }

  /// Whether a run of so many steps in all has any left.
  func goesOn(to totalSteps: Int) -> Bool { step < totalSteps && !hasStoppedEarly }
}

/// Writing and reading a run's checkpoints: trained tensors, moments, state and configuration in one verified file.
struct TrainingCheckpoint {
  let configuration: TrainingConfiguration
  let base: BaseIdentity
  let dataSHA256: String

  /// What training changes, where it lies: in the run's own memory or in a copy.
  struct Numbers {
    let store: ParameterStore
    let first: UnsafeMutableBufferPointer<Float>
    let second: UnsafeMutableBufferPointer<Float>
  }

  /// Publishes a checkpoint.
  /// - Throws: `Failure` when it cannot be written; what stood before stands.
  func write(
    to path: String, _ state: RunState, _ numbers: Numbers, _ absent: [ParameterTable.Entry]
  ) throws {
    let count = numbers.store.table.trainableCount
    let writer = try TensorFileWriter(
      to: path, .checkpoint, producer: producer, expectedByteCount: 12 * count, step: state.step)
    try describe(writer, numbers.store, absent)
    try writer.setJSON("run_state", Data(jsonText(state).utf8))
    try writer.describe(
      TensorSchema.firstMoment, "AdamW's running mean of the gradient, of the tensor of the same name")
    try writer.describe(
      TensorSchema.secondMoment,
      "AdamW's running mean of the squared gradient, of the tensor of the same name")
    for entry in numbers.store.table.trainableEntries {
      let (name, shape) = (entry.specification.name, entry.specification.shape)
      let range = entry.parameter.offset..<entry.parameter.offset + entry.parameter.count
      try writer.write(
        name, in: TensorSchema.firstMoment, shape: shape,
        UnsafeBufferPointer(rebasing: numbers.first[range]))
      try writer.write(
        name, in: TensorSchema.secondMoment, shape: shape,
        UnsafeBufferPointer(rebasing: numbers.second[range]))
    }
    _ = try writer.publish()
  }

  /// Publishes what was trained, alone.
  /// - Throws: `Failure` when it cannot be written; what stood before stands.
  func writeModel(to path: String, _ model: ModelState) throws {
    let writer = try TensorFileWriter(
      to: path, .model, producer: producer, expectedByteCount: 4 * model.store.table.trainableCount)
    try describe(writer, model.store, model.absentFromBase)
    _ = try writer.publish()
  }

  private func describe(
    _ writer: borrowing TensorFileWriter, _ store: ParameterStore, _ absent: [ParameterTable.Entry]
  ) throws {
    try writer.setJSON("configuration", Data(jsonText(configuration).utf8))
    try base.write(to: writer)
    try writer.setText("data_sha256", dataSHA256)
    try writer.describe(
      TensorSchema.tensors,
      "parameters under their published names; weights are [out, in], numbers have no unit")
    for entry in store.table.trainableEntries + absent.filter({ !$0.parameter.isTrainable }) {
      let (name, shape) = (entry.specification.name, entry.specification.shape)
      try store.withElements(entry.parameter) { try writer.write(name, shape: shape, $0) }
    }
  }

  /// Reads the moments and the state of a checkpoint; its tensors are read with the model.
  /// - Throws: `Failure` when the file is damaged.
  static func read(_ path: String, _ model: ModelState, _ optimizer: Optimizer) throws -> RunState {
    let file = try TensorFile(opening: path, as: [.checkpoint])
    for entry in model.store.table.trainableEntries {
      let (name, shape) = (entry.specification.name, entry.specification.shape)
      try optimizer.takeMoments(of: entry.parameter) { rows, first, second in
        for (group, values) in [(TensorSchema.firstMoment, first), (TensorSchema.secondMoment, second)] {
          if let rows {
            try file.read(name, in: group, rows: rows, into: values)
          } else {
            try file.read(name, in: group, shape: shape, into: values)
          }
        }
      }
    }
    return try file.decode(RunState.self, "run_state")
  }
}

/// What a trained file says of where it came from.
package struct TrainedFile {
  /// How it was trained.
  package let configuration: TrainingConfiguration
  /// The base that it belongs to.
  package let base: BaseIdentity
  /// The data that it was trained on.
  package let dataSHA256: String
  /// The names of its tensors.
  package let tensorNames: [String]

  /// Reads the description of a checkpoint or model file.
  /// - Throws: `Failure` when it is missing or damaged.
  package init(_ path: String) throws {
    let file = try TensorFile(opening: path, as: [.checkpoint, .model])
    configuration = try file.decode(TrainingConfiguration.self, "configuration")
    base = try BaseIdentity(of: file)
    dataSHA256 = try file.text("data_sha256")
    tensorNames = try file.entries().map(\.name)
  }
}

/// The program and its version, as files say who wrote them.
package let version = "0.1.0"
/// The program and its version, as files say who wrote them.
package let producer = "bert-ddp \(version)"
