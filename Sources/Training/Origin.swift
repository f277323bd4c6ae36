internal import BERT
internal import Failures
internal import FineTuning
internal import Glibc
internal import Tensors

/// Where a model's numbers come from, on a rank that reads: files that go first, the base, or chance.
struct Origin {
  /// What goes before the base; the first that has a tensor is the one that counts.
  let sources: [any ParameterSource]
  /// The base.
  let base: Base
  /// Whether nothing may start at random.
  let needsAll: Bool
  /// How many threads a rank has, each with gradients and activations of its own.
  let threads: Int
  /// What a pass of a thread keeps in memory at least.
  let activationBytes: Int

  /// Refuses a base that lacks tensors or has them in other shapes, and a model that no memory could hold.
  func check(_ table: ParameterTable) throws {
    let own = ownNames
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
    // Weights once; two moments for what is trained; gradients and activations for each thread.
    let needed = 4 * (table.count + (2 + threads) * table.trainableCount) + threads * activationBytes
    let present = sysconf(Int32(_SC_PHYS_PAGES)) * sysconf(Int32(_SC_PAGESIZE))
    guard needed <= present else {
      throw Failure(
        .other,
        "\(table.trainableCount) trained of \(table.count) parameters, with \(activationBytes >> 20) MiB of activations for each of \(threads) threads, take \(needed >> 30) GiB a rank, but this machine has \(present >> 30) GiB; choose a smaller model, fewer --threads or a smaller --lora-rank."
      )
    }
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
        "\(base.path) has no head that names hidden tokens (\(name)): it came without one; pre-train it first.")
    }
    if HeadDesign.owns(name) {
      return Failure(
        .badContent,
        "no file brings the classification head (\(name)): the adapter came without one; train one on it first.")
    }
    return Failure(.badContent, "no file brings the tensor \(name); expected one of shape \(shape).")
  }

  /// Fills one of the blocks.
  /// - Returns: The names of the parameters that no file brought, in the order of the table.
  func load(_ store: ParameterStore, trainable: Bool, _ seed: UInt32) throws -> [String] {
    var fresh: [String] = []
    let own = ownNames
    for entry in store.table.entries where entry.parameter.isTrainable == trainable {
      let (name, shape) = (entry.specification.name, entry.specification.shape)
      if let source = source(of: name) {
        try source.read(name, shape: shape, into: store.elements(name))
      } else if mayStartAtRandom(name, shape, isAdded: !own.contains(name)) {
        store.initialize(entry, seed: seed)
        fresh.append(name)
      } else {
        try base.read(name, shape: shape, into: store.elements(name))
      }
    }
    return fresh
  }

  /// Folds what a method added into the weights that were just read.
  func fold(_ merged: Merged, _ configuration: BERTConfiguration, into store: ParameterStore) throws {
    let table = ParameterTable(try merged.original.addedParameters(configuration))
    guard table.trainableCount > 0 else { return }
    let values = UnsafeMutablePointer<Float>.allocate(capacity: table.trainableCount)
    defer { values.deallocate() }
    let added = ParameterStore(table: table, frozen: values, trainable: values)
    for entry in table.entries {
      let (name, shape) = (entry.specification.name, entry.specification.shape)
      guard let source = source(of: name) else { throw missing(name, shape) }
      try source.read(name, shape: shape, into: added.elements(name))
    }
    for entry in store.table.entries where entry.specification.name.hasSuffix(".weight") {
      let module = String(entry.specification.name.dropLast(".weight".count))
      let bias = store.table.entry(module + ".bias").map { store[$0.parameter] }
      merged.original.fold(
        into: BaseWeight(name: module, weight: store[entry.parameter], bias: bias), added)
    }
  }

  private func source(of name: String) -> (any ParameterSource)? { sources.first { $0.shape(name) != nil } }

  /// The names that a base of this shape can have, whatever a method adds.
  private var ownNames: Set<String> {
    var names: Set<String> = []
    for task in [ModelTask.classification, .maskedLanguage(nextSentence: true)] {
      var shape = base.configuration
      shape.task = task
      names.formUnion(shape.parameters { _ in false }.map(\.name))
    }
    return names
  }

  /// Whether a parameter starts at random when no file brings it: a head, what a method adds, everything in a base that
  /// is made up. A base without one of its encoder's tensors is damaged.
  private func mayStartAtRandom(_ name: String, _ shape: [Int], isAdded: Bool) -> Bool {
    if base.isRandom || isAdded { return true }
    if HeadDesign.owns(name) { return base.shape(name) != shape }
    if base.shape(name) != nil { return false }
    return !(name.hasPrefix("bert.embeddings.") || name.hasPrefix("bert.encoder."))
  }
}
