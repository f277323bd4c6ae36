/// How a dataset is cut into chunks, the units that are read, written and checksummed.
enum ChunkShape {
  /// Bytes that a chunk has at most. Of 64 KiB to 1 MiB, 256 KiB was as fast as any to write and to read; it
  /// fits the library's chunk cache of 1 MiB.
  static let largestByteCount = 1 << 18

  /// Bytes that a chunk of a file that is read may have, at 8 bytes an element.
  static let largestReadableByteCount = 1 << 26

  /// The shape of a chunk of a dataset with elements, of the same rank: whole trailing dimensions, so that a
  /// chunk is contiguous in memory, and even cuts of the dimension before them, so that little of the last
  /// chunk is empty.
  static func of(_ shape: [Int], elementByteCount: Int) -> [Int] {
    var chunk = [Int](repeating: 1, count: shape.count)
    var byteCount = elementByteCount
    for axis in shape.indices.reversed() {
      let extent = shape[axis]
      if extent <= largestByteCount / byteCount {
        chunk[axis] = extent
        byteCount *= extent
        continue
      }
      let most = largestByteCount / byteCount
      let cuts = (extent - 1) / most + 1
      chunk[axis] = (extent - 1) / cuts + 1
      break
    }
    return chunk
  }
}
