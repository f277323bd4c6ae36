package import Failures
internal import HDF5

/// A tensor of a file: its name and shape.
package struct StoredEntry: Sendable, Equatable {
  /// The published name.
  package let name: String
  /// The extents, the slowest first; `[]` is a single value.
  package let shape: [Int]
  /// Elements in all; a file's shapes have been checked to have as many as a machine can address, or none.
  package var count: Int { shape.contains(0) ? 0 : shape.reduce(1, *) }

  /// A tensor's name and shape.
  package init(name: String, shape: [Int]) {
    self.name = name
    self.shape = shape
  }
}

extension TensorFile {
  /// Whether there is a group of this path.
  package func hasGroup(_ group: String) -> Bool { sealed.hdf5.exists(group) }

  /// The tensors in a group, in the order in which they were written.
  ///
  /// All of them together take no more bytes than the file has, so a caller may allocate for them.
  ///
  /// - Throws: `badContent` for a member that is no dataset of 32-bit floating-point numbers or not wholly
  /// there.
  package func entries(_ group: String = TensorSchema.tensors) throws(Failure) -> [StoredEntry] {
    let infos = try datasets(in: group, .float32)
    return infos.map { StoredEntry(name: $0.name, shape: $0.info.shape) }
  }

  /// Reads a tensor straight into memory of the caller's.
  ///
  /// - Parameters:
  ///   - name: The published name.
  ///   - group: Its group.
  ///   - shape: The shape that it must have; `nil` takes any of the right count.
  ///   - values: Filled row by row; exactly as many as the tensor has.
  /// - Throws: `badContent` naming the tensor, with what was expected and found.
  package func read(
    _ name: String, in group: String = TensorSchema.tensors, shape: [Int]? = nil,
    into values: UnsafeMutableBufferPointer<Float>
  ) throws(Failure) {
    try TensorSchema.check(name: name, in: group, path: path)
    let dataset = "\(group)/\(name)"
    try asFailure { () throws(HDF5Error) in
      if let shape {
        let found = try sealed.hdf5.info(dataset).shape
        guard found == shape else {
          throw HDF5Error(.mismatch, path: path, object: dataset, "expected shape \(shape), found \(found)")
        }
      }
      try sealed.hdf5.read(dataset, into: values)
    }
    try sealed.checkUnchanged()
  }

  /// Reads some rows of a tensor.
  ///
  /// - Parameters:
  ///   - name: The published name.
  ///   - group: Its group.
  ///   - rows: The part along the first extent.
  ///   - values: Filled row by row; exactly as many as the part has.
  /// - Throws: `badContent` naming the tensor, with what was expected and found.
  package func read(
    _ name: String, in group: String = TensorSchema.tensors, rows: Range<Int>,
    into values: UnsafeMutableBufferPointer<Float>
  ) throws(Failure) {
    try TensorSchema.check(name: name, in: group, path: path)
    try asFailure { () throws(HDF5Error) in
      try sealed.hdf5.read("\(group)/\(name)", rows: rows, into: values)
    }
    try sealed.checkUnchanged()
  }

  /// The names of the files inside, in the order in which they were written.
  package func fileNames() throws(Failure) -> [String] {
    try datasets(in: TensorSchema.files, .uint8).map(\.name)
  }

  /// The bytes of a file inside, such as `vocab.txt`.
  package func bytes(_ name: String) throws(Failure) -> [UInt8] {
    try TensorSchema.check(name: name, in: TensorSchema.files, path: path)
    let dataset = "\(TensorSchema.files)/\(name)"
    let bytes = try asFailure { () throws(HDF5Error) -> [UInt8] in
      try checkStored(sealed.hdf5.info(dataset))
      return try sealed.hdf5.values(dataset, as: UInt8.self)
    }
    try sealed.checkUnchanged()
    return bytes
  }

  /// The members of a group, all of them datasets of one element type and of no more bytes than the file;
  /// none where the group is missing.
  private func datasets(
    in group: String, _ kind: ElementKind
  ) throws(Failure) -> [(name: String, info: HDF5File.DatasetInfo)] {
    guard hasGroup(group) else { return [] }
    return try asFailure { () throws(HDF5Error) in
      var found: [(name: String, info: HDF5File.DatasetInfo)] = []
      var byteCount = 0
      for link in try sealed.hdf5.links(in: group) where link.kind != .group {
        let info = try sealed.hdf5.info("\(group)/\(link.name)")
        guard info.kind == kind else {
          throw HDF5Error(
            .mismatch, path: path, object: info.path,
            "expected \(kind.rawValue), found \(info.kind?.rawValue ?? "another type")")
        }
        try checkStored(info)
        byteCount += info.byteCount
        guard byteCount <= sealed.byteCount else {
          throw HDF5Error(
            .mismatch, path: path, object: group, "its members claim more bytes than the file has")
        }
        found.append((link.name, info))
      }
      return found
    }
  }

  /// Checks that all values of a dataset are in the file: we never compress.
  private func checkStored(_ info: HDF5File.DatasetInfo) throws(HDF5Error) {
    guard info.byteCount <= info.storedByteCount, info.byteCount <= sealed.byteCount else {
      throw HDF5Error(
        .mismatch, path: path, object: info.path,
        "its \(info.byteCount) bytes are not all in the file: \(info.storedByteCount) are")
    }
  }
}
