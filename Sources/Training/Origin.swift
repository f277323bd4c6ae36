internal import BERT
internal import Failures
internal import FineTuning
internal import Tensors

/// Where a model's numbers come from, on a rank that reads: files that go first, the base, or chance.
struct Origin {
  /// What goes before the base; the first that has a tensor is the one that counts.
  let sources: [any ParameterSource]
  /// The base.
  let base: Base
  /// Whether nothing may start at random.
  let needsAll: Bool
  /// What the model takes of the node's memory.
  let memory: ModelMemory

  /// Refuses a base that lacks tensors or has them in other shapes, and a model that no memory could hold.
  func check(_ table: ParameterTable) throws {
    let own = base.configuration.publishedNames
    for entry in table.entries {
      let (name, shape) = (entry.specification.name, entry.specification.shape)
      if let found = source(of: name)?.shape(name) {
        guard found != shape else { continue }
        throw Failure(
          .badContent,
          "the tensor \(name) has shape \(found), expected \(shape) for this base and these options; the two do not belong together."
        )
      }
      let isAdded = !own.contains(name)
      if !mayStartAtRandom(name, shape, isAdded: isAdded) {
        try base.require(name, shape: shape)
      } else if needsAll && !isIdle(name, table) || (isAdded && !entry.parameter.isTrainable) {
        throw missing(name, shape)
      }
    }
    try memory.check(table)
  }

  /// Whether nothing reads a parameter: the pooler of a model that names hidden tokens and tells no pairs.
  private func isIdle(_ name: String, _ table: ParameterTable) -> Bool {
    name.hasPrefix(HeadDesign.nextSentence.dense + ".") && table.entry(MaskedLanguageHead.bias) != nil
      && table.entry(HeadDesign.nextSentence.classifier + ".weight") == nil
  }

  private func missing(_ name: String, _ shape: [Int]) -> Failure {
    if name.hasPrefix("cls.") {
      return Failure(
        .badContent,
        "\(base.path) is a base, not a checkpoint, and has no head that names hidden tokens (\(name)) to be judged by; pass what train wrote, or pre-train it first."
      )
    }
    if HeadDesign.owns(name) {
      return Failure(
        .badContent,
        "no file brings the classification head (\(name)): the adapter came without one; train one on it first.")
    }
    return Failure(.badContent, "no file brings the tensor \(name); expected one of shape \(shape).")
  }

  /// Fills the trainable block.
  /// - Returns: The names of the parameters that no file brought, in the order of the table.
  func loadTrainable(_ store: ParameterStore, _ seed: UInt32) throws -> [String] {
    let own = base.configuration.publishedNames
    return try store.table.trainableEntries.filter { try !read($0, own, into: store[$0.parameter], store, seed) }
      .map(\.specification.name)
  }

  /// Fills what is frozen.
  /// - Parameters:
  ///   - store: Where it goes.
  ///   - seed: For what starts at random.
  ///   - merged: What a method added, folded into the weights before they are rounded.
  ///   - configuration: The base's shape.
  /// - Returns: The names of the parameters that no file brought though the model reads them, in the order of the table.
  /// - Throws: `Failure` when a file is damaged or lacks a tensor.
  func loadFrozen(
    _ store: ParameterStore, _ seed: UInt32, folding merged: Merged?, _ configuration: BERTConfiguration
  ) throws -> [String] {
    let own = base.configuration.publishedNames
    var absent: Set<String> = []
    func load(_ entry: ParameterTable.Entry, into values: Matrix) throws {
      let name = entry.specification.name
      if try !read(entry, own, into: values, store, seed), !isIdle(name, store.table) { absent.insert(name) }
    }
    let fold = try merged.flatMap { try Fold($0, configuration, self) }
    let frozen = store.table.entries.filter { !$0.parameter.isTrainable }
    // A weight is folded together with its bias.
    for entry in frozen where !entry.parameter.isOnlyRounded {
      try load(entry, into: store[entry.parameter])
    }
    for entry in frozen {
      try store.write(entry.parameter) { values in
        if entry.parameter.isOnlyRounded { try load(entry, into: values) }
        fold?.apply(to: entry, values, store)
      }
    }
    return frozen.map(\.specification.name).filter(absent.contains)
  }

  /// Reads a parameter, or starts it at random.
  /// - Returns: Whether a file brought it.
  private func read(
    _ entry: ParameterTable.Entry, _ own: Set<String>, into values: Matrix, _ store: ParameterStore, _ seed: UInt32
  ) throws -> Bool {
    let (name, shape) = (entry.specification.name, entry.specification.shape)
    let buffer = UnsafeMutableBufferPointer(start: values.base, count: entry.parameter.count)
    if let source = source(of: name) {
      try source.read(name, shape: shape, into: buffer)
    } else if mayStartAtRandom(name, shape, isAdded: !own.contains(name)) {
      store.fill(values, entry, seed: seed)
      return false
    } else {
      try base.read(name, shape: shape, into: buffer)
    }
    return true
  }

  /// What a method added, for it to be folded into weights as they are read.
  private final class Fold {
    private let method: any FineTuningMethod
    private let added: ParameterStore
    private let values: UnsafeMutablePointer<Float>

    /// Reads what was added; nil when nothing was.
    init?(_ merged: Merged, _ configuration: BERTConfiguration, _ origin: Origin) throws {
      let table = ParameterTable(try merged.original.addedParameters(configuration))
      guard table.trainableCount > 0 else { return nil }
      method = merged.original
      values = .allocate(capacity: table.trainableCount)
      added = ParameterStore(table: table, frozen: values, trainable: values)
      for entry in table.entries {
        let (name, shape) = (entry.specification.name, entry.specification.shape)
        guard let source = origin.source(of: name) else { throw origin.missing(name, shape) }
        try source.read(name, shape: shape, into: added.elements(name))
      }
    }

    deinit { values.deallocate() }

    /// Folds it into a weight.
    func apply(to entry: ParameterTable.Entry, _ weight: Matrix, _ store: ParameterStore) {
      guard let module = PublishedName.module(ofWeight: entry.specification.name) else { return }
      let bias = store.table.entry(module + ".bias").map { store[$0.parameter] }
      method.fold(into: BaseWeight(name: module, weight: weight, bias: bias), added)
    }
  }

  private func source(of name: String) -> (any ParameterSource)? { sources.first { $0.shape(name) != nil } }

  /// Whether a parameter starts at random when no file brings it: a head, what a method adds, everything in a base that
  /// is made up. A base without one of its encoder's tensors is damaged.
  private func mayStartAtRandom(_ name: String, _ shape: [Int], isAdded: Bool) -> Bool {
    if base.isRandom || isAdded { return true }
    if HeadDesign.owns(name) { return base.shape(name) != shape }
    if base.shape(name) != nil { return false }
    return !BERTConfiguration.isOfEncoder(name)
  }
}
