internal import CMPI
internal import Failures
internal import Glibc

/// Values that all ranks of a node read and of which the node holds one copy: the frozen weights.
///
/// One rank of each node fills it; then the memory is write-protected. Where shared memory is too small every rank has
/// a copy of its own, and `note` says so. The corresponding C function is `MPI_Win_allocate_shared`.
package final class SharedWindow<Element: BitwiseCopyable> {
  /// The values, at the start of a page.
  package private(set) var pointer: UnsafeBufferPointer<Element>
  /// How many values there are.
  package let count: Int
  /// Whether the node's ranks read the same memory.
  package let isShared: Bool
  /// Why some node does not share although it has several ranks, and the cure; the same on all ranks.
  package let note: String?

  private let communicator: Communicator
  private let memory: NodeMemory
  private var number = 0

  /// Makes room for values that are all zero until `fill`.
  /// - Parameters:
  ///   - count: How many values, the same on all ranks.
  ///   - communicator: All ranks; each node's ranks share.
  ///   - availableBytes: What shared memory has room for; asked of the system unless a test says otherwise.
  /// - Throws: `Failure` on all ranks when there is no memory at all.
  package init(count: Int, on communicator: Communicator, availableBytes: Int? = nil) throws {
    let bytes = count * MemoryLayout<Element>.stride
    memory = try NodeMemory(bytes: bytes, on: communicator, availableBytes: availableBytes)
    pointer = UnsafeBufferPointer(rebasing: memory.pages.bindMemory(to: Element.self)[..<count])
    self.count = count
    isShared = memory.isShared
    note = memory.note
    self.communicator = communicator
    number = communicator.adopt(memory.free)
  }

  /// Writes the values: the work runs on one rank of each node, all ranks return when every node has its values.
  /// - Parameter work: Gets all values; it calls no collectives.
  /// - Throws: The same `Failure` on all ranks when the work failed anywhere.
  package func fill(_ work: (UnsafeMutableBufferPointer<Element>) throws -> Void) throws {
    try memory.fill(on: communicator, bytes: count * MemoryLayout<Element>.stride) { try work(places) }
  }

  /// The values for writing without `fill`, where they come one by one: each place has one rank that writes it, and other
  /// ranks read it only after a collective in which both took part.
  package var places: UnsafeMutableBufferPointer<Element> {
    UnsafeMutableBufferPointer(rebasing: memory.pages.bindMemory(to: Element.self)[..<count])
  }

  /// Gives the memory back; at the end of the job that happens by itself.
  package func free() throws {
    guard let free = communicator.openWindows.removeValue(forKey: number) else { return }
    pointer = UnsafeBufferPointer(start: nil, count: 0)
    try free()
  }
}
