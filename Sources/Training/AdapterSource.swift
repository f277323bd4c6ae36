internal import BERT
internal import Checkpoints
internal import Failures
internal import FineTuning
internal import Tensors

/// One trained bottleneck adapter, whoever wrote it, under the name that a run gives it.
struct AdapterSource: ParameterSource {
  /// What the run calls it.
  let name: String
  /// How it is built.
  let configuration: AdapterConfiguration
  /// Whether it was trained on a task and brings that task's head.
  let hasHead: Bool
  /// Whether the head is taken from here.
  var offersHead = false

  private let file: any ParameterSource
  /// Names in the file by the names in the run.
  private let names: [String: String]

  /// Opens a trained file that holds an adapter, and checks that it belongs to a base.
  /// - Throws: `Failure` when it is missing, damaged, something else than an adapter, or of another base.
  init(opening path: String, as given: String?, _ base: SharedBase) throws {
    let trained = try TrainedFile(path)
    let setup = try AdapterSource.setup(of: trained, path)
    guard let own = setup.composition.names.last, let configuration = setup.configurations[own] else {
      throw Failure(.badContent, "\(path) has no adapter.")
    }
    guard trained.baseSHA256 == base.sha256 else {
      throw Failure(
        .badContent,
        "the adapter \(path) was trained on the base \(trained.baseSHA256.prefix(12))… (\(trained.configuration.base ?? "the demo")), and this run has \(base.sha256.prefix(12))…; use adapters of one base."
      )
    }
    let file = try OpenTensorFile(path, as: [.model, .checkpoint])
    self.init(
      as: given ?? own, configuration, file, from: own, names: Array(file.shapes.keys),
      classCount: base.configuration.labelCount)
  }

  private init(
    as name: String, _ configuration: AdapterConfiguration, _ file: any ParameterSource, from own: String,
    names: [String], classCount: Int
  ) {
    self.name = name
    self.configuration = configuration
    self.file = file
    var map: [String: String] = [:]
    for found in names {
      guard let ours = AdapterNames.renamed(found, from: own, to: name) else {
        if HeadDesign.owns(found) { map[found] = found }
        continue
      }
      map[ours] = found
    }
    self.names = map
    hasHead = map.keys.contains(where: HeadDesign.owns)
  }

  private static func setup(of trained: TrainedFile, _ path: String) throws -> AdapterSetup {
    let method = try trained.configuration.fineTuningMethod()
    guard let adapter = method as? BottleneckAdapters else {
      throw Failure(
        .badContent, "\(path) was trained by --method \(method.name), and only adapters can be stacked and fused.")
    }
    return adapter.setup
  }

  /// The identity of its numbers, whatever it is called.
  func contentSHA256() throws -> String {
    try file.contentDigest(of: names.values.filter { !HeadDesign.owns($0) })
  }

  func shape(_ name: String) -> [Int]? { inFile(name).flatMap(file.shape) }

  func read(_ name: String, shape: [Int], into values: UnsafeMutableBufferPointer<Float>) throws {
    guard let own = inFile(name) else { throw Failure(.badContent, "the adapter \(self.name) has no tensor \(name).") }
    try file.read(own, shape: shape, into: values)
  }

  private func inFile(_ name: String) -> String? {
    HeadDesign.owns(name) && !offersHead ? nil : names[name]
  }
}
