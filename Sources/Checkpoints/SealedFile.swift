package import Failures
internal import Glibc
package import HDF5

/// A published file, open for reading, whose every bit has been verified.
///
/// The seal's length and SHA-256 are compared with the bytes *before* libhdf5 parses any of them, and libhdf5
/// then reads through the very descriptor that was verified: a file that is renamed over the path in between
/// changes nothing. No file locks are taken (see `channel.h`), so `HDF5_USE_FILE_LOCKING` need not be set, on
/// NFS and Lustre neither.
///
/// A seal detects damage, not malice: whoever can write a file can also seal it.
package struct SealedFile: ~Copyable, Sendable {
  /// The path that was opened, for messages.
  package let path: String
  /// SHA-256 of everything after the first 512 bytes, in hexadecimal: the file's identity.
  package let sha256: String
  /// Bytes in the whole file.
  package let byteCount: Int
  /// The step of a checkpoint, as its seal says.
  package let step: Int?
  /// The content.
  package let hdf5: HDF5File

  private let descriptor: Descriptor
  private let status: Descriptor.Status

  /// Verifies a file and opens it.
  ///
  /// - Throws: `noInput` where it cannot be read, `badContent` where a bit of it is not as it was published.
  package static func open(_ path: String) throws(Failure) -> SealedFile {
    let descriptor = try Digest.openForReading(path)
    return try SealedFile(verifying: descriptor, path: path)
  }

  /// Verifies what is behind a descriptor, and opens a duplicate of it.
  init(verifying descriptor: consuming Descriptor, path: String) throws(Failure) {
    let (seal, status) = try Self.verify(descriptor, path: path)
    do throws(HDF5Error) {
      hdf5 = try HDF5File(reading: descriptor, path: path)
    } catch {
      throw error.failure
    }
    self.path = path
    self.sha256 = seal.sha256
    self.byteCount = status.length
    self.step = seal.step
    self.descriptor = descriptor
    self.status = status
  }

  /// The seal that a file shows, without any look at what follows it; a claim, not a fact.
  static func claim(_ path: String) throws(Failure) -> Seal {
    try seal(of: Digest.openForReading(path), path: path)
  }

  /// Compares an open file with its seal, in one pass.
  static func verify(
    _ descriptor: borrowing Descriptor, path: String
  ) throws(Failure) -> (seal: Seal, status: Descriptor.Status) {
    let before = try status(of: descriptor, path: path)
    let seal = try seal(of: descriptor, path: path)
    let expected = seal.bodyByteCount.addingReportingOverflow(Seal.byteCount)
    guard !expected.overflow, before.length == expected.partialValue else {
      throw Failure(
        .badContent,
        "\(path) has \(before.length) bytes, but was published with \(expected.partialValue): "
          + "it was cut or overwritten; use another copy, or make it again")
    }
    let body = try Digest.hex(of: descriptor, from: Seal.byteCount, path: path)
    guard body.hex == seal.sha256, body.byteCount == seal.bodyByteCount else {
      throw Failure(
        .badContent,
        "\(path) is damaged: the SHA-256 of its content is \(body.hex), but \(seal.sha256) was published; "
          + "use another copy, or make it again")
    }
    guard try status(of: descriptor, path: path) == before else { throw changed(path) }
    return (seal, before)
  }

  /// Throws when the file's content has changed since it was verified.
  package func checkUnchanged() throws(Failure) {
    guard try Self.status(of: descriptor, path: path) == status else { throw Self.changed(path) }
  }

  private static func seal(of descriptor: borrowing Descriptor, path: String) throws(Failure) -> Seal {
    var bytes = [UInt8](repeating: 0, count: Seal.byteCount)
    let count: Result<Int, Descriptor.SystemError> = bytes.withUnsafeMutableBytes { buffer in
      do throws(Descriptor.SystemError) {
        return .success(try descriptor.read(into: buffer, at: 0))
      } catch {
        return .failure(error)
      }
    }
    switch count {
    case .success(let count): return try Seal(Array(bytes.prefix(count)), path: path)
    case .failure(let error): throw Failure(.noInput, "\(path) cannot be read: \(error.text)")
    }
  }

  private static func status(
    of descriptor: borrowing Descriptor, path: String
  ) throws(Failure) -> Descriptor.Status {
    do {
      return try descriptor.status()
    } catch {
      throw Failure(.noInput, "\(path) cannot be read: \(error.text)")
    }
  }

  private static func changed(_ path: String) -> Failure {
    Failure(
      .badContent, "\(path) was changed by another program while it was being read; start again when it rests"
    )
  }
}
