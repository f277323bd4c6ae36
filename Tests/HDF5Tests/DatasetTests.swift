import Failures
import Foundation
import HDF5
import Testing

@Suite struct DatasetTests {
  /// Single values, nothing, one chunk, several chunks along the first, the middle and the last extent.
  static let shapes: [[Int]] = [
    [], [0], [3, 0, 2], [1], [7], [2, 3, 4], [300, 1000], [1_000_003], [5, 400_000], [2, 3, 70_000, 2],
    [Int](repeating: 1, count: 32),
  ]

  @Test(arguments: shapes) func roundTrip(shape: [Int]) throws {
    let scratch = try Scratch()
    let count = shape.reduce(1, *)
    let values = (0..<count).map { Float($0) * 0.25 - 3 }
    let file = try HDF5File.create(scratch.path("a.h5"))
    try values.withUnsafeBufferPointer { try file.write("/tensors/x", shape: shape, $0) }
    try file.close()

    let read = try HDF5File.open(scratch.path("a.h5"))
    let info = try read.info("/tensors/x")
    #expect(info.shape == shape)
    #expect(info.kind == .float32)
    #expect(info.count == count)
    #expect(info.byteCount == 4 * count)
    #expect(info.storedByteCount >= 4 * count)
    // Chunks and their checksums must not cost more than a few per cent of a large tensor.
    if count > 100_000 { #expect(info.storedByteCount < 4 * count + 4 * count / 20) }
    #expect(try read.values("/tensors/x", as: Float.self) == values)
  }

  @Test func everyElementKind() throws {
    let scratch = try Scratch()
    let file = try HDF5File.create(scratch.path("a.h5"))
    func write<Element: HDF5Element>(_ name: String, _ values: [Element], _ file: borrowing HDF5File) throws {
      try values.withUnsafeBufferPointer { try file.write(name, shape: [values.count], $0) }
    }
    let floats: [Float] = [.nan, -.infinity, .leastNonzeroMagnitude, -0.0, 1 / 3]
    let doubles: [Double] = [.greatestFiniteMagnitude, 1 / 3]
    try write("/float32", floats, file)
    try write("/float64", doubles, file)
    try write("/int64", [.min, .max, 5] as [Int64], file)
    try write("/int32", [.min, .max, 5] as [Int32], file)
    try write("/uint8", [UInt8](0...255), file)
    try file.close()

    let read = try HDF5File.open(scratch.path("a.h5"))
    #expect(try read.values("/float32", as: Float.self).map(\.bitPattern) == floats.map(\.bitPattern))
    #expect(try read.values("/float64", as: Double.self) == doubles)
    #expect(try read.values("/int64", as: Int64.self) == [Int64.min, .max, 5])
    #expect(try read.values("/int32", as: Int32.self) == [Int32.min, .max, 5])
    #expect(try read.values("/uint8", as: UInt8.self) == [UInt8](0...255))
    for kind in ElementKind.allCases { #expect(try read.info("/" + kind.rawValue).kind == kind) }
  }

  @Test(arguments: [0..<0, 0..<1, 299..<300, 17..<283, 0..<300]) func rows(_ rows: Range<Int>) throws {
    let scratch = try Scratch()
    let file = try HDF5File.create(scratch.path("a.h5"))
    let values = (0..<300 * 1000).map(Int32.init)
    try file.createDataset("/x", shape: [300, 1000], .int32)
    for start in stride(from: 0, to: 300, by: 70) {
      let part = start..<min(start + 70, 300)
      try values[part.lowerBound * 1000..<part.upperBound * 1000].withUnsafeBufferPointer {
        try file.write("/x", rows: part, $0)
      }
    }
    var read = [Int32](repeating: -1, count: rows.count * 1000)
    try read.withUnsafeMutableBufferPointer { try file.read("/x", rows: rows, into: $0) }
    #expect(read == Array(values[rows.lowerBound * 1000..<rows.upperBound * 1000]))
  }

  @Test func sameContentSameBytes() throws {
    let scratch = try Scratch()
    var files: [[UInt8]] = []
    for name in ["a.h5", "b.h5"] {
      let file = try HDF5File.create(scratch.path(name), userBlock: 512)
      let values = (0..<100_003).map(Float.init)
      try values.withUnsafeBufferPointer { try file.write("/g/x", shape: [100_003], $0) }
      try file.setAttribute("text", "한국어")
      try file.close()
      files.append(try readBytes(scratch.path(name)))
    }
    #expect(files[0] == files[1])
    #expect(files[0][512..<520] == [0x89, 0x48, 0x44, 0x46, 0x0D, 0x0A, 0x1A, 0x0A])
    #expect(files[0][520] == 3, "the superblock of format 1.10, whose metadata has checksums")
  }

  @Test func deflatedReadsTheSameAndIsSmaller() throws {
    let scratch = try Scratch()
    let values = (0..<200_000).map { Float($0 % 100) }
    let file = try HDF5File.create(scratch.path("a.h5"))
    try values.withUnsafeBufferPointer { try file.write("/x", shape: [200_000], $0, storage: .deflated(1)) }
    #expect(try file.values("/x", as: Float.self) == values)
    try file.close()
    #expect(try readBytes(scratch.path("a.h5")).count < 200_000)
  }

  @Test func wrongTypeShapeAndNameSayWhichFileAndDataset() throws {
    let scratch = try Scratch()
    let path = scratch.path("a.h5")
    let file = try HDF5File.create(path)
    try [Float](repeating: 1, count: 6).withUnsafeBufferPointer { try file.write("/g/x", shape: [2, 3], $0) }

    func failure(_ body: () throws -> Void) -> HDF5Error? {
      do { try body() } catch let error as HDF5Error { return error } catch {}
      return nil
    }
    let ofType = failure { _ = try file.values("/g/x", as: Int32.self) }
    #expect(ofType?.cause == .mismatch)
    #expect(ofType?.description == "\(path): “/g/x”: expected int32, found float32")
    var five = [Float](repeating: 0, count: 5)
    let ofCount = failure { try five.withUnsafeMutableBufferPointer { try file.read("/g/x", into: $0) } }
    #expect(ofCount?.description == "\(path): “/g/x”: shape [2, 3] is 6 elements; 5 given")
    let ofRows = failure {
      try five.withUnsafeMutableBufferPointer { try file.read("/g/x", rows: 1..<3, into: $0) }
    }
    #expect(ofRows?.cause == .mismatch)
    let ofName = failure { _ = try file.info("/g/y") }
    #expect(ofName?.cause == .missing)
    #expect(ofName?.failure.kind == .badContent)
    #expect(failure { _ = try file.info("/g") }?.cause == .library)
    #expect(failure { try file.createDataset("/g/x", shape: [1], .uint8) }?.cause == .library)
    for shape in [[-1], [Int](repeating: 1, count: 33), [Int.max, 2], [Int.max / 2]] {
      #expect(failure { try file.createDataset("/g/z", shape: shape, .float32) }?.cause == .mismatch)
    }
  }

  @Test func checksumsOfChunksAreChecked() throws {
    let scratch = try Scratch()
    let file = try HDF5File.create(scratch.path("a.h5"))
    let values = [Float](repeating: 1234.5, count: 5000)
    try values.withUnsafeBufferPointer { try file.write("/x", shape: [5000], $0) }
    try file.close()
    var bytes = try readBytes(scratch.path("a.h5"))
    let pattern = withUnsafeBytes(of: Float(1234.5), Array.init)
    let place = try #require((0..<bytes.count - 4).first { Array(bytes[$0..<$0 + 4]) == pattern })
    bytes[place + 8001] ^= 4
    try writeBytes(bytes, to: scratch.path("a.h5"))
    let damaged = try HDF5File.open(scratch.path("a.h5"))
    let error = #expect(throws: HDF5Error.self) { try damaged.values("/x", as: Float.self) }
    #expect(error?.cause == .library)
  }
}
