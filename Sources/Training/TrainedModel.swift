internal import BERT
internal import Checkpoints
internal import Collectives
internal import Failures
internal import FineTuning
internal import FoundationEssentials
internal import Tensors

/// A checkpoint or `model.h5` over the base that it belongs to, in memory.
struct TrainedModel {
  /// How it was trained.
  let configuration: TrainingConfiguration
  /// The base.
  let shared: SharedBase
  /// The base's shape with the run's classes and dropout.
  let shape: BERTConfiguration
  /// The numbers.
  let model: ModelState
  /// The names of the tensors that the file brings.
  let fileNames: [String]

  /// Loads a trained file; collective.
  /// - Parameters:
  ///   - checkpoint: A checkpoint, `model.h5`, or a base.
  ///   - base: The base it belongs to; where it was trained from when nil.
  ///   - merged: Whether what a method added is folded into the weights, where the method can do that.
  ///   - maxLength: The longest review; as in training when nil.
  ///   - precision: What products are computed in; as in training when nil.
  ///   - communicator: All ranks.
  /// - Throws: The same `Failure` on all ranks: of kind `badContent` when it belongs to another base.
  init(
    checkpoint: String, base: String?, merged: Bool, maxLength: Int? = nil, precision: Precision? = .fp32,
    _ communicator: Communicator
  ) throws {
    let isBase = try communicator.collectively { try Base.isBase(checkpoint) }
    let trained = try communicator.collectively { isBase ? nil : try TrainedFile(checkpoint) }
    var configuration = trained?.configuration ?? TrainingConfiguration()
    if isBase { configuration.base = checkpoint }
    configuration.maxLength = maxLength ?? configuration.maxLength
    configuration.precision = precision ?? configuration.precision
    let computed = configuration.precision
    try communicator.collectively { try computed.check() }
    guard configuration.maxLength >= 3 else {
      throw Failure(.usage, "--max-length is \(configuration.maxLength), expected 3 or more.")
    }
    configuration.base = base ?? configuration.base
    let isGiven = base != nil
    let base = configuration.base
    try communicator.collectively(where: communicator.localRank == 0) {
      guard !isGiven, let base, !FileManager.default.fileExists(atPath: base) else { return }
      throw Failure(
        .noInput, "\(checkpoint) was trained on the base \(base), which is not there; say with --base where it is.")
    }
    shared = try SharedBase(configuration, communicator)
    if isBase { shared.describe(&configuration) }
    if isBase { configuration.maxLength = min(configuration.maxLength, shared.configuration.positionCount) }
    if let trained, shared.identity.sha256 != trained.base.sha256 {
      throw Failure(
        .badContent,
        "\(checkpoint) was trained on the base \(trained.base.sha256.prefix(12))…, but \(base ?? "the demo") is \(shared.identity.sha256.prefix(12))…; pass the base it belongs to with --base."
      )
    }
    if let trained, let difference = trained.base.difference(from: shared.identity) {
      throw Failure(
        .badContent,
        "\(difference) are not those that \(checkpoint) was trained with, though the tensors of \(base ?? "the demo") are; pass the base as it was then with --base."
      )
    }
    shape = try shared.configuration(configuration)
    let method = try configuration.fineTuningMethod()
    let isReader = shared.base != nil && !isBase
    let file = try communicator.collectively(where: isReader) {
      try OpenTensorFile(checkpoint, as: [.checkpoint, .model])
    }
    model = try ModelState(
      base: shared.base, names: shared.tensorNames, shape, merged && method.canMerge ? Merged(method) : method,
      seed: configuration.seed, sources: file.map { [$0] } ?? [], needsAll: true, communicator)
    self.configuration = configuration
    fileNames = trained?.tensorNames ?? []
  }

  /// The names of the classes, by their number: the run's, or the base's where it has as many classes; as Transformers
  /// calls them where nobody named them.
  var labels: [String] {
    let ofBase = shared.configuration.labels.flatMap { $0.count == shape.labelCount ? $0 : nil }
    return configuration.labels ?? ofBase ?? defaultLabels(shape.labelCount)
  }

  /// Whether the file brings no head and the base's is used.
  var usesHeadOfBase: Bool {
    !fileNames.isEmpty && shape.task == .classification && !fileNames.contains(where: HeadDesign.classifies)
  }
}

/// What Transformers calls classes that nobody named.
func defaultLabels(_ count: Int) -> [String] { (0..<count).map { "LABEL_\($0)" } }

extension SharedBase {
  /// What a base alone is: a classifier where it has a head for that, else a model that names hidden tokens.
  fileprivate func describe(_ configuration: inout TrainingConfiguration) {
    if tensorNames.contains("classifier.weight") {
      configuration.labelCount = self.configuration.labelCount
    } else {
      configuration.pretraining = PretrainingOptions()
    }
  }
}
