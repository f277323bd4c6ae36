internal import BERT
internal import Checkpoints
internal import Exchange
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
  /// Whether that head is one for the run's classes on BERT's own pooler.
  let headFits: Bool
  /// Whether the head is taken from here.
  var offersHead = false
  /// The base that it says it was trained on, such as `bert-base-multilingual-cased`.
  let baseName: String?
  /// Sentences for the person.
  let notices: [String]

  private let file: any ParameterSource
  /// Names in the file by the names in the run.
  private let names: [String: String]

  /// Opens an adapter and checks that it belongs to a base.
  /// - Parameters:
  ///   - path: A trained file of ours, or a folder of AdapterHub's library.
  ///   - given: What the run calls it; its own name when nil.
  ///   - base: The base.
  ///   - classCount: How many classes the run has; a head of another number is left alone.
  /// - Throws: `Failure` when it is missing, damaged, something else than an adapter, or of another base.
  init(opening path: String, as given: String?, _ base: SharedBase, classCount: Int) throws {
    let found = try isDirectory(path) ? AdapterSource.folder(path, base) : AdapterSource.file(path, base)
    guard let adapters = found.setup, let own = adapters.composition.names.last,
      let configuration = adapters.configurations[own]
    else {
      throw Failure(
        .badContent, "\(path) holds \(found.method), and only single adapters can be stacked and fused; name one.")
    }
    name = given ?? own
    self.configuration = configuration
    baseName = found.baseName
    notices = found.notices
    file = found.source
    var map: [String: String] = [:]
    for tensor in found.names {
      if let ours = AdapterNames.renamed(tensor, from: own, to: name) {
        map[ours] = tensor
      } else if HeadDesign.classifies(tensor) {
        map[tensor] = tensor
      }
    }
    names = map
    hasHead = map.keys.contains(where: HeadDesign.classifies)
    headFits = found.source.shape("classifier.weight") == [classCount, base.configuration.hiddenSize]
  }

  /// What was found at a path.
  private struct Found {
    let source: any ParameterSource
    let names: [String]
    let method: String
    /// Nil for what is not one adapter, or a stack with one at its top.
    let setup: AdapterSetup?
    var baseName: String?
    var notices: [String] = []
  }

  private static func file(_ path: String, _ base: SharedBase) throws -> Found {
    let trained = try TrainedFile(path)
    guard trained.base.sha256 == base.identity.sha256 else {
      throw Failure(
        .badContent,
        "the adapter \(path) was trained on the base \(trained.base.sha256.prefix(12))… (\(trained.configuration.base ?? "the demo")), and this run has \(base.identity.sha256.prefix(12))…; use adapters of one base."
      )
    }
    if let difference = trained.base.difference(from: base.identity) {
      throw Failure(
        .badContent,
        "\(difference) are not those that the adapter \(path) was trained with; pass the base as it was then."
      )
    }
    let method = try trained.configuration.fineTuningMethod()
    let file = try OpenTensorFile(path, as: [.model, .checkpoint])
    return Found(
      source: file, names: Array(file.shapes.keys), method: "what --method \(method.name) trained",
      setup: (method as? BottleneckAdapters)?.setup)
  }

  private static func folder(_ path: String, _ base: SharedBase) throws -> Found {
    let adapter = try ForeignAdapter(opening: path)
    try adapter.check(against: base.configuration)
    return Found(
      source: adapter, names: adapter.names, method: "an adapter for --method \(adapter.method)",
      setup: adapter.method == "adapter" ? adapter.options.adapters : nil, baseName: adapter.baseName,
      notices: adapter.notices)
  }

  /// The identity of its numbers, whatever it is called.
  func contentSHA256() throws -> String {
    try file.contentDigest(of: names.values.filter { !HeadDesign.classifies($0) })
  }

  func shape(_ name: String) -> [Int]? { inFile(name).flatMap(file.shape) }

  func read(_ name: String, shape: [Int], into values: UnsafeMutableBufferPointer<Float>) throws {
    guard let own = inFile(name) else { throw Failure(.badContent, "the adapter \(self.name) has no tensor \(name).") }
    try file.read(own, shape: shape, into: values)
  }

  private func inFile(_ name: String) -> String? {
    HeadDesign.classifies(name) && !offersHead ? nil : names[name]
  }
}
