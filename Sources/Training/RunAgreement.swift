internal import Checkpoints
internal import Collectives
internal import Datasets
internal import FineTuning
internal import Kernels
internal import Tensors

/// What all ranks must mean alike before they train: options, base, data, program, and what is trained.
struct RunAgreement {
  private let run: TrainingConfiguration
  private let method: any FineTuningMethod
  private let inputs: RunInputs

  init(_ run: TrainingConfiguration, _ method: any FineTuningMethod, _ inputs: RunInputs) {
    (self.run, self.method, self.inputs) = (run, method, inputs)
  }

  /// Compares with rank 0; collective.
  /// - Parameters:
  ///   - from: The checkpoint to go on from.
  ///   - communicator: All ranks.
  /// - Throws: `Failure` of kind `disagreement`, the same on all ranks, that names what differs.
  func check(from: String?, on communicator: Communicator) throws {
    var values = try run.identity()
    values["base"] = inputs.baseSHA256
    values["training data"] = inputs.dataSHA256
    for (name, data) in [("validation data", inputs.validation), ("test data", inputs.test)] {
      values[name] = data.map { data in Digest.hex { data.hashContent($0) } }
    }
    for (name, value) in [
      ("epochs", run.epochs), ("steps", run.maxSteps), ("checkpoint-every", run.checkpointEvery),
      ("skip-nonfinite", run.skipNonfinite), ("threads", run.threads),
    ] {
      values[name] = value.map { "\($0)" } ?? "none"
    }
    values["checkpoint"] = from ?? ""
    values["version"] = version
    let table = try method.table(for: inputs.configuration)
    let list = table.trainableEntries.map { "\($0.specification.name) \($0.specification.shape)\n" }.joined()
    values["trained tensors"] = Digest.hex(of: Array(list.utf8))
    // Another processor's kernels round differently.
    if run.deterministic { values["BLAS"] = blasDescription() }
    if run.precision == .bf16 { values["bf16 products"] = RoundedProducts.description }
    try communicator.agree(on: values)
  }
}
