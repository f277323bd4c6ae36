/// The files that a pickle of tensors lies in, around pickles that nobody vouches for.
enum Pickled {
  private static let storage = [UInt8](repeating: 1, count: 256)

  /// A zip with `data.pkl` and a storage of 256 bytes, as PyTorch writes it since 1.6.
  static func zip(_ pickle: [UInt8]) -> [UInt8] {
    var file: [UInt8] = []
    var directory: [UInt8] = []
    for (name, bytes) in [("a/data.pkl", pickle), ("a/data/0", storage)] {
      let common =
        number(0, 2) + number(0, 8) + number(bytes.count, 4) + number(bytes.count, 4) + number(name.utf8.count, 2)
      directory += number(0x0201_4B50, 4) + [20, 0, 20, 0, 0, 0] + common + [0, 0] + number(0, 10)
      directory += number(file.count, 4) + Array(name.utf8)
      file += number(0x0403_4B50, 4) + [20, 0, 0, 0] + common + [0, 0] + Array(name.utf8) + bytes
    }
    let end = number(0x0605_4B50, 4) + number(0, 4) + number(2, 2) + number(2, 2)
    return file + directory + end + number(directory.count, 4) + number(file.count, 4) + [0, 0]
  }

  /// Magic number, protocol, system, the pickle, the keys of storages, the storages: PyTorch before 1.6.
  static func stream(_ pickle: [UInt8]) -> [UInt8] {
    let magic: [UInt8] = [0x80, 2, 0x8A, 0x0A, 0x6C, 0xFC, 0x9C, 0x46, 0xF9, 0x20, 0x6A, 0xA8, 0x50, 0x19, 0x2E]
    let system: [UInt8] =
      [0x80, 2, 0x7D, 0x28, 0x58] + number(13, 4) + Array("little_endian".utf8) + [0x88, 0x75, 0x2E]
    let keys: [UInt8] = [0x80, 2, 0x5D, 0x28, 0x58] + number(1, 4) + Array("0".utf8) + [0x65, 0x2E]
    return magic + [0x80, 2, 0x4D, 0xE9, 3, 0x2E] + system + pickle + keys + number(storage.count / 4, 8) + storage
  }

  /// Little-endian.
  static func number(_ value: Int, _ byteCount: Int) -> [UInt8] {
    (0..<byteCount).map { $0 < 8 ? UInt8(truncatingIfNeeded: value >> (8 * $0)) : 0 }
  }
}
