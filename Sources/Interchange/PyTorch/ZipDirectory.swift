internal import Failures

/// The entries of a zip file whose entries are stored, not compressed, as PyTorch writes it; with Zip64
/// sizes.
///
/// - SeeAlso: PKWARE's *APPNOTE.TXT*, §4.3 (central directory) and §4.5.3 (Zip64 extra field).
struct ZipDirectory {
  /// An entry: where its local header starts and how many bytes it has.
  struct Entry {
    let localHeader: Int
    let byteCount: Int
  }

  /// Entries by name.
  let entries: [String: Entry]
  private let file: InputFile
  /// Where the central directory starts, and with it the entries end.
  private let end: Int

  static let maximumEntries = 100_000
  static let maximumByteCount = 1 << 26

  /// Reads the central directory at the end of a file.
  /// - Throws: `Failure(.badContent)` when there is none or an entry is compressed, encrypted or impossible.
  init(_ file: InputFile) throws {
    let directory = try ZipDirectory.locate(in: file)
    guard directory.byteCount <= ZipDirectory.maximumByteCount else {
      throw ZipDirectory.failure(file, "its directory takes \(directory.byteCount) bytes")
    }
    let bytes = try file.bytes(at: directory.start, count: directory.byteCount)
    self.file = file
    end = directory.start
    entries = try ZipDirectory.parse(bytes, of: file)
  }

  /// The bytes of the file that an entry takes.
  /// - Throws: `Failure(.badContent)` when there is no such entry or it does not lie inside the file.
  func range(of name: String) throws -> Range<Int> {
    guard let entry = entries[name] else {
      throw ZipDirectory.failure(file, "it has no entry \(name.quoted)")
    }
    let header = try file.bytes(at: entry.localHeader, count: 30)
    guard header.starts(with: [0x50, 0x4B, 3, 4]),
      let nameCount = header.unsigned(at: 26, byteCount: 2),
      let extraCount = header.unsigned(at: 28, byteCount: 2),
      try file.bytes(at: entry.localHeader + 30, count: nameCount) == Array(name.utf8)
    else {
      throw ZipDirectory.failure(file, "its entry \(name.quoted) does not start where its directory says")
    }
    let start = entry.localHeader + 30 + nameCount + extraCount
    let (stop, overflow) = start.addingReportingOverflow(entry.byteCount)
    guard !overflow, stop <= end else {
      throw ZipDirectory.failure(file, "its entry \(name.quoted) runs past the end of the data")
    }
    return start..<stop
  }

  private static func failure(_ file: InputFile, _ what: String) -> Failure {
    Failure(.badContent, "the zip file \(file.path.quoted) is cut short or damaged: \(what)")
  }
}

// MARK: The central directory

extension ZipDirectory {
  /// Finds the central directory through the record at the end of the file, or its Zip64 twin.
  private static func locate(in file: InputFile) throws -> (start: Int, byteCount: Int) {
    let tailCount = min(file.byteCount, 22 + 0xFFFF + 20)
    let tailStart = file.byteCount - tailCount
    let tail = try file.bytes(at: tailStart, count: tailCount)
    guard let record = endRecord(in: tail) else { throw failure(file, "the directory at its end is missing") }
    var start = tail.unsigned(at: record + 16, byteCount: 4)
    var byteCount = tail.unsigned(at: record + 12, byteCount: 4)
    var limit = tailStart + record
    if record >= 20, tail[(record - 20)...].starts(with: [0x50, 0x4B, 6, 7]) {
      guard let wideRecord = tail.unsigned(at: record - 12, byteCount: 8), wideRecord <= limit else {
        throw failure(file, "its Zip64 record is not inside")
      }
      let wide = try file.bytes(at: wideRecord, count: 56)
      guard wide.starts(with: [0x50, 0x4B, 6, 6]) else { throw failure(file, "its Zip64 record is missing") }
      start = wide.unsigned(at: 48, byteCount: 8)
      byteCount = wide.unsigned(at: 40, byteCount: 8)
      limit = wideRecord
    }
    guard let start, let byteCount, start <= limit, byteCount <= limit - start else {
      throw failure(file, "its directory is not inside")
    }
    return (start, byteCount)
  }

  /// The last place where an end record fits exactly, its comment included.
  private static func endRecord(in tail: [UInt8]) -> Int? {
    guard tail.count >= 22 else { return nil }
    return (0...(tail.count - 22)).reversed().first { position in
      tail[position...].starts(with: [0x50, 0x4B, 5, 6])
        && tail.unsigned(at: position + 20, byteCount: 2) == tail.count - position - 22
    }
  }

  private static func parse(_ bytes: [UInt8], of file: InputFile) throws -> [String: Entry] {
    var entries: [String: Entry] = [:]
    var position = 0
    while position < bytes.count {
      guard bytes[position...].starts(with: [0x50, 0x4B, 1, 2]),
        let flags = bytes.unsigned(at: position + 8, byteCount: 2),
        let method = bytes.unsigned(at: position + 10, byteCount: 2),
        let nameCount = bytes.unsigned(at: position + 28, byteCount: 2),
        let extraCount = bytes.unsigned(at: position + 30, byteCount: 2),
        let commentCount = bytes.unsigned(at: position + 32, byteCount: 2),
        position + 46 + nameCount + extraCount + commentCount <= bytes.count
      else { throw failure(file, "its directory is broken at byte \(position)") }
      let nameStart = position + 46
      let extraStart = nameStart + nameCount
      guard let name = String(validating: bytes[nameStart..<extraStart], as: UTF8.self) else {
        throw failure(file, "the name of an entry is not UTF-8")
      }
      let extra = Array(bytes[extraStart..<(extraStart + extraCount)])
      guard flags & 1 == 0, method == 0,
        let entry = entry(header: Array(bytes[position..<nameStart]), extra: extra)
      else {
        throw failure(
          file, "the entry \(name.quoted) is compressed or encrypted, or its sizes are impossible")
      }
      guard entries.updateValue(entry, forKey: name) == nil, entries.count <= maximumEntries else {
        throw failure(file, "the entry \(name.quoted) occurs twice, or there are too many entries")
      }
      position = extraStart + extraCount + commentCount
    }
    return entries
  }

  /// Reads sizes and offset of an entry; a field of all ones stands in the Zip64 extra field instead.
  private static func entry(header: [UInt8], extra: [UInt8]) -> Entry? {
    var wide = wideField(in: extra)[...]
    func number(at offset: Int) -> Int? {
      guard let narrow = header.unsigned(at: offset, byteCount: 4) else { return nil }
      guard narrow == 0xFFFF_FFFF else { return narrow }
      defer { wide = wide.dropFirst(8) }
      return Array(wide).unsigned(at: 0, byteCount: 8)
    }
    guard let byteCount = number(at: 24), let storedByteCount = number(at: 20),
      let localHeader = number(at: 42), byteCount == storedByteCount
    else { return nil }
    return Entry(localHeader: localHeader, byteCount: byteCount)
  }

  /// The content of the Zip64 extra field; empty when there is none.
  private static func wideField(in extra: [UInt8]) -> [UInt8] {
    var position = 0
    while let tag = extra.unsigned(at: position, byteCount: 2),
      let count = extra.unsigned(at: position + 2, byteCount: 2), position + 4 + count <= extra.count
    {
      if tag == 1 { return Array(extra[(position + 4)..<(position + 4 + count)]) }
      position += 4 + count
    }
    return []
  }
}
