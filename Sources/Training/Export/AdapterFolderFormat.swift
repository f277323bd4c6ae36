internal import BERT
internal import Checkpoints
internal import Collectives
internal import Exchange
internal import Failures
internal import FineTuning
internal import Tensors

/// A folder of an adapter and its head, for PEFT or AdapterHub's library: the base is not in it.
struct AdapterFolderFormat: ExportFormat {
  private let format: any AdapterFormat

  /// The library.
  enum Library {
    case peft
    case adapterHub
  }

  init(_ library: Library) {
    format =
      switch library {
      case .peft: PEFTFormat()
      case .adapterHub: AdapterHubFormat()
      }
  }

  var name: String { format.name }
  /// The numbers are the same to the last bit; scales may be rounded once more.
  let tolerance: Float = 1e-6
  let holdsBases = false

  func check(_ trained: TrainedModel) throws { try format.check(outgoing(trained, baseName: nil)) }

  func write(_ source: ExportSource, to output: String, _ communicator: Communicator) throws -> Int {
    let adapter = try outgoing(source.trained, baseName: source.baseName)
    let count = try communicator.shared { [Int64(try format.write(adapter, to: output))] }
    return count.first.map { Int($0) } ?? 0
  }

  /// Every rank opens the folder, as every rank needs to know the method.
  func readBack(
    _ output: String, _ source: ExportSource, _ communicator: Communicator
  ) throws -> ModelState {
    let shared = source.trained.shared
    let (adapter, method) = try communicator.collectively {
      let adapter = try ForeignAdapter(opening: output)
      try adapter.check(against: shared.configuration)
      return (adapter, try FineTuningMethods.method(named: adapter.method, adapter.options))
    }
    var shape = adapter.configuration(on: shared.configuration)
    shape.task = source.trained.shape.task
    // The head of pre-training is no part of the folder.
    let head = try communicator.collectively(where: shared.base != nil && shape.task != .classification) {
      try OpenTensorFile(source.checkpoint, as: [.checkpoint, .model])
    }
    let own = head.map { OnlyHead(file: $0) }
    return try ModelState(
      base: shared.base, names: shared.tensorNames, shape, method, seed: 1,
      sources: shared.base == nil ? [] : [adapter] + (own.map { [$0] } ?? []), needsAll: true, communicator)
  }

  private func outgoing(_ trained: TrainedModel, baseName: String?) throws -> OutgoingAdapter {
    let (method, table) = (trained.model.method, trained.model.store.table)
    let added = Set(try method.addedParameters(trained.shape).map(\.name))
    let replaced = trained.fileNames.filter { name in
      guard let entry = table.entry(name), !added.contains(name), !HeadDesign.owns(name) else { return false }
      // What pre-training leaves idle is not the adapter's, nor its own head.
      if trained.shape.task != .classification, name.hasPrefix("bert.pooler.") || name.hasPrefix("cls.") {
        return false
      }
      return !entry.parameter.isTrainable
    }
    return OutgoingAdapter(
      method, trained.shape, labels: trained.labels, baseName: baseName, replaced: replaced, trained.model.store)
  }
}

/// Of a trained file what is not the adapter's: the head of pre-training, and what the base lacks.
private struct OnlyHead: ParameterSource {
  let file: OpenTensorFile

  func shape(_ name: String) -> [Int]? { name.contains("adapters.") ? nil : file.shape(name) }

  func read(_ name: String, shape: [Int], into values: UnsafeMutableBufferPointer<Float>) throws {
    try file.read(name, shape: shape, into: values)
  }
}
