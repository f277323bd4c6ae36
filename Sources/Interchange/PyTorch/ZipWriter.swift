/// Writes a zip file of stored entries, below 4 GiB, each starting at a multiple of 64 so that it can be
/// mapped.
struct ZipWriter: ~Copyable {
  private var file: OutputFile
  private var directory: [UInt8] = []
  private var entryCount = 0
  private var current: (name: String, localHeader: Int, byteCount: Int)?
  private var checksum = CRC32()

  private static let alignment = 64

  /// Starts a file.
  /// - Throws: `Failure(.cannotWrite)` when it cannot be made.
  init(_ path: String) throws { file = try OutputFile(path) }

  /// Adds an entry that is at hand.
  /// - Throws: `Failure(.cannotWrite)` when writing fails.
  mutating func add(_ name: String, _ bytes: [UInt8]) throws {
    try begin(name, byteCount: bytes.count)
    try bytes.withUnsafeBytes { try append($0) }
    try end()
  }

  /// Starts an entry of a known size, whose bytes are then appended.
  /// - Throws: `Failure(.cannotWrite)` when writing fails.
  mutating func begin(_ name: String, byteCount: Int) throws {
    let localHeader = file.byteCount
    checksum = CRC32()
    current = (name, localHeader, byteCount)
    let unpadded = localHeader + 30 + name.utf8.count + 4
    let padding = (ZipWriter.alignment - unpadded % ZipWriter.alignment) % ZipWriter.alignment
    var header: [UInt8] = [0x50, 0x4B, 3, 4]
    header += fields(checksum: 0, byteCount: byteCount, nameCount: name.utf8.count, extraCount: 4 + padding)
    header += name.utf8
    // An extra field with PyTorch's own tag for padding.
    header += "FB".utf8
    header.append(littleEndian: padding, byteCount: 2)
    header += [UInt8](repeating: 0, count: padding)
    try file.write(header)
  }

  /// Appends bytes of the entry that was begun.
  /// - Throws: `Failure(.cannotWrite)` when writing fails.
  mutating func append(_ bytes: UnsafeRawBufferPointer) throws {
    checksum.update(bytes)
    try file.write(bytes)
  }

  /// Ends the entry that was begun, and puts its checksum into its header.
  /// - Throws: `Failure(.cannotWrite)` when writing fails.
  mutating func end() throws {
    guard let (name, localHeader, byteCount) = current else { return }
    current = nil
    var digits: [UInt8] = []
    digits.append(littleEndian: Int(checksum.value), byteCount: 4)
    try file.overwrite(digits, at: localHeader + 14)
    directory += [0x50, 0x4B, 1, 2, 20, 0]
    directory += fields(
      checksum: checksum.value, byteCount: byteCount, nameCount: name.utf8.count, extraCount: 0)
    // Comment, disk and attributes are all zero.
    directory += [UInt8](repeating: 0, count: 10)
    directory.append(littleEndian: localHeader, byteCount: 4)
    directory += name.utf8
    entryCount += 1
  }

  /// Writes the directory and puts the file in its place.
  /// - Throws: `Failure(.cannotWrite)` when writing fails.
  mutating func finish() throws {
    let start = file.byteCount
    try file.write(directory)
    var record: [UInt8] = [0x50, 0x4B, 5, 6, 0, 0, 0, 0]
    record.append(littleEndian: entryCount, byteCount: 2)
    record.append(littleEndian: entryCount, byteCount: 2)
    record.append(littleEndian: directory.count, byteCount: 4)
    record.append(littleEndian: start, byteCount: 4)
    record += [0, 0]
    try file.write(record)
    try file.finish()
  }

  /// The fields that a local header and the directory share, from the version needed to the length of the
  /// extra field.
  private func fields(checksum: UInt32, byteCount: Int, nameCount: Int, extraCount: Int) -> [UInt8] {
    // Version 2.0; UTF-8 names; stored; 1 January 1980, so that equal content gives equal files.
    var bytes: [UInt8] = [20, 0, 0, 8, 0, 0, 0, 0, 0x21, 0]
    bytes.append(littleEndian: Int(checksum), byteCount: 4)
    bytes.append(littleEndian: byteCount, byteCount: 4)
    bytes.append(littleEndian: byteCount, byteCount: 4)
    bytes.append(littleEndian: nameCount, byteCount: 2)
    bytes.append(littleEndian: extraCount, byteCount: 2)
    return bytes
  }
}

/// The checksum of zip files: the CRC of ISO 3309 with the polynomial 0xEDB88320, reflected.
struct CRC32 {
  private var register: UInt32 = 0xFFFF_FFFF

  /// The checksum of everything so far.
  var value: UInt32 { ~register }

  private static let table: [UInt32] = (0..<256).map { byte in
    (0..<8).reduce(UInt32(byte)) { sum, _ in sum & 1 == 1 ? 0xEDB8_8320 ^ sum >> 1 : sum >> 1 }
  }

  /// Adds bytes.
  mutating func update(_ bytes: UnsafeRawBufferPointer) {
    var sum = register
    CRC32.table.withUnsafeBufferPointer { table in
      for byte in bytes { sum = table[Int(UInt8(truncatingIfNeeded: sum) ^ byte)] ^ sum >> 8 }
    }
    register = sum
  }
}
