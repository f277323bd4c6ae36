/// Fills a buffer with the numbers of a tensor that is being written, in row-major order.
package typealias TensorSource = (TensorEntry, UnsafeMutableBufferPointer<Float>) throws -> Void

extension TensorEntry {
  /// Calls `body` with the tensor's numbers as they are stored, piece by piece.
  /// - Parameters:
  ///   - source: Gives all of the tensor's numbers at once; they are in memory only during the call.
  ///   - body: Takes the raw bytes.
  /// - Throws: What `source` and `body` throw.
  func encode(_ source: TensorSource, _ body: (UnsafeRawBufferPointer) throws -> Void) throws {
    let numbers = UnsafeMutableBufferPointer<Float>.allocate(capacity: elementCount)
    defer { numbers.deallocate() }
    numbers.initialize(repeating: 0)
    try source(self, numbers)
    let floats = UnsafeBufferPointer(numbers)
    switch element {
    case .float32: try body(UnsafeRawBufferPointer(floats))
    case .float64: try floats.encode({ Double($0).bitPattern }, body)
    case .float16: try floats.encode(\.half, body)
    case .bfloat16: try floats.encode(\.brain, body)
    default: preconditionFailure("tensors are written in floating point")
    }
  }
}

extension UnsafeBufferPointer<Float> {
  /// Calls `body` with pieces of the numbers' encoding.
  fileprivate func encode<Bits: FixedWidthInteger>(
    _ bits: (Float) -> Bits, _ body: (UnsafeRawBufferPointer) throws -> Void
  ) throws {
    for start in stride(from: 0, to: count, by: 1 << 16) {
      let piece = self[start..<Swift.min(start + 1 << 16, count)].map(bits)
      try piece.withUnsafeBytes(body)
    }
  }
}
