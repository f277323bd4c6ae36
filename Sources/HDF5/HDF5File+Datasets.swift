internal import CHDF5

extension HDF5File {
  /// How a dataset's chunks are stored.
  package enum Storage: Sendable {
    /// As they are.
    case plain
    /// Bytes of equal significance together, then deflated at a level from 1 to 9.
    case deflated(Int)
  }

  /// What the file says of a dataset.
  package struct DatasetInfo: Sendable, Equatable {
    /// The path in the file.
    package let path: String
    /// The element type; `nil` for one that is not of ours.
    package let kind: ElementKind?
    /// The extents; `[]` for a single value.
    package let shape: [Int]
    /// Elements in all.
    package let count: Int
    /// Bytes that the elements take in memory; 0 where `kind` is `nil`.
    package let byteCount: Int
    /// Bytes that they take in the file: at least `byteCount` when all of it was written and nothing is
    /// compressed.
    package let storedByteCount: Int
  }

  /// What the file says of a dataset.
  ///
  /// - Throws: Also for datasets that have their values in other files.
  package func info(_ path: String) throws(HDF5Error) -> DatasetInfo {
    Library.enter()
    defer { Library.leave() }
    let dataset = try openDataset(path)
    return try info(dataset.id, path)
  }

  /// Makes a dataset, and the groups above it; the values follow by `write`.
  ///
  /// Values are in chunks with Fletcher checksums. A dataset of no element or of a single value lies in the
  /// metadata, which has checksums of its own.
  ///
  /// - Parameters:
  ///   - path: The dataset, not there yet.
  ///   - shape: Up to 32 extents, 0 allowed; `[]` is a single value.
  ///   - kind: The element type.
  ///   - storage: Whether to compress.
  /// - Throws: Also when it exists, or the shape is impossible.
  package func createDataset(
    _ path: String, shape: [Int], _ kind: ElementKind, storage: Storage = .plain
  ) throws(HDF5Error) {
    Library.enter()
    defer { Library.leave() }
    let count = try elementCount(shape, kind, path)
    if let slash = path.lastIndex(of: "/") { try createGroup(String(path[..<slash])) }
    let creation = try creationList(shape, count, kind, storage, path)
    let extents = shape.map { hsize_t($0) }
    let space = try Identifier(
      shape.isEmpty ? H5Screate(H5S_SCALAR) : H5Screate_simple(CInt(shape.count), extents, nil), H5Sclose
    ) { libraryError(path, "the shape \(shape) is refused: \($0)") }
    _ = try Identifier(
      H5Dcreate2(id, path, kind.fileType, space.id, CHDF5_defaults(), creation.id, CHDF5_defaults()), H5Dclose
    ) { libraryError(path, "the dataset cannot be made: \($0)") }
    try checkWrites(object: path)
  }

  /// Makes a dataset and writes all of it.
  ///
  /// - Parameters:
  ///   - path: The dataset, not there yet.
  ///   - shape: The extents; their product is the count of the values.
  ///   - values: Row by row (C order).
  ///   - storage: Whether to compress.
  /// - Throws: What `createDataset` and the writing throw.
  package func write<Element: HDF5Element>(
    _ path: String, shape: [Int], _ values: UnsafeBufferPointer<Element>, storage: Storage = .plain
  ) throws(HDF5Error) {
    try createDataset(path, shape: shape, Element.elementKind, storage: storage)
    try write(path, rows: nil, values)
  }

  /// Writes values of a dataset that is there.
  ///
  /// - Parameters:
  ///   - path: The dataset.
  ///   - rows: The part along the first extent; `nil` is all.
  ///   - values: Row by row (C order); exactly as many as the part has.
  /// - Throws: Also when type or count differ from the dataset's.
  package func write<Element: HDF5Element>(
    _ path: String, rows: Range<Int>?, _ values: UnsafeBufferPointer<Element>
  ) throws(HDF5Error) {
    Library.enter()
    defer { Library.leave() }
    let dataset = try openDataset(path)
    let part = try select(dataset.id, path, rows, Element.elementKind, count: values.count)
    guard values.count > 0 else { return }
    let status = H5Dwrite(
      dataset.id, Element.elementKind.memoryType, part.memory.id, part.file.id, CHDF5_defaults(),
      values.baseAddress)
    try checkWrites(object: path)
    if status < 0 { throw libraryError(path, "the values cannot be written: \(Library.errorText())") }
  }

  /// Reads values of a dataset straight into memory of the caller's.
  ///
  /// - Parameters:
  ///   - path: The dataset; its element type must be exactly the buffer's.
  ///   - rows: The part along the first extent; `nil` is all.
  ///   - values: Filled row by row (C order); exactly as many as the part has.
  /// - Throws: Also when type or count differ from the dataset's, or a chunk's checksum is wrong.
  package func read<Element: HDF5Element>(
    _ path: String, rows: Range<Int>? = nil, into values: UnsafeMutableBufferPointer<Element>
  ) throws(HDF5Error) {
    Library.enter()
    defer { Library.leave() }
    let dataset = try openDataset(path)
    let part = try select(dataset.id, path, rows, Element.elementKind, count: values.count)
    guard values.count > 0 else { return }
    let status = H5Dread(
      dataset.id, Element.elementKind.memoryType, part.memory.id, part.file.id, CHDF5_defaults(),
      values.baseAddress)
    if status < 0 { throw libraryError(path, "the values cannot be read: \(Library.errorText())") }
  }

  /// Reads a whole dataset into an array.
  ///
  /// - Throws: Also when it claims more elements than the file stores, unless it is compressed by less than
  /// 1000 to 1.
  package func values<Element: HDF5Element>(_ path: String, as type: Element.Type) throws(HDF5Error)
    -> [Element]
  {
    let info = try info(path)
    guard info.kind == Element.elementKind else { throw mismatch(info, Element.elementKind) }
    guard info.byteCount / 1000 <= fileByteCount else {
      throw error(.library, path, "it claims \(info.byteCount) bytes, which the file cannot hold")
    }
    var failure: HDF5Error?
    let values = [Element](unsafeUninitializedCapacity: info.count) { buffer, initialized in
      do throws(HDF5Error) {
        try read(path, into: UnsafeMutableBufferPointer(rebasing: buffer[..<info.count]))
        initialized = info.count
      } catch {
        failure = error
      }
    }
    if let failure { throw failure }
    return values
  }
}
