package import BERT
package import Collectives
internal import Failures
package import FineTuning
package import Tensors

/// The numbers of a model on this rank: the frozen block once per node, the trainable block in memory of its own.
package final class ModelState {
  /// How the base is fine-tuned.
  package let method: any FineTuningMethod
  /// The base's shape, with the run's own number of classes and dropout.
  package let configuration: BERTConfiguration
  /// The two blocks.
  package var store: ParameterStore { blocks.store }
  /// The parameters that the base does not bring: what a checkpoint has to hold beside the trained ones.
  package let absentFromBase: [ParameterTable.Entry]
  /// The trained parameters that nothing brought, on rank 0; none elsewhere.
  package let fresh: [String]
  /// The frozen parameters that nothing brought, on rank 0: they stay as they started, at random. None elsewhere.
  package let freshFrozen: [String]
  /// Why frozen weights are not shared within a node, if they are not.
  package var sharingNote: String? { blocks.note }
  /// Whether the frozen block is one copy for several ranks.
  package var isShared: Bool { blocks.isShared }

  private let blocks: ParameterBlocks

  /// Fills both blocks: one rank a node reads the frozen weights, rank 0 the trainable ones, which it sends to all.
  /// - Parameters:
  ///   - base: The base; on ranks that lead a node. Others pass nil.
  ///   - names: The names of the base's tensors, on every rank.
  ///   - configuration: The shape with the run's number of classes and dropout.
  ///   - method: How the base is fine-tuned.
  ///   - seed: For what starts at random.
  ///   - sources: What comes before the base, the first that has a tensor first: a checkpoint, adapters that were
  ///     trained before. On ranks that lead a node; others pass none.
  ///   - needsAll: Whether every parameter has to come from somewhere, so that nothing starts at random.
  ///   - training: How it will be trained, for an estimate of memory; nil when it will not.
  ///   - communicator: All ranks.
  /// - Throws: The same `Failure` on all ranks.
  package init(
    base: Base?, names: Set<String>, _ configuration: BERTConfiguration, _ method: any FineTuningMethod,
    seed: UInt32, sources: [any ParameterSource] = [], needsAll: Bool = false,
    training: ModelMemory.Training? = nil, _ communicator: Communicator
  ) throws {
    self.method = method
    self.configuration = configuration
    let table = try method.table(for: configuration)
    // Before memory is asked for: what is wrong with the sizes of a base may be absurdly wrong.
    let model = method.taskModel(configuration, table)
    let origin = base.map {
      Origin(
        sources: sources, base: $0, needsAll: needsAll,
        memory: ModelMemory(table, model, training: training, ranksOnNode: communicator.localSize))
    }
    try communicator.collectively(where: origin != nil) { try origin?.check(table) }
    absentFromBase = table.entries.filter { !names.contains($0.specification.name) }
    blocks = try ParameterBlocks(table, communicator)
    let store = blocks.store
    var absent: [String] = []
    try blocks.fillFrozen {
      absent = try origin?.loadFrozen($0, seed, folding: method as? Merged, configuration) ?? []
    }
    freshFrozen = communicator.isFirst ? absent : []
    fresh =
      try communicator.collectively(where: communicator.isFirst) {
        guard let origin else { return [] }
        let fresh = try origin.loadTrainable(store, seed)
        method.completeInitialization(of: Set(fresh), in: store)
        return fresh
      } ?? []
    try communicator.broadcast(blocks.trainable)
    store.refreshRounded()
  }

  /// Gives the frozen block back; collective.
  package func free() throws { try blocks.freeFrozen() }
}
