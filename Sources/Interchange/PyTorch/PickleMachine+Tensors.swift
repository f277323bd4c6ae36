internal import Failures

extension PickleMachine {
  /// The result of a known function; arguments that say nothing about numbers are ignored.
  mutating func call(_ function: PickleGlobal, _ arguments: [PickleValue]) throws -> PickleValue {
    switch function {
    case .orderedDictionary:
      guard arguments.count <= 1 else { throw failure("OrderedDict has too many arguments") }
      guard let pairs = arguments.first else { return try newDictionary() }
      guard let pairs = elements(pairs) else { throw failure("OrderedDict needs a list of pairs") }
      return try newDictionary(pairs)
    case .rebuildTensor, .rebuildTensorV2: return try rebuildTensor(arguments)
    case .rebuildParameter:
      guard case .tensor(let index)? = arguments.first else { throw failure("a parameter needs a tensor") }
      return .tensor(index)
    case .storageType: throw failure("a storage is made inside the pickle: refused")
    }
  }

  /// `_rebuild_tensor_v2(storage, offset, size, stride, requires_grad, backward_hooks[, metadata])`; the
  /// oldest form has the first four only.
  private mutating func rebuildTensor(_ arguments: [PickleValue]) throws -> PickleValue {
    guard arguments.count >= 4, case .storage(let storage) = arguments[0],
      case .int(let offset) = arguments[1],
      let shape = sizes(arguments[2]), let strides = sizes(arguments[3]), shape.count == strides.count
    else { throw failure("the description of a tensor is malformed") }
    try reserve(1 + shape.count + strides.count)
    tensors.append(PickledTensor(storage: storage, offset: offset, shape: shape, strides: strides))
    return .tensor(tensors.count - 1)
  }

  private func sizes(_ value: PickleValue) -> [Int]? {
    guard let elements = elements(value), elements.count <= TensorEntry.maximumDimensions else { return nil }
    var sizes: [Int] = []
    for case .int(let size) in elements { sizes.append(size) }
    return sizes.count == elements.count ? sizes : nil
  }

  /// The storage that a persistent identifier names: `("storage", type, key, location, count)`, and in old
  /// files a sixth part, nil or `(view key, offset, count)`.
  mutating func storage(_ identifier: PickleValue) throws -> PickleValue {
    guard let parts = elements(identifier), parts.count == 5 || parts.count == 6,
      case .string("storage") = parts[0], case .global(.storageType(let element)) = parts[1],
      case .string(let key) = parts[2], case .int(let count) = parts[4], count >= 0,
      !count.multipliedReportingOverflow(by: 8).overflow
    else { throw failure("the description of a storage is malformed") }
    var view = 0..<count
    if parts.count == 6, let viewParts = elements(parts[5]) {
      guard viewParts.count == 3, case .int(let start) = viewParts[1],
        case .int(let viewCount) = viewParts[2],
        start >= 0, viewCount >= 0, start <= count, viewCount <= count - start
      else { throw failure("the description of a storage is malformed") }
      view = start..<(start + viewCount)
    }
    try reserve(1)
    storages.append(PickledStorage(key: key, element: element, elementCount: count, view: view))
    return .storage(storages.count - 1)
  }
}
