internal import Checkpoints
internal import Collectives
internal import Console
internal import Datasets
internal import FineTuning
internal import Kernels
internal import Tensors

/// What all ranks must mean alike: the program and its options before anything is read, what was read before anything
/// is computed of it.
enum RunAgreement {
  /// Compares the program and every option with rank 0's; collective.
  /// - Throws: `Failure` of kind `disagreement`, the same on all ranks, that names what differs.
  static func onOptions(_ run: TrainingConfiguration, _ communicator: Communicator) throws {
    try communicator.agree {
      var values = try fields(of: run)
      values["version"] = version
      // Two builds of a version may round differently, and ranks would drift apart.
      values["the program"] = try Digest.hex(ofFile: "/proc/self/exe")
      // Another library, or another processor's kernels, round differently.
      if run.deterministic { values["BLAS"] = blasDescription() }
      if run.precision == .bf16 { values["the library for bf16"] = RoundedProducts.identity }
      return values
    }
  }

  /// Says which ranks multiply with something else than rank 0, which is no mistake but may make all wait for the slowest;
  /// collective.
  /// - Throws: `Failure` when ranks cannot talk.
  static func onProducts(_ communicator: Communicator, _ screen: Screen) throws {
    let all = try communicator.allGather(Array(blasDescription().utf8)).map { String(decoding: $0, as: UTF8.self) }
    guard let first = all.first, let other = all.firstIndex(where: { $0 != first }) else { return }
    screen.warning(
      "rank 0 multiplies with \(first), rank \(other) with \(all[other]); all wait for the slower, so have the same on every machine."
    )
  }

  /// Who multiplies here, and with what.
  static func products(_ precision: Precision) -> String {
    let rounded = precision == .bf16 ? RoundedProducts.identity.map { "; in bfloat16 " + $0 } : nil
    return blasDescription() + (rounded ?? "")
  }

  /// Says that a run goes on where something else multiplies than before, and notes what does.
  static func onProducts(since state: inout RunState, _ precision: Precision, goesOn: Bool, _ screen: Screen) {
    let now = products(precision)
    if goesOn, let before = state.products, before != now {
      screen.warning(
        "up to step \(state.step) \(before) multiplied, from here on \(now): sums are rounded otherwise, so the end will not have the very bits that it would have had."
      )
    }
    state.products = now
  }

  /// Compares what was read, and what is trained, with rank 0's; collective.
  /// - Throws: `Failure` of kind `disagreement`, the same on all ranks, that names what differs.
  static func onContents(
    _ run: TrainingConfiguration, _ method: any FineTuningMethod, _ inputs: RunInputs, _ communicator: Communicator
  ) throws {
    try communicator.agree {
      // A node's leader has read a base of its own; others go by rank 0's.
      let base = try inputs.base?.identity ?? inputs.baseIdentity
      var values = ["the base": base.sha256]
      values["the base's vocabulary, tokenizer or config.json"] = base.form
      values["the training data"] = inputs.dataSHA256
      for (name, data) in [("the validation data", inputs.validation), ("the test data", inputs.test)] {
        values[name] = data.map { data in Digest.hex { data.hashContent($0) } }
      }
      for (name, sha256) in run.adapterSHA256 { values["the adapter \(name)"] = sha256 }
      let table = try method.table(for: inputs.configuration)
      let list = table.trainableEntries.map { "\($0.specification.name) \($0.specification.shape)\n" }.joined()
      values["the trained tensors"] = Digest.hex(of: Array(list.utf8))
      return values
    }
  }
}

extension Communicator {
  /// Makes values on every rank and compares them; a rank that cannot make its own fails all of them.
  fileprivate func agree(onWhat make: () throws -> [String: String]) throws {
    try agree(on: try collectively(make))
  }
}
