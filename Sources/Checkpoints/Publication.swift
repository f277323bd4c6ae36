package import Failures
internal import Glibc
package import HDF5

/// A file on its way to its path: written beside it, verified, and then renamed.
///
/// Until `commit()` returns, what stood at the path stands there still; a reader finds the old file or the
/// new one, never a part. A publication that ends without `commit()` leaves nothing behind.
package struct Publication: ~Copyable, Sendable {
  /// The content to be.
  package let hdf5: HDF5File
  /// Where it will stand.
  package let path: String

  private var temporary: TemporaryFile
  private let expectedByteCount: Int
  private let step: Int?

  /// What was published.
  package struct Result: Sendable, Equatable {
    /// The path.
    package let path: String
    /// SHA-256 of everything after the first 512 bytes: the file's identity.
    package let sha256: String
    /// Bytes in the whole file.
    package let byteCount: Int
  }

  /// Checks that there is room, and begins.
  ///
  /// - Parameters:
  ///   - path: Where the file will stand, in a directory that exists.
  ///   - expectedByteCount: Bytes of all values that will be written; space for them is set
  ///     aside where the file system can.
  ///   - step: The step of a checkpoint.
  /// - Throws: `cannotWrite`, with path, bytes needed and available, and the system's reason.
  package init(to path: String, expectedByteCount: Int, step: Int? = nil) throws(Failure) {
    precondition((step ?? 0) >= 0 && expectedByteCount >= 0, "steps and sizes are not negative")
    // Metadata, checksums and the last chunks' padding are some per cent at most.
    let needed = expectedByteCount + expectedByteCount / 64 + 65_536
    Disk.ignoreFileSizeSignal()
    try Disk.checkRoom(for: needed, at: path)
    let temporary: TemporaryFile
    do {
      temporary = try TemporaryFile(for: path)
    } catch {
      throw Disk.failure(error.code, path, needed: needed)
    }
    let hdf5: HDF5File
    do {
      hdf5 = try HDF5File(creatingIn: temporary.descriptor, path: path, userBlock: Seal.byteCount)
    } catch {
      throw Self.failure(error, path, needed: needed)
    }
    do {
      try temporary.descriptor.reserve(byteCount: expectedByteCount)
    } catch {
      throw Disk.failure(error.code, path, needed: needed)
    }
    self.hdf5 = hdf5
    self.temporary = temporary
    self.path = path
    self.expectedByteCount = needed
    self.step = step
  }

  /// Closes, seals, brings to the disk, reads back, verifies and renames.
  ///
  /// - Returns: What now stands at the path.
  /// - Throws: `cannotWrite`; what stood at the path before stands there still.
  package consuming func commit() throws(Failure) -> Result {
    let (path, needed, step) = (path, expectedByteCount, step)
    do {
      try hdf5.close()
    } catch {
      throw Self.failure(error, path, needed: needed)
    }
    var temporary = temporary
    let seal: Seal
    do {
      let body = try Digest.hex(of: temporary.descriptor, from: Seal.byteCount, path: path)
      seal = Seal(bodyByteCount: body.byteCount, sha256: body.hex, step: step)
    } catch {
      throw Failure(.cannotWrite, "what was written cannot be read: \(error.message)")
    }
    do {
      try Self.write(seal, to: temporary.descriptor)
      try temporary.descriptor.synchronize()
    } catch {
      throw Disk.failure(error.code, path, needed: needed)
    }
    try Self.readBack(seal, from: temporary.descriptor, path: path)
    do {
      try temporary.rename(to: path)
    } catch {
      throw Disk.failure(error.code, path, needed: needed)
    }
    do {
      try Self.synchronizeDirectory(of: path)
    } catch {
      throw Failure(
        .cannotWrite,
        "\(path) is complete and in place, but its directory could not be brought to the disk: "
          + "\(error.text); after a power failure the older file may stand there")
    }
    return Result(path: path, sha256: seal.sha256, byteCount: Seal.byteCount + seal.bodyByteCount)
  }

  /// Copies a finished file: beside its place, brought to the disk, then renamed.
  /// - Throws: `noInput` where the source cannot be read, `cannotWrite` where the copy cannot be made.
  static func copy(_ source: String, to path: String) throws(Failure) {
    func unreadable(_ reason: String) -> Failure { Failure(.noInput, "\(source) cannot be read: \(reason)") }
    let original: Descriptor
    do {
      original = try Descriptor(path: source, flags: O_RDONLY)
    } catch {
      throw unreadable(error.text)
    }
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 4096)
    defer { buffer.deallocate() }
    var offset = 0
    var isReading = false
    do {
      var temporary = try TemporaryFile(for: path)
      while true {
        isReading = true
        let count = try original.read(into: buffer, at: offset)
        isReading = false
        if count == 0 { break }
        try temporary.descriptor.write(UnsafeRawBufferPointer(rebasing: buffer[..<count]), at: offset)
        offset += count
      }
      try temporary.descriptor.synchronize()
      try temporary.rename(to: path)
      try synchronizeDirectory(of: path)
    } catch {
      if isReading { throw unreadable(error.text) }
      throw Disk.failure(error.code, path, needed: offset)
    }
  }

  /// A person's error for a failed call on the content.
  package func failure(_ error: HDF5Error) -> Failure {
    Self.failure(error, path, needed: expectedByteCount)
  }

  private static func failure(_ error: HDF5Error, _ path: String, needed: Int) -> Failure {
    switch error.cause {
    case .unwritable(let code), .unreadable(let code): Disk.failure(code, path, needed: needed)
    case .missing, .mismatch, .library: Failure(.cannotWrite, error.description)
    }
  }

  private static func write(_ seal: Seal, to descriptor: borrowing Descriptor) throws(Descriptor.SystemError) {
    let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: Seal.byteCount, alignment: 1)
    defer { bytes.deallocate() }
    bytes.copyBytes(from: seal.bytes)
    try descriptor.write(UnsafeRawBufferPointer(bytes), at: 0)
  }

  /// Reads the file from the disk, as far as the system lets one, and compares it with what was written.
  private static func readBack(
    _ seal: Seal, from descriptor: borrowing Descriptor, path: String
  ) throws(Failure) {
    descriptor.dropCache()
    let reason: String
    do throws(Failure) {
      let found = try SealedFile.verify(descriptor, path: path).seal
      do throws(HDF5Error) {
        _ = try HDF5File(reading: descriptor, path: path).links(in: "/")
      } catch {
        throw error.failure
      }
      if found == seal { return }
      reason = "another seal was read"
    } catch {
      reason = error.message
    }
    throw Failure(
      .cannotWrite,
      "\(path) was written, but read back differently, so it was not put in place (\(reason)): "
        + "the disk or the memory may be failing")
  }

  /// Brings the renaming to the disk.
  private static func synchronizeDirectory(of path: String) throws(Descriptor.SystemError) {
    let directory = try Descriptor(path: Disk.directory(of: path), flags: O_RDONLY | O_DIRECTORY)
    do {
      try directory.synchronize()
    } catch {
      // Some file systems have nothing to do for a directory, and say so.
      if error.code != EINVAL && error.code != ENOTSUP { throw error }
    }
  }
}

/// Publishes an HDF5 file: all of it, verified, or nothing.
///
/// - Parameters:
///   - path: Where the file will stand, in a directory that exists.
///   - expectedByteCount: Bytes of all values that will be written.
///   - step: The step of a checkpoint.
///   - write: Makes the content.
/// - Returns: What now stands at the path.
/// - Throws: What `write` throws, and `cannotWrite`; what stood at the path before stands there still.
@discardableResult
package func publish(
  to path: String, expectedByteCount: Int, step: Int? = nil, write: (borrowing HDF5File) throws -> Void
) throws -> Publication.Result {
  let publication = try Publication(to: path, expectedByteCount: expectedByteCount, step: step)
  do {
    try write(publication.hdf5)
  } catch let error as HDF5Error {
    throw publication.failure(error)
  }
  return try publication.commit()
}
