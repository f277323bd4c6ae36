package import BERT
internal import Checkpoints
package import Collectives
internal import Failures
package import FineTuning
internal import Glibc
package import Tensors

/// The numbers of a model on this rank: the frozen block once per node, the trainable block in memory of its own.
package final class ModelState {
  /// How the base is fine-tuned.
  package let method: any FineTuningMethod
  /// The base's shape, with the run's own number of classes and dropout.
  package let configuration: BERTConfiguration
  /// The two blocks.
  package let store: ParameterStore
  /// The parameters that the base does not bring: what a checkpoint has to hold beside the trained ones.
  package let absentFromBase: [ParameterTable.Entry]
  /// Why frozen weights are not shared within a node, if they are not.
  package var sharingNote: String? { window.note }
  /// Whether the frozen block is one copy for several ranks.
  package var isShared: Bool { window.isShared }

  private let window: SharedWindow<Float>
  private let trainable: UnsafeMutableBufferPointer<Float>

  /// Fills both blocks: one rank a node reads the frozen weights, rank 0 the trainable ones, which it sends to all.
  /// - Parameters:
  ///   - base: The base; on ranks that lead a node. Others pass nil.
  ///   - names: The names of the base's tensors, on every rank.
  ///   - configuration: The shape with the run's number of classes and dropout.
  ///   - method: How the base is fine-tuned.
  ///   - seed: For what starts at random.
  ///   - overlay: A checkpoint or model file whose tensors come before the base's; nil to start from the base.
  ///   - communicator: All ranks.
  /// - Throws: The same `Failure` on all ranks.
  package init(
    base: Base?, names: Set<String>, _ configuration: BERTConfiguration, _ method: any FineTuningMethod,
    seed: UInt32, overlay: String? = nil, _ communicator: Communicator
  ) throws {
    self.method = method
    self.configuration = configuration
    let table = try method.table(for: configuration)
    // Before memory is asked for: what is wrong with the sizes of a base may be absurdly wrong.
    try communicator.collectively(where: base != nil) { if let base { try ModelState.check(table, base) } }
    absentFromBase = table.entries.filter { !names.contains($0.specification.name) }
    window = try SharedWindow<Float>(count: max(1, table.frozenCount), on: communicator)
    trainable = .allocate(capacity: max(1, table.trainableCount))
    trainable.initialize(repeating: 0)
    guard let trainableStart = trainable.baseAddress, let frozenStart = window.pointer.baseAddress else {
      throw Failure(.other, "no memory for \(table.count) parameters")
    }
    store = ParameterStore(
      table: table, frozen: UnsafeMutablePointer(mutating: frozenStart), trainable: trainableStart)

    try window.fill { memory in
      guard let base, let start = memory.baseAddress else { return }
      let store = ParameterStore(table: table, frozen: start, trainable: trainableStart)
      _ = try ModelState.load(store, trainable: false, base, seed, overlay)
      if let merged = method as? Merged, let overlay {
        try ModelState.fold(merged, configuration, into: store, overlay)
      }
    }
    try communicator.collectively(where: communicator.isFirst) {
      guard let base else { return }
      let fresh = try ModelState.load(store, trainable: true, base, seed, overlay)
      method.completeInitialization(of: fresh, in: store)
    }
    try communicator.broadcast(trainable)
  }

  deinit { trainable.deallocate() }

  /// Gives the frozen block back; collective.
  package func free() throws { try window.free() }

  /// Refuses a base that lacks tensors or has them in other shapes, and a model that no memory could hold.
  private static func check(_ table: ParameterTable, _ base: Base) throws {
    let own = ownNames(base)
    for entry in table.entries {
      let (name, shape) = (entry.specification.name, entry.specification.shape)
      if !mayStartAtRandom(name, in: base, shape, isAdded: !own.contains(name)) {
        try base.require(name, shape: shape)
      }
    }
    // Weights once; gradients and two moments for what is trained.
    let needed = 4 * (table.count + 3 * table.trainableCount)
    let present = sysconf(Int32(_SC_PHYS_PAGES)) * sysconf(Int32(_SC_PAGESIZE))
    guard needed <= present else {
      throw Failure(
        .other,
        "\(table.trainableCount) trained of \(table.count) parameters take \(needed >> 30) GiB a rank, but this machine has \(present >> 30) GiB; choose a smaller model or a smaller --lora-rank."
      )
    }
  }

  /// - Returns: The names of the parameters that neither file brought.
  private static func load(
    _ store: ParameterStore, trainable: Bool, _ base: Base, _ seed: UInt32, _ overlay: String?
  ) throws -> Set<String> {
    var fresh: Set<String> = []
    let own = ownNames(base)
    let overlay = try overlay.map { try OpenTensorFile($0, as: [.checkpoint, .model]) }
    let overlaid = Set(try overlay?.file.entries().map(\.name) ?? [])
    for entry in store.table.entries where entry.parameter.isTrainable == trainable {
      let name = entry.specification.name
      let values = store.elements(name)
      let shape = entry.specification.shape
      if overlaid.contains(name), let overlay {
        try overlay.file.read(name, shape: shape, into: values)
      } else if mayStartAtRandom(name, in: base, shape, isAdded: !own.contains(name)) {
        store.initialize(entry, seed: seed)
        fresh.insert(name)
      } else {
        try base.read(name, shape: shape, into: values)
      }
    }
    return fresh
  }

  /// The names that a base of this shape has, whatever a method adds.
  private static func ownNames(_ base: Base) -> Set<String> {
    Set(base.configuration.parameters { _ in false }.map(\.name))
  }

  /// Whether a parameter starts at random when the base does not bring it: a head, what a method adds, everything in a
  /// base that is made up. A base without one of its encoder's tensors is damaged.
  private static func mayStartAtRandom(_ name: String, in base: Base, _ shape: [Int], isAdded: Bool) -> Bool {
    if base.isRandom || isAdded { return true }
    if HeadDesign.owns(name) { return base.shape(name) != shape }
    if base.shape(name) != nil { return false }
    return !(name.hasPrefix("bert.embeddings.") || name.hasPrefix("bert.encoder."))
  }

  /// Folds what a method added into the weights that were just read.
  private static func fold(
    _ merged: Merged, _ configuration: BERTConfiguration, into store: ParameterStore, _ overlay: String
  ) throws {
    let table = ParameterTable(try merged.original.addedParameters(configuration))
    guard table.trainableCount > 0 else { return }
    let values = UnsafeMutablePointer<Float>.allocate(capacity: table.trainableCount)
    defer { values.deallocate() }
    let added = ParameterStore(table: table, frozen: values, trainable: values)
    let file = try OpenTensorFile(overlay, as: [.checkpoint, .model])
    for entry in table.entries {
      let name = entry.specification.name
      try file.file.read(name, shape: entry.specification.shape, into: added.elements(name))
    }
    for entry in store.table.entries where entry.specification.name.hasSuffix(".weight") {
      let module = String(entry.specification.name.dropLast(".weight".count))
      let bias = store.table.entry(module + ".bias").map { store[$0.parameter] }
      merged.original.fold(
        into: BaseWeight(name: module, weight: store[entry.parameter], bias: bias), added)
    }
  }
}
