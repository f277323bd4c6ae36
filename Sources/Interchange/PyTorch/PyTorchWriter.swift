internal import Failures

extension PyTorchFile {
  /// Writes what `torch.save(dictionary)` writes: a zip file that `torch.load(weights_only=True)` reads.
  /// - Parameters:
  ///   - tensors: What to write: names, element types (floating point) and shapes, in the order of the
  ///     dictionary.
  ///   - path: Where to; what stands there stays until the new file is complete.
  ///   - source: Gives the numbers of one tensor at a time.
  /// - Throws: `Failure(.cannotWrite)` when writing fails or the file would take 4 GiB, and what `source`
  ///   throws.
  package static func write(_ tensors: [TensorEntry], to path: String, source: TensorSource) throws {
    precondition(Set(tensors.map(\.name)).count == tensors.count, "two tensors have the same name")
    let byteCount = tensors.reduce(1 << 16) { $0 + $1.byteCount + 1024 + 3 * $1.name.utf8.count }
    guard byteCount < 1 << 32, tensors.count < 65_000 else {
      throw Failure(
        .cannotWrite,
        "\(path.quoted) would take 4 GiB or have 65,000 tensors, too many for a zip file; write safetensors"
      )
    }
    var zip = try ZipWriter(path)
    try zip.add("archive/data.pkl", pickle(of: tensors))
    try zip.add("archive/byteorder", Array("little".utf8))
    for (index, tensor) in tensors.enumerated() {
      try zip.begin("archive/data/\(index)", byteCount: tensor.byteCount)
      try tensor.encode(source) { try zip.append($0) }
      try zip.end()
    }
    try zip.add("archive/version", Array("3\n".utf8))
    try zip.finish()
  }

  /// The pickle, protocol 2, of a dictionary from names to tensors, each of which has a storage of its own.
  private static func pickle(of tensors: [TensorEntry]) -> [UInt8] {
    var bytes: [UInt8] = [0x80, 2, UInt8(ascii: "}"), UInt8(ascii: "(")]
    for (index, tensor) in tensors.enumerated() {
      bytes.appendPickled(tensor.name)
      bytes += "ctorch._utils\n_rebuild_tensor_v2\n((".utf8
      bytes.appendPickled("storage")
      bytes += "ctorch\n\(tensor.element.storageType)\n".utf8
      bytes.appendPickled(String(index))
      bytes.appendPickled("cpu")
      bytes.appendPickled(tensor.elementCount)
      bytes += "tQ".utf8
      bytes.appendPickled(0)
      bytes.appendPickled(tensor.shape)
      bytes.appendPickled(tensor.rowMajorStrides)
      bytes.append(0x89)
      bytes += "ccollections\nOrderedDict\n)RtR".utf8
    }
    bytes += "u.".utf8
    return bytes
  }
}

extension TensorElement {
  /// The Python class that names this element type in a pickle.
  fileprivate var storageType: String {
    switch self {
    case .float64: "DoubleStorage"
    case .float32: "FloatStorage"
    case .float16: "HalfStorage"
    case .bfloat16: "BFloat16Storage"
    default: preconditionFailure("tensors are written in floating point")
    }
  }
}

extension TensorEntry {
  /// Distances between neighbours, in elements, when the numbers lie in row-major order.
  fileprivate var rowMajorStrides: [Int] {
    var strides = [Int](repeating: 1, count: shape.count)
    for axis in shape.indices.dropLast().reversed() {
      strides[axis] = strides[axis + 1] * max(1, shape[axis + 1])
    }
    return strides
  }
}

extension [UInt8] {
  fileprivate mutating func appendPickled(_ text: String) {
    append(UInt8(ascii: "X"))
    append(littleEndian: text.utf8.count, byteCount: 4)
    self += text.utf8
  }

  fileprivate mutating func appendPickled(_ number: Int) {
    if let narrow = Int32(exactly: number) {
      append(UInt8(ascii: "J"))
      append(littleEndian: Int(narrow), byteCount: 4)
    } else {
      self += [0x8A, 8]
      append(littleEndian: number, byteCount: 8)
    }
  }

  fileprivate mutating func appendPickled(_ numbers: [Int]) {
    append(UInt8(ascii: "("))
    for number in numbers { appendPickled(number) }
    append(UInt8(ascii: "t"))
  }
}
