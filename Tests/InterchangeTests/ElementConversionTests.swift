import Failures
import Interchange
import TestSupport
import Testing

@Suite struct ElementConversionTests {
  /// Every bit pattern of half precision against the definition of the format.
  @Test func halfPrecisionIsExact() throws {
    let floats = try allPatterns(of: "F16")
    for pattern in 0..<65_536 {
      let (exponent, fraction) = (pattern >> 10 & 31, Double(pattern & 1023))
      let sign = pattern < 32_768 ? 1.0 : -1.0
      let value = floats[pattern]
      switch exponent {
      case 31 where fraction != 0: #expect(value.isNaN)
      case 31: #expect(Double(value) == sign * .infinity)
      case 0: #expect(Double(value) == sign * fraction * 0x1p-24)
      default:
        #expect(
          Double(value) == sign * (1024 + fraction)
            * Double(sign: .plus, exponent: exponent - 25, significand: 1))
      }
    }
  }

  @Test func bfloat16IsTheUpperHalfOfAFloat() throws {
    let floats = try allPatterns(of: "BF16")
    for pattern in 0..<65_536 {
      #expect(floats[pattern].bitPattern == UInt32(pattern) << 16)
    }
  }

  @Test func wholeNumbersOfAllSizes() throws {
    let types = [
      ("I8", 1), ("U8", 1), ("I16", 2), ("U16", 2), ("I32", 4), ("U32", 4), ("I64", 8), ("BOOL", 1),
    ]
    let expected: [Int64] = [-1, 255, -1, 65_535, -1, 4_294_967_295, -1, 255]
    for ((type, size), value) in zip(types, expected) {
      let header = "{\"a\":{\"dtype\":\"\(type)\",\"shape\":[1],\"data_offsets\":[0,\(size)]}}"
      let archive = try open(Samples.safetensors(header, data: [UInt8](repeating: 255, count: size)))
      #expect(try archive.integers("a") == [value], "\(type)")
    }
    let header = #"{"a":{"dtype":"U64","shape":[1],"data_offsets":[0,8]}}"#
    let archive = try open(Samples.safetensors(header, data: [UInt8](repeating: 255, count: 8)))
    expectFailure(.badContent, "beyond Int64") { try archive.integers("a") }
  }

  /// Each narrow number is the nearest: no neighbour is closer, and at a tie the even one is taken.
  @Test(arguments: [TensorElement.float16, .bfloat16])
  func narrowingRoundsToNearestEven(element: TensorElement) throws {
    var numbers: [Float] = [
      0, -0.0, 1, .infinity, -.infinity, .greatestFiniteMagnitude, 65_504, 65_519, 65_520, 1e-8,
    ]
    for index in 0..<20_000 {
      let bits = UInt32(index) &* 2_654_435_761
      let number = Float(bitPattern: bits)
      if !number.isNaN { numbers.append(number) }
      numbers.append(Float(bitPattern: 0x3F80_0000 + UInt32(index) << 8))  // ties of BF16 between 1 and 2
    }
    let written = try rewritten(numbers, as: element)
    let limit = element == .float16 ? 65_520.0 : 0x1.FFp127
    let smallest = element == .float16 ? 0x1p-24 : 0x1p-133
    let digits = element == .float16 ? 10 : 7
    for (number, rounded) in zip(numbers, written) {
      let exact = Double(number)
      guard abs(exact) < limit else {
        #expect(Double(rounded) == (exact < 0 ? -.infinity : .infinity))
        continue
      }
      let exponent = exact == 0 ? 0 : exact.exponent
      let ulp = max(smallest, Double(sign: .plus, exponent: exponent - digits, significand: 1))
      #expect(Double(rounded) == (exact / ulp).rounded(.toNearestOrEven) * ulp)
    }
    #expect(try rewritten([.nan], as: element)[0].isNaN)
    #expect(try rewritten([Float(bitPattern: 0x7F80_0001)], as: element)[0].isNaN)
  }

  private func allPatterns(of type: String) throws -> [Float] {
    let header = "{\"a\":{\"dtype\":\"\(type)\",\"shape\":[65536],\"data_offsets\":[0,131072]}}"
    let data = (0..<65_536).flatMap { Samples.littleEndian($0, 2) }
    return try open(Samples.safetensors(header, data: data)).floats("a")
  }

  private func rewritten(_ numbers: [Float], as element: TensorElement) throws -> [Float] {
    try withTemporaryDirectory { directory in
      let path = directory.path("file")
      try SafeTensors.write([TensorEntry(name: "a", element: element, shape: [numbers.count])], to: path) {
        _, buffer in
        _ = buffer.update(from: numbers)
      }
      return try TensorArchive(opening: path).floats("a")
    }
  }
}
