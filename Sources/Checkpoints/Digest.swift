internal import Crypto
internal import Failures
internal import Glibc
internal import HDF5

/// SHA-256 in hexadecimal, of bytes and of files of any size.
package enum Digest {
  /// The digest of bytes in memory, 64 lower-case hexadecimal digits.
  package static func hex(of bytes: [UInt8]) -> String {
    hexadecimal(SHA256.hash(data: bytes))
  }

  /// The digest of bytes in memory, 64 lower-case hexadecimal digits.
  package static func hex(of bytes: UnsafeRawBufferPointer) -> String {
    var hash = SHA256()
    hash.update(bufferPointer: bytes)
    return hexadecimal(hash.finalize())
  }

  /// The digest of bytes that come in pieces: `feed` hands each piece to the function it is given.
  package static func hex(_ feed: (_ update: (UnsafeRawBufferPointer) -> Void) -> Void) -> String {
    var hash = SHA256()
    feed { hash.update(bufferPointer: $0) }
    return hexadecimal(hash.finalize())
  }

  /// The digest of a whole file, as `sha256sum` prints it.
  package static func hex(ofFile path: String) throws -> String {
    let descriptor = try openForReading(path)
    return try hex(of: descriptor, from: 0, path: path).hex
  }

  /// The digest of an open file from a place to its end, and how many bytes that is.
  static func hex(
    of descriptor: borrowing Descriptor, from start: Int, path: String
  ) throws(Failure) -> (hex: String, byteCount: Int) {
    // Large enough that calls cost nothing, small enough to stay in the processor's cache.
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 18, alignment: 64)
    defer { buffer.deallocate() }
    descriptor.willReadSequentially()
    var hash = SHA256()
    var offset = start
    while true {
      let count: Int
      do {
        count = try descriptor.read(into: buffer, at: offset)
      } catch {
        throw Failure(.noInput, "\(path): \(error.text) while reading at byte \(offset)")
      }
      hash.update(bufferPointer: UnsafeRawBufferPointer(rebasing: buffer[..<count]))
      offset += count
      if count < buffer.count { return (hexadecimal(hash.finalize()), offset - start) }
    }
  }

  /// Opens a plain file for reading, and nothing else: a pipe would block, a directory has no bytes.
  static func openForReading(_ path: String) throws(Failure) -> Descriptor {
    do {
      let descriptor = try Descriptor(path: path, flags: O_RDONLY | O_NONBLOCK)
      if try descriptor.status().isRegular { return descriptor }
    } catch {
      throw Failure(.noInput, "\(path) cannot be opened: \(error.text); name a file that is there and may be read.")
    }
    throw Failure(.noInput, "\(path) is not a plain file; name one.")
  }

  private static func hexadecimal(_ digest: SHA256.Digest) -> String {
    let digits = Array("0123456789abcdef".utf8)
    return String(decoding: digest.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
  }
}
