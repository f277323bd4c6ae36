internal import Failures

extension PyTorchFile {
  /// How a zip file starts.
  static let zipMagic: [UInt8] = [0x50, 0x4B, 3, 4]
  /// How a file from before PyTorch 1.6 starts: a pickle of the number 0x1950a86a20f9469cfc6c.
  static let streamMagic: [UInt8] = [
    0x80, 2, 0x8A, 0x0A, 0x6C, 0xFC, 0x9C, 0x46, 0xF9, 0x20, 0x6A, 0xA8, 0x50, 0x19, 0x2E,
  ]

  /// Opens the zip form: one folder of any name with `data.pkl` and a stored entry per storage.
  /// - Throws: `Failure(.badContent)` when the file is damaged or holds anything but tensors.
  static func openZip(_ file: InputFile, wrappers: [String]) throws -> TensorArchive {
    let directory = try ZipDirectory(file)
    let pickles = directory.entries.keys.filter { $0.hasSuffix("/data.pkl") }
    guard pickles.count == 1, let pickle = pickles.first else {
      throw Failure(
        .badContent,
        "\(file.path.quoted) is a zip file but not one of PyTorch's: it has \(pickles.count) data.pkl")
    }
    let folder = pickle.dropLast("data.pkl".count)
    if directory.entries[folder + "byteorder"] != nil {
      let range = try directory.range(of: folder + "byteorder")
      guard range.count <= 16,
        try file.bytes(at: range.lowerBound, count: range.count) == Array("little".utf8)
      else {
        throw Failure(
          .badContent, "\(file.path.quoted) was written on a big-endian machine; save it on another")
      }
    }
    let range = try directory.range(of: pickle)
    guard range.count <= PickleMachine.maximumByteCount else {
      throw Failure(.badContent, "\(file.path.quoted) has a pickle of \(range.count) bytes: too many")
    }
    let bytes = try file.bytes(at: range.lowerBound, count: range.count)
    let machine = try PickleMachine(reading: bytes, path: file.path)
    return try archive(machine, file: file, wrappers: wrappers) { storage in
      try directory.range(of: folder + "data/" + storage.key)
    }
  }

  /// Opens the form from before PyTorch 1.6: five pickles (a number, a version, facts about the machine, the
  /// object, the keys of its storages), then for each key a count and that many numbers.
  /// - Throws: `Failure(.badContent)` when the file is damaged or holds anything but tensors.
  static func openStream(_ file: InputFile, wrappers: [String]) throws -> TensorArchive {
    let bytes = try file.bytes(at: 0, count: min(file.byteCount, PickleMachine.maximumByteCount))
    let version = try PickleMachine(reading: bytes, at: streamMagic.count, path: file.path)
    guard case .int(1001) = version.root else { throw version.failure("protocol 1001 is expected") }
    let system = try PickleMachine(reading: bytes, at: version.position, path: file.path)
    for (key, value) in system.members(system.root) ?? [] {
      if case .string("little_endian") = key, case .bool(false) = value {
        throw Failure(
          .badContent, "\(file.path.quoted) was written on a big-endian machine; save it on another")
      }
    }
    let machine = try PickleMachine(reading: bytes, at: system.position, path: file.path)
    let keyList = try PickleMachine(reading: bytes, at: machine.position, path: file.path)
    guard let keys = keyList.elements(keyList.root) else {
      throw keyList.failure("a list of keys is expected")
    }
    let ranges = try storageRanges(keys, of: machine, from: keyList.position, in: file)
    return try archive(machine, file: file, wrappers: wrappers) { storage in
      guard let range = ranges[storage.key] else {
        throw Failure(.badContent, "\(file.path.quoted) lacks the storage \(storage.key.quoted)")
      }
      return range
    }
  }

  /// Walks over the storages behind the pickles: where the numbers of each lie.
  private static func storageRanges(
    _ keys: [PickleValue], of machine: PickleMachine, from start: Int, in file: InputFile
  ) throws -> [String: Range<Int>] {
    let described = Dictionary(machine.storages.map { ($0.key, $0) }) { first, _ in first }
    var ranges: [String: Range<Int>] = [:]
    var position = start
    for key in keys {
      guard case .string(let key) = key, let storage = described[key], ranges[key] == nil else {
        throw Failure(.badContent, "\(file.path.quoted) lists a storage twice or one that no tensor uses")
      }
      let count = try file.bytes(at: position, count: 8).unsigned(at: 0, byteCount: 8)
      let byteCount = storage.elementCount * storage.element.byteCount
      guard count == storage.elementCount, byteCount <= file.byteCount - position - 8 else {
        throw Failure(
          .badContent,
          """
          \(file.path.quoted) is cut short or damaged: the storage \(key.quoted) should have \
          \(storage.elementCount) numbers at byte \(position)
          """)
      }
      ranges[key] = (position + 8)..<(position + 8 + byteCount)
      position += 8 + byteCount
    }
    return ranges
  }
}
