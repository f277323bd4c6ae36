/// Raw numbers of a file, little-endian as every format here has them and as Linux machines with Swift are.
extension UnsafeRawBufferPointer {
  /// Converts numbers of a floating-point element type; narrower ones exactly, wider ones to the nearest.
  /// - Parameters:
  ///   - element: How the numbers are encoded; one of the types for which `isWeight` is true.
  ///   - destination: Where they go.
  ///   - start: The index in `destination` of the first number.
  func convertWeights<Number: BinaryFloatingPoint>(
    _ element: TensorElement, to destination: UnsafeMutableBufferPointer<Number>, at start: Int
  ) {
    switch element {
    case .float64: convert(UInt64.self, to: destination, at: start) { Number(Double(bitPattern: $0)) }
    case .float32: convert(UInt32.self, to: destination, at: start) { Number(Float(bitPattern: $0)) }
    case .float16: convert(UInt16.self, to: destination, at: start) { Number(Float(half: $0)) }
    case .bfloat16: convert(UInt16.self, to: destination, at: start) { Number(Float(brain: $0)) }
    default: preconditionFailure("only weights are converted to floating point")
    }
  }

  /// Appends numbers of an integer element type; false when one does not fit.
  func appendIntegers(_ element: TensorElement, to numbers: inout [Int64]) -> Bool {
    switch element {
    case .int64: append(Int64.self, to: &numbers)
    case .int32: append(Int32.self, to: &numbers)
    case .int16: append(Int16.self, to: &numbers)
    case .int8: append(Int8.self, to: &numbers)
    case .uint64: append(UInt64.self, to: &numbers)
    case .uint32: append(UInt32.self, to: &numbers)
    case .uint16: append(UInt16.self, to: &numbers)
    case .uint8, .bool: append(UInt8.self, to: &numbers)
    default: preconditionFailure("only whole numbers are read as integers")
    }
  }

  @inline(__always)
  private func convert<Bits: FixedWidthInteger, Number>(
    _ bits: Bits.Type, to destination: UnsafeMutableBufferPointer<Number>, at start: Int,
    by number: (Bits) -> Number
  ) {
    let size = MemoryLayout<Bits>.size
    for index in 0..<(count / size) {
      destination[start + index] = number(loadUnaligned(fromByteOffset: index * size, as: Bits.self))
    }
  }

  private func append<Integer: FixedWidthInteger>(_ type: Integer.Type, to numbers: inout [Int64]) -> Bool {
    for offset in stride(from: 0, to: count, by: MemoryLayout<Integer>.size) {
      guard let number = Int64(exactly: loadUnaligned(fromByteOffset: offset, as: Integer.self)) else {
        return false
      }
      numbers.append(number)
    }
    return true
  }
}

extension Float {
  /// The value of an IEEE 754 half-precision number.
  init(half bits: UInt16) { self = Float(Float16(bitPattern: bits)) }

  /// The value of a bfloat16 number: the upper half of a `Float`.
  init(brain bits: UInt16) { self.init(bitPattern: UInt32(bits) << 16) }

  /// The nearest half-precision number, ties to even.
  var half: UInt16 { Float16(self).bitPattern }

  /// The nearest bfloat16 number, ties to even; a NaN stays one.
  var brain: UInt16 {
    if isNaN { return UInt16(truncatingIfNeeded: bitPattern >> 16) | 0x40 }
    let roundUp = 0x7FFF + (bitPattern >> 16 & 1)
    return UInt16(truncatingIfNeeded: (bitPattern &+ roundUp) >> 16)
  }
}
