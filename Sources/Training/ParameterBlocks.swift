package import Collectives
internal import Failures
internal import Glibc
package import Tensors

/// Memory for the numbers of a model: what is frozen once per node, what is trained on every rank.
package final class ParameterBlocks {
  /// The numbers; what is frozen can be read only.
  package let store: ParameterStore
  /// The trainable block.
  package let trainable: UnsafeMutableBufferPointer<Float>
  /// Whether what is frozen is one copy for several ranks.
  package var isShared: Bool { window.isShared }
  /// Why it is not, if some node has several ranks.
  package var note: String? { window.note }

  /// Floats, then bfloat16, then transposed copies of some, where there is room.
  private let window: SharedWindow<UInt8>
  private let copies: UnsafeMutableBufferPointer<Float>

  /// Memory for a table, all zero; collective.
  /// - Throws: The same `Failure` on all ranks when there is none.
  package init(_ table: ParameterTable, _ communicator: Communicator) throws {
    let floatBytes = (4 * table.frozenCount + 63) & ~63
    let ownBytes = (floatBytes + 2 * table.roundedCount + 63) & ~63
    let isRounded = table.roundedCount > 0 || table.groups.contains { $0.precision == .bf16 }
    var window = try SharedWindow<UInt8>(count: max(1, ownBytes + table.transposeBytes), on: communicator)
    var hasTransposes = table.transposeBytes > 0
    if hasTransposes, window.note != nil {
      // Rather one copy for a node without them than one for each rank with them.
      try window.free()
      window = try SharedWindow<UInt8>(count: max(1, ownBytes), on: communicator)
      hasTransposes = false
    }
    self.window = window
    trainable = try zeroedFloats(table.trainableCount)
    // A page of it is there once something is rounded to it.
    copies = try zeroedFloats(isRounded ? (table.trainableCount + 1) / 2 : 0)
    guard let frozen = window.pointer.baseAddress, let trainableStart = trainable.baseAddress,
      let copiesStart = copies.baseAddress
    else { throw Failure(.other, "no memory for \(table.count) parameters") }
    let start = UnsafeMutableRawPointer(mutating: frozen)
    let rounded = RoundedBlocks(
      frozen: (start + floatBytes).bindMemory(to: BFloat16.self, capacity: table.roundedCount),
      trainable: UnsafeMutableRawPointer(copiesStart).bindMemory(to: BFloat16.self, capacity: table.trainableCount))
    store = ParameterStore(
      table: table, frozen: start.bindMemory(to: Float.self, capacity: table.frozenCount), trainable: trainableStart,
      rounded: isRounded ? rounded : nil,
      transposes: hasTransposes ? start + ownBytes : nil)
  }

  deinit {
    free(trainable.baseAddress)
    free(copies.baseAddress)
  }

  /// Writes what is frozen: the work runs on one rank of each node, and calls no collectives.
  /// - Throws: The same `Failure` on all ranks when the work failed anywhere.
  package func fillFrozen(_ work: (ParameterStore) throws -> Void) throws {
    try window.fill { _ in
      try work(store)
      store.writeTransposes()
    }
  }

  /// Gives the frozen block back; collective.
  package func freeFrozen() throws { try window.free() }
}
