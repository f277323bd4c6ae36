/// Where the numbers of a tensor lie: every container is read into a list of these.
struct StoredTensor: Sendable {
  /// Name, element type and shape.
  let entry: TensorEntry
  /// The file that holds the numbers.
  let file: InputFile
  /// The byte at which element (0, 0, …) lies.
  let offset: Int
  /// Distance between neighbours along each dimension, in elements; nil when the numbers lie without gaps in
  /// row-major order. PyTorch's pickles can hold views: transposed, repeated (0) or overlapping.
  let strides: [Int]?

  /// The same numbers under another name.
  func renamed(_ name: String) -> StoredTensor {
    StoredTensor(entry: entry.renamed(name), file: file, offset: offset, strides: strides)
  }

  /// Bytes from the first element to the end of the last one.
  private var spanByteCount: Int {
    guard let strides else { return entry.byteCount }
    guard entry.elementCount > 0 else { return 0 }
    let last = zip(entry.shape, strides).reduce(0) { $0 + ($1.0 - 1) * $1.1 }
    return (last + 1) * entry.element.byteCount
  }

  /// Calls `body` with the raw numbers in row-major order, piece by piece, and the index of each piece's
  /// first number.
  func forEachPiece(_ body: (UnsafeRawBufferPointer, Int) throws -> Void) throws {
    let size = entry.element.byteCount
    let pieceCount = min(entry.elementCount, (1 << 20) / size)
    guard pieceCount > 0 else { return }
    let piece = UnsafeMutableRawBufferPointer.allocate(byteCount: pieceCount * size, alignment: 16)
    defer { piece.deallocate() }
    var gather = try strides.map { try Gather(self, strides: $0) }
    for start in stride(from: 0, to: entry.elementCount, by: pieceCount) {
      let count = min(pieceCount, entry.elementCount - start)
      let part = UnsafeMutableRawBufferPointer(rebasing: piece[..<(count * size)])
      if gather == nil {
        try file.read(at: offset + start * size, into: part)
      } else {
        gather?.fill(part)
      }
      try body(UnsafeRawBufferPointer(part), start)
    }
  }

  /// Collects the elements of a view, one after the other, from the bytes that the view spans.
  private struct Gather {
    private let span: [UInt8]
    private let shape: [Int]
    private let byteStrides: [Int]
    private let size: Int
    private var index: [Int]
    private var position = 0

    init(_ tensor: StoredTensor, strides: [Int]) throws {
      span = try tensor.file.bytes(at: tensor.offset, count: tensor.spanByteCount)
      shape = tensor.entry.shape
      size = tensor.entry.element.byteCount
      byteStrides = strides.map { $0 * tensor.entry.element.byteCount }
      index = [Int](repeating: 0, count: shape.count)
    }

    mutating func fill(_ piece: UnsafeMutableRawBufferPointer) {
      span.withUnsafeBytes { span in
        for start in stride(from: 0, to: piece.count, by: size) {
          for byte in 0..<size { piece[start + byte] = span[position + byte] }
          advance()
        }
      }
    }

    private mutating func advance() {
      for axis in shape.indices.reversed() {
        index[axis] += 1
        position += byteStrides[axis]
        if index[axis] < shape[axis] { return }
        position -= shape[axis] * byteStrides[axis]
        index[axis] = 0
      }
    }
  }
}
