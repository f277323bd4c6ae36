internal import CHDF5

extension HDF5File {
  /// The dataspaces of a transfer: what of the file, and what of memory.
  struct Selection: ~Copyable {
    let memory: Identifier
    let file: Identifier
  }

  /// Opens a dataset that has its values in this file.
  func openDataset(_ path: String) throws(HDF5Error) -> Identifier {
    try requireHardLinks(path)
    let dataset = try Identifier(H5Dopen2(id, path, CHDF5_defaults()), H5Dclose) {
      libraryError(path, "not a readable dataset: \($0)")
    }
    let creation = try Identifier(H5Dget_create_plist(dataset.id), H5Pclose) {
      libraryError(path, "not a readable dataset: \($0)")
    }
    let layout = H5Pget_layout(creation.id)
    guard
      layout == H5D_CHUNKED || layout == H5D_CONTIGUOUS || layout == H5D_COMPACT,
      H5Pget_external_count(creation.id) == 0
    else { throw error(.mismatch, path, "its values are in other files, which are not read") }
    if layout == H5D_CHUNKED { try checkChunks(creation.id, path) }
    return dataset
  }

  /// Checks that chunks, for which the library allocates memory, have the size that a sane file gives them.
  private func checkChunks(_ creation: hid_t, _ path: String) throws(HDF5Error) {
    var extents = [hsize_t](repeating: 0, count: 32)
    let rank = H5Pget_chunk(creation, CInt(extents.count), &extents)
    guard rank > 0 else { throw libraryError(path, "its chunks cannot be read: \(Library.errorText())") }
    let chunk = extents.prefix(Int(rank)).map { Int(clamping: $0) }
    let count = try elementCount(chunk, .float64, path)
    guard count <= ChunkShape.largestReadableByteCount / 8 else {
      throw error(.mismatch, path, "its chunks of \(chunk) elements are larger than any that are read")
    }
  }

  /// Type and extents of an open dataset.
  func info(_ dataset: hid_t, _ path: String) throws(HDF5Error) -> DatasetInfo {
    let type = try Identifier(H5Dget_type(dataset), H5Tclose) {
      libraryError(path, "its element type cannot be read: \($0)")
    }
    let shape = try shape(dataset, path)
    let kind = ElementKind(fileType: type.id)
    let count = try elementCount(shape, kind ?? .uint8, path)
    guard let stored = Int(exactly: H5Dget_storage_size(dataset)) else {
      throw error(.library, path, "it claims more bytes than a machine can address")
    }
    return DatasetInfo(
      path: path, kind: kind, shape: shape, count: count, byteCount: count * (kind?.byteCount ?? 0),
      storedByteCount: stored)
  }

  /// Elements of a shape; their bytes are known to fit an `Int`.
  func elementCount(_ shape: [Int], _ kind: ElementKind, _ path: String) throws(HDF5Error) -> Int {
    guard shape.count <= 32, shape.allSatisfy({ $0 >= 0 }) else {
      throw error(.mismatch, path, "a shape has up to 32 extents that are not negative; found \(shape)")
    }
    if shape.contains(0) { return 0 }
    var count = 1
    var overflow = false
    for extent in shape where !overflow { (count, overflow) = count.multipliedReportingOverflow(by: extent) }
    guard !overflow, !count.multipliedReportingOverflow(by: kind.byteCount).overflow else {
      throw error(.mismatch, path, "the shape \(shape) has more elements than a machine can address")
    }
    return count
  }

  /// Checks a transfer against type and shape and selects its part.
  func select(
    _ dataset: hid_t, _ path: String, _ rows: Range<Int>?, _ kind: ElementKind, count: Int
  ) throws(HDF5Error) -> Selection {
    let info = try info(dataset, path)
    guard info.kind == kind else { throw mismatch(info, kind) }
    let space = try Identifier(H5Dget_space(dataset), H5Sclose) { libraryError(path, $0) }
    var expected = info.count
    if let rows {
      guard let first = info.shape.first, rows.lowerBound >= 0, rows.upperBound <= first else {
        throw error(.mismatch, path, "rows \(rows) asked for, but its shape is \(info.shape)")
      }
      expected = first == 0 ? 0 : info.count / first * rows.count
      try restrict(space.id, info.shape, rows, path)
    }
    guard count == expected else {
      throw error(
        .mismatch, path,
        "shape \(info.shape)\(rows.map { ", rows \($0)" } ?? "") is \(expected) elements; \(count) given")
    }
    // Memory has the part's own shape: between spaces of different rank the library goes element by element,
    // at a tenth of the speed.
    var extents = info.shape.map { hsize_t($0) }
    if let rows { extents[0] = hsize_t(rows.count) }
    let memory = try Identifier(
      extents.isEmpty ? H5Screate(H5S_SCALAR) : H5Screate_simple(CInt(extents.count), extents, nil), H5Sclose
    ) { libraryError(path, $0) }
    return Selection(memory: memory, file: space)
  }

  /// The error for a dataset of another element type.
  func mismatch(_ info: DatasetInfo, _ expected: ElementKind) -> HDF5Error {
    let found = info.kind?.rawValue ?? "of a type that is none of \(ElementKind.allCases.map(\.rawValue))"
    return error(.mismatch, info.path, "expected \(expected.rawValue), found \(found)")
  }

  /// The list of properties that a new dataset gets.
  func creationList(
    _ shape: [Int], _ count: Int, _ kind: ElementKind, _ storage: Storage, _ path: String
  ) throws(HDF5Error) -> Identifier {
    let creation = try Identifier(H5Pcreate(CHDF5_datasetCreation()), H5Pclose) { libraryError(path, $0) }
    // No times in the file: the same content gives the same bytes.
    var isReady = H5Pset_obj_track_times(creation.id, false) >= 0
    if shape.isEmpty || count == 0 {
      isReady = isReady && H5Pset_layout(creation.id, H5D_COMPACT) >= 0
    } else {
      let chunk = ChunkShape.of(shape, elementByteCount: kind.byteCount).map { hsize_t($0) }
      isReady = isReady && H5Pset_chunk(creation.id, CInt(chunk.count), chunk) >= 0
      if case .deflated(let level) = storage {
        isReady =
          isReady && H5Pset_shuffle(creation.id) >= 0
          && H5Pset_deflate(creation.id, UInt32(min(max(level, 1), 9))) >= 0
      }
      isReady = isReady && H5Pset_fletcher32(creation.id) >= 0
    }
    guard isReady else { throw libraryError(path, "the dataset cannot be made: \(Library.errorText())") }
    return creation
  }

  /// The length of the file as it is open, in bytes.
  var fileByteCount: Int {
    Library.enter()
    defer { Library.leave() }
    var length: hsize_t = 0
    return H5Fget_filesize(id, &length) < 0 ? 0 : Int(clamping: length)
  }

  private func shape(_ dataset: hid_t, _ path: String) throws(HDF5Error) -> [Int] {
    let space = try Identifier(H5Dget_space(dataset), H5Sclose) { libraryError(path, $0) }
    let rank = H5Sget_simple_extent_ndims(space.id)
    guard rank >= 0, H5Sget_simple_extent_type(space.id) != H5S_NULL else {
      throw error(.mismatch, path, "it has no shape")
    }
    var extents = [hsize_t](repeating: 0, count: Int(rank))
    guard H5Sget_simple_extent_dims(space.id, &extents, nil) >= 0 else {
      throw libraryError(path, "its shape cannot be read: \(Library.errorText())")
    }
    guard extents.allSatisfy({ $0 <= hsize_t(Int.max) }) else {
      throw error(.library, path, "its shape \(extents) is damaged")
    }
    return extents.map { Int($0) }
  }

  private func restrict(_ space: hid_t, _ shape: [Int], _ rows: Range<Int>, _ path: String) throws(HDF5Error) {
    var start = [hsize_t](repeating: 0, count: shape.count)
    var extent = shape.map { hsize_t($0) }
    start[0] = hsize_t(rows.lowerBound)
    extent[0] = hsize_t(rows.count)
    // The library refuses a selection of nothing; nothing is transferred then.
    if extent.contains(0) { return }
    guard H5Sselect_hyperslab(space, H5S_SELECT_SET, start, nil, extent, nil) >= 0 else {
      throw libraryError(path, "rows \(rows) cannot be selected: \(Library.errorText())")
    }
  }
}
