internal import JSON

extension SafeTensors {
  /// Writes a safetensors file laid out as the reference implementation does, byte for byte.
  ///
  /// Tensors are ordered by the size of their elements, largest first, then by name; the data has no gaps;
  /// the header is padded so that the data starts at a multiple of 8 and says `{"format":"pt"}`, without
  /// which Transformers refuses a file that has metadata.
  /// - Parameters:
  ///   - tensors: What to write: names, element types (floating point) and shapes, in any order.
  ///   - path: Where to; what stands there stays until the new file is complete.
  ///   - source: Gives the numbers of one tensor at a time.
  /// - Throws: `Failure(.cannotWrite)` when writing fails, and what `source` throws.
  package static func write(_ tensors: [TensorEntry], to path: String, source: TensorSource) throws {
    precondition(Set(tensors.map(\.name)).count == tensors.count, "two tensors have the same name")
    let ordered = tensors.sorted {
      if $0.element.byteCount != $1.element.byteCount { return $0.element.byteCount > $1.element.byteCount }
      if $0.element != $1.element { return rank($0.element) > rank($1.element) }
      return $0.name.utf8.lexicographicallyPrecedes($1.name.utf8)
    }
    var file = try OutputFile(path)
    try file.write(header(of: ordered))
    for tensor in ordered {
      try tensor.encode(source) { try file.write($0) }
    }
    try file.finish()
  }

  /// The order of element types of equal size in the reference implementation.
  private static func rank(_ element: TensorElement) -> Int { element == .bfloat16 ? 1 : 0 }

  private static func header(of tensors: [TensorEntry]) -> [UInt8] {
    var text = "{\"__metadata__\":{\"format\":\"pt\"}"
    var begin = 0
    for tensor in tensors {
      let shape = tensor.shape.map(String.init).joined(separator: ",")
      let end = begin + tensor.byteCount
      text += ",\(tensor.name.jsonString):{\"dtype\":\"\(tensor.element.rawValue)\",\"shape\":[\(shape)],"
      text += "\"data_offsets\":[\(begin),\(end)]}"
      begin = end
    }
    text += "}"
    let padding = (8 - text.utf8.count % 8) % 8
    var bytes: [UInt8] = []
    bytes.append(littleEndian: text.utf8.count + padding, byteCount: 8)
    bytes += Array(text.utf8) + [UInt8](repeating: 0x20, count: padding)
    return bytes
  }
}
