internal import Failures

/// Files that `torch.save` writes: a pickle that describes tensors as views of storages, and the storages.
///
/// The two forms (zip since PyTorch 1.6, a plain stream before) differ in where pickle and storages lie.
package enum PyTorchFile {
  /// The tensors that a pickle describes, each checked against its storage.
  /// - Parameters:
  ///   - machine: The machine that has read the pickle.
  ///   - file: The file, for size and messages.
  ///   - wrappers: Keys under which the state dictionary may lie.
  ///   - locate: Where the bytes of a storage lie.
  /// - Returns: The tensors by name.
  /// - Throws: `Failure(.badContent)` when there are no tensors or one does not lie inside its storage.
  static func archive(
    _ machine: PickleMachine, file: InputFile, wrappers: [String],
    locate: (PickledStorage) throws -> Range<Int>
  ) throws -> TensorArchive {
    var tensors: [StoredTensor] = []
    for (name, index) in try namedTensors(machine, file: file, wrappers: wrappers) {
      let tensor = machine.tensors[index]
      let storage = machine.storages[tensor.storage]
      let context = "\(file.path.quoted): the tensor \(name.quoted)"
      guard let entry = TensorEntry(checking: name, element: storage.element, shape: tensor.shape) else {
        throw Failure(.badContent, "\(context) is too large to exist")
      }
      guard let first = firstElement(of: tensor, entry: entry, in: storage) else {
        throw Failure(
          .badContent,
          """
          \(context) of shape \(tensor.shape) and strides \(tensor.strides) \
          does not fit in its storage of \(storage.view.count) numbers
          """)
      }
      let bytes = try locate(storage)
      guard bytes.count >= storage.elementCount * storage.element.byteCount else {
        throw Failure(.badContent, "\(context) is cut short: its storage has \(bytes.count) bytes")
      }
      // A dimension of one element is never stepped along, whatever its stride claims.
      let strides = zip(tensor.shape, tensor.strides).map { $0 > 1 ? $1 : 0 }
      tensors.append(
        StoredTensor(
          entry: entry, file: file, offset: bytes.lowerBound + first * storage.element.byteCount,
          strides: isContiguous(tensor) ? nil : strides))
    }
    try checkTotal(tensors, of: file)
    return try TensorArchive(path: file.path, tensors: tensors)
  }

  /// The names and indices of the tensors in the state dictionary.
  private static func namedTensors(
    _ machine: PickleMachine, file: InputFile, wrappers: [String]
  ) throws -> [(String, Int)] {
    func tensors(_ value: PickleValue) -> [(String, Int)] {
      (machine.members(value) ?? []).compactMap { member in
        guard case .string(let name) = member.key, case .tensor(let index) = member.value else { return nil }
        return (name, index)
      }
    }
    let members = machine.members(machine.root) ?? []
    let dictionaries = members.compactMap { member -> (name: String, value: PickleValue)? in
      guard case .string(let name) = member.key, case .dictionary = member.value else { return nil }
      return (name, member.value)
    }
    if let wrapped = dictionaries.first(where: { wrappers.contains($0.name) }) {
      return tensors(wrapped.value)
    }
    let direct = tensors(machine.root)
    if case .dictionary = machine.root, !direct.isEmpty || members.isEmpty { return direct }
    // The first few only: a forged file can name one large dictionary a million times.
    let nested = dictionaries.prefix(8).filter { !tensors($0.value).isEmpty }.map(\.name.quoted)
    let hint =
      nested.isEmpty
      ? "save model.state_dict()"
      : "its tensors lie under \(nested.joined(separator: ", ")); save that part alone"
    throw Failure(.badContent, "\(file.path.quoted) is not a dictionary of tensors: \(hint)")
  }

  /// The first element of a tensor in its storage; nil when some element would lie outside.
  private static func firstElement(
    of tensor: PickledTensor, entry: TensorEntry, in storage: PickledStorage
  ) -> Int? {
    guard tensor.offset >= 0, tensor.strides.allSatisfy({ $0 >= 0 }) else { return nil }
    guard entry.elementCount > 0 else { return storage.view.lowerBound }
    var last = tensor.offset
    for (size, stride) in zip(tensor.shape, tensor.strides) {
      let (distance, overflow) = (size - 1).multipliedReportingOverflow(by: stride)
      let (next, overflowToo) = last.addingReportingOverflow(distance)
      guard !overflow, !overflowToo else { return nil }
      last = next
    }
    return last < storage.view.count ? storage.view.lowerBound + tensor.offset : nil
  }

  /// Whether the numbers lie in row-major order without gaps.
  private static func isContiguous(_ tensor: PickledTensor) -> Bool {
    if tensor.shape.contains(0) { return true }
    var expected = 1
    for (size, stride) in zip(tensor.shape, tensor.strides).reversed() where size > 1 {
      guard stride == expected else { return false }
      expected *= size
    }
    return true
  }

  /// Refuses files whose views repeat a little data so often that the tensors would fill the memory.
  private static func checkTotal(_ tensors: [StoredTensor], of file: InputFile) throws {
    var total = 0
    for tensor in tensors {
      total = total.addingReportingOverflow(tensor.entry.byteCount).partialValue
      guard total >= 0, total <= 2 * file.byteCount + 1 << 21 else {
        throw Failure(
          .badContent,
          """
          \(file.path.quoted) has \(file.byteCount) bytes, \
          but its tensors are views that would take more than twice that
          """
        )
      }
    }
  }
}
