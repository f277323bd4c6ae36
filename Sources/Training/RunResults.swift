internal import Collectives
internal import Tensors

/// `results.json`: what a run came to.
package struct RunResults: Encodable {
  /// The figures of the last evaluation; nil when there was nothing to evaluate.
  package let evaluation: EvaluationEvent?
  /// The figures beside them.
  package let run: Figures
  /// The adapters that were trained for the run's fusion, each alone; or runs that this one is compared with.
  let singles: [SingleAdapterResults]

  /// The figures beside an evaluation's.
  package struct Figures: Encodable {
    let method: String
    let trainableParameters: Int
    let totalParameters: Int
    let worldSize: Int
    let threads: Int
    let allReduceBytesPerStep: Int
    /// Optimiser steps done.
    package let steps: Int
    let stepsAsked: Int
    let skippedSteps: Int
    /// The step whose model is the result, and how it did, where there are validation reviews.
    let bestStep: Int?
    let bestValidation: BestStep?
    let hasStoppedEarly: Bool
    /// How each epoch went.
    package let epochs: [EpochEvent]
    let peakRSSBytes: [Int]
    /// The proportional memory of each rank at its highest, and of the fullest node.
    let proportionalBytes: [Int]
    let nodeMemoryBytes: Int
    /// What each rank spent its time on, since the program was started.
    package let phases: [PhaseTimes]
    let baseSHA256: String
    let output: String

    private enum CodingKeys: String, CodingKey {
      case method, threads, steps, epochs, output, phases = "phase_seconds"
      case trainableParameters = "trainable_parameters", totalParameters = "total_parameters"
      case worldSize = "world_size", allReduceBytesPerStep = "all_reduce_bytes_per_step"
      case bestStep = "best_step", bestValidation = "best_validation", hasStoppedEarly = "stopped_early"
      case stepsAsked = "steps_asked", skippedSteps = "skipped_steps", peakRSSBytes = "peak_rss_bytes"
      case proportionalBytes = "pss_bytes", nodeMemoryBytes = "node_memory_bytes", baseSHA256 = "base_sha256"
    }
  }

  init(
    _ run: TrainingConfiguration, _ state: RunState, _ evaluation: EvaluationEvent?, _ inputs: RunInputs,
    _ model: ModelState, worldSize: Int, allReduceBytesPerStep: Int, peakResidentBytes: [Int],
    held: (ranks: [Int], node: Int), phases: [PhaseTimes], totalSteps: Int, singles: [SingleAdapterResults] = []
  ) {
    self.evaluation = evaluation
    self.singles = singles
    self.run = Figures(
      method: run.method, trainableParameters: model.store.table.trainableCount,
      totalParameters: model.store.table.count, worldSize: worldSize, threads: run.threads,
      allReduceBytesPerStep: allReduceBytesPerStep, steps: state.step, stepsAsked: totalSteps,
      skippedSteps: state.skippedSteps, bestStep: state.best?.step, bestValidation: state.best,
      hasStoppedEarly: state.hasStoppedEarly,
      epochs: state.epochs, peakRSSBytes: peakResidentBytes, proportionalBytes: held.ranks, nodeMemoryBytes: held.node,
      phases: phases, baseSHA256: inputs.baseIdentity.sha256, output: run.output)
  }

  /// The evaluation's figures and the run's, in one object.
  package func encode(to encoder: any Encoder) throws {
    try evaluation?.encode(to: encoder)
    try run.encode(to: encoder)
    guard !singles.isEmpty else { return }
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(singles, forKey: singles.allSatisfy(\.isAdapter) ? .singles : .compared)
  }

  private enum CodingKeys: String, CodingKey { case singles = "single_adapters", compared }
}

/// `config.json`: every resolved option, and what the run read and ran on.
struct StoredConfiguration: Codable {
  let run: TrainingConfiguration
  let base: BaseIdentity
  let dataSHA256: String
  let version: String
  let worldSize: Int

  private enum CodingKeys: String, CodingKey {
    case baseSHA256 = "base_sha256", baseForm = "base_form_sha256", dataSHA256 = "data_sha256"
    case version, worldSize = "world_size"
  }

  init(_ run: TrainingConfiguration, _ inputs: RunInputs, _ communicator: Communicator) {
    self.run = run
    base = inputs.baseIdentity
    dataSHA256 = inputs.dataSHA256
    version = Training.version
    worldSize = communicator.size
  }

  init(from decoder: any Decoder) throws {
    run = try TrainingConfiguration(from: decoder)
    let container = try decoder.container(keyedBy: CodingKeys.self)
    base = BaseIdentity(
      sha256: try container.decode(String.self, forKey: .baseSHA256),
      form: try container.decodeIfPresent(String.self, forKey: .baseForm))
    dataSHA256 = try container.decode(String.self, forKey: .dataSHA256)
    version = try container.decode(String.self, forKey: .version)
    worldSize = try container.decode(Int.self, forKey: .worldSize)
  }

  /// The options and what was read, in one object.
  func encode(to encoder: any Encoder) throws {
    try run.encode(to: encoder)
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(base.sha256, forKey: .baseSHA256)
    try container.encodeIfPresent(base.form, forKey: .baseForm)
    try container.encode(dataSHA256, forKey: .dataSHA256)
    try container.encode(version, forKey: .version)
    try container.encode(worldSize, forKey: .worldSize)
  }
}
