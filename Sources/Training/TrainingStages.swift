package import Collectives
package import Console
internal import Failures

/// A run with the runs that it needs first: what `--fuse NAME=new` names is trained before it is fused.
package enum TrainingStages {
  /// Trains every new adapter in a run directory of its own below the run's, then the run itself; collective.
  /// - Parameters:
  ///   - configuration: Every option.
  ///   - communicator: All ranks.
  ///   - screen: What rank 0 shows; silent on others.
  /// - Returns: The results of the run on rank 0, with those of the single adapters beside them.
  /// - Throws: The same `Failure` on all ranks.
  package static func train(
    _ configuration: TrainingConfiguration, _ communicator: Communicator, _ screen: Screen
  ) throws -> RunResults? {
    var run = configuration
    try run.validate()
    try RunAgreement.onOptions(run, communicator)
    var singles: [SingleAdapterResults] = []
    let new = try run.fuse.enumerated().filter { try FuseMember($0.element).path == nil }
    if !new.isEmpty {
      try refuseUsed(run, communicator)
      try AdapterSources.check(run, communicator)
    }
    for (stage, (index, text)) in new.enumerated() {
      let name = try FuseMember(text).name ?? ""
      let adapter = single(run, name)
      screen.line("stage \(stage + 1) of \(new.count + 1): the adapter \(name)")
      if let results = try TrainingRun(adapter, communicator, screen).train() {
        singles.append(SingleAdapterResults(name: name, results: results))
      }
      run.fuse[index] = "\(name)=\(adapter.output)/model.h5"
      screen.line()
    }
    if !new.isEmpty { screen.line("stage \(new.count + 1) of \(new.count + 1): the fusion") }
    return try TrainingRun(run, communicator, screen).train(beside: singles)
  }

  /// Trains one run after another and shows the results of all in the last one's table; collective.
  /// - Parameters:
  ///   - configurations: Every option of each run.
  ///   - communicator: All ranks.
  ///   - screen: What rank 0 shows; silent on others.
  /// - Returns: The results of the last run on rank 0, with those of the others beside them.
  /// - Throws: The same `Failure` on all ranks.
  package static func train(
    _ configurations: [TrainingConfiguration], _ communicator: Communicator, _ screen: Screen
  ) throws -> RunResults? {
    guard let last = configurations.last else { return nil }
    guard configurations.count > 1 else { return try train(last, communicator, screen) }
    var others: [SingleAdapterResults] = []
    for (number, run) in configurations.dropLast().enumerated() {
      screen.line("run \(number + 1) of \(configurations.count): \(run.method)")
      if let results = try TrainingRun(run, communicator, screen).train() {
        others.append(SingleAdapterResults(name: run.method, isAdapter: false, results: results))
      }
      screen.line()
    }
    screen.line("run \(configurations.count) of \(configurations.count): \(last.method)")
    return try TrainingRun(last, communicator, screen).train(beside: others)
  }

  /// The run of one adapter: the same options, but for those of the fusion.
  private static func single(_ run: TrainingConfiguration, _ name: String) -> TrainingConfiguration {
    var adapter = run
    adapter.method = "adapter"
    (adapter.fuse, adapter.trainsAdapters) = ([], false)
    // The rate asked for is the fusion's; a single adapter has a default of its own.
    if run.base != nil { adapter.learningRate = nil }
    adapter.output = run.output + "/" + name
    adapter.resume = run.resume == "never" ? "never" : "auto"
    return adapter
  }

  /// Learning that the directory is taken after hours of training its adapters would be too late, as would be what
  /// `AdapterSources.check` finds.
  private static func refuseUsed(_ run: TrainingConfiguration, _ communicator: Communicator) throws {
    try communicator.collectively(where: communicator.isFirst) {
      guard run.resume == "never", RunFiles(directory: run.output).has("config.json") else { return }
      throw Failure(
        .disagreement,
        "the run directory \(run.output) holds a run already; go on with --resume auto, or choose another --output.")
    }
  }
}

/// The figures of an adapter alone, which stand beside those of the fusion it went into, or of another run that the last
/// one is compared with.
struct SingleAdapterResults: Encodable {
  /// What the fusion calls it, or the other run's method.
  let name: String
  /// Whether it is an adapter that went into the run.
  var isAdapter = true
  let results: RunResults

  private enum CodingKeys: String, CodingKey { case name }

  /// The run's figures, with the adapter's name.
  func encode(to encoder: any Encoder) throws {
    try results.encode(to: encoder)
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(name, forKey: .name)
  }
}
