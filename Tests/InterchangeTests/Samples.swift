import Failures
import Interchange
import TestSupport
import Testing

/// Files made in code, byte by byte and apart from the product's writers.
enum Samples {
  /// A safetensors file with a given header.
  static func safetensors(_ header: String, data: [UInt8] = []) -> [UInt8] {
    littleEndian(header.utf8.count, 8) + Array(header.utf8) + data
  }

  /// A safetensors file with a matrix of two rows and three columns, a scalar, an empty tensor and two whole
  /// numbers.
  static let plainSafetensors = safetensors(
    #"{"m":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},"s":{"dtype":"F32","shape":[],"data_offsets":[24,28]},"#
      + #""e":{"dtype":"F32","shape":[0,4],"data_offsets":[28,28]},"#
      + #""i":{"dtype":"I32","shape":[2],"data_offsets":[28,36]},"__metadata__":{"format":"pt"}}"#,
    data: floats([1, 2, 3, 4, 5, 6]) + floats([3.5]) + littleEndian(7, 4) + littleEndian(-8, 4))

  /// The zip form with one pickle and its storages.
  static func torchZip(_ pickle: [UInt8], storages: [[UInt8]] = [], isWide: Bool = false) -> [UInt8] {
    var entries: [(String, [UInt8])] = [("stem/data.pkl", pickle), ("stem/byteorder", Array("little".utf8))]
    for (index, storage) in storages.enumerated() { entries.append(("stem/data/\(index)", storage)) }
    entries.append(("stem/version", Array("3\n".utf8)))
    return zip(entries, isWide: isWide)
  }

  /// The form before 1.6 with one pickle and its storages by key.
  static func torchStream(_ object: [UInt8], storages: [(key: String, count: Int, bytes: [UInt8])]) -> [UInt8] {
    var file: [UInt8] = [
      0x80, 2, 0x8A, 0x0A, 0x6C, 0xFC, 0x9C, 0x46, 0xF9, 0x20, 0x6A, 0xA8, 0x50, 0x19, 0x2E,
    ]
    file += [0x80, 2, 0x4D, 0xE9, 3, 0x2E]
    file += Pickle.file(Pickle.dictionary([("little_endian", [0x88])]))
    file += object
    file += Pickle.file(Pickle.list(storages.map { Pickle.text($0.key) }))
    for storage in storages { file += littleEndian(storage.count, 8) + storage.bytes }
    return file
  }

  /// A zip file of stored entries; with `isWide`, sizes and offsets stand in Zip64 fields.
  static func zip(_ entries: [(String, [UInt8])], isWide: Bool = false, method: Int = 0) -> [UInt8] {
    var file: [UInt8] = []
    var directory: [UInt8] = []
    for (name, bytes) in entries {
      let offset = file.count
      let narrow = littleEndian(isWide ? 0xFFFF_FFFF : bytes.count, 4)
      let common =
        littleEndian(method, 2) + littleEndian(0, 8) + narrow + narrow + littleEndian(name.utf8.count, 2)
      let sizes = littleEndian(bytes.count, 8) + littleEndian(bytes.count, 8)
      file += littleEndian(0x0403_4B50, 4) + [45, 0, 0, 0] + common
      file += isWide ? [20, 0] + Array(name.utf8) + [1, 0, 16, 0] + sizes : [0, 0] + Array(name.utf8)
      file += bytes
      directory += littleEndian(0x0201_4B50, 4) + [45, 0, 45, 0, 0, 0] + common
      directory += [isWide ? 28 : 0, 0] + littleEndian(0, 10)
      directory += littleEndian(isWide ? 0xFFFF_FFFF : offset, 4) + Array(name.utf8)
      if isWide { directory += [1, 0, 24, 0] + sizes + littleEndian(offset, 8) }
    }
    let start = file.count
    file += directory
    if isWide {
      let record = file.count
      file += littleEndian(0x0606_4B50, 4) + littleEndian(44, 8) + [45, 0, 45, 0] + littleEndian(0, 8)
      file += littleEndian(entries.count, 8) + littleEndian(entries.count, 8)
      file += littleEndian(directory.count, 8) + littleEndian(start, 8)
      file += littleEndian(0x0706_4B50, 4) + littleEndian(0, 4) + littleEndian(record, 8) + littleEndian(1, 4)
    }
    file += littleEndian(0x0605_4B50, 4) + littleEndian(0, 4)
    file += littleEndian(entries.count, 2) + littleEndian(entries.count, 2)
    file += littleEndian(isWide ? 0xFFFF_FFFF : directory.count, 4)
    file += littleEndian(isWide ? 0xFFFF_FFFF : start, 4) + [0, 0]
    return file
  }

  static func littleEndian(_ number: Int, _ byteCount: Int) -> [UInt8] {
    (0..<byteCount).map { $0 < 8 ? UInt8(truncatingIfNeeded: number >> (8 * $0)) : 0 }
  }

  static func floats(_ numbers: [Float]) -> [UInt8] {
    numbers.flatMap { littleEndian(Int($0.bitPattern), 4) }
  }
}

/// Pieces of pickles, protocol 2.
enum Pickle {
  static func file(_ value: [UInt8]) -> [UInt8] { [0x80, 2] + value + [0x2E] }

  static func text(_ text: String) -> [UInt8] {
    [0x58] + Samples.littleEndian(text.utf8.count, 4) + Array(text.utf8)
  }

  static func int(_ number: Int) -> [UInt8] { [0x8A, 8] + Samples.littleEndian(number, 8) }

  static func tuple(_ values: [[UInt8]]) -> [UInt8] { [0x28] + values.flatMap { $0 } + [0x74] }

  static func list(_ values: [[UInt8]]) -> [UInt8] { [0x5D, 0x28] + values.flatMap { $0 } + [0x65] }

  static func dictionary(_ members: [(String, [UInt8])]) -> [UInt8] {
    [0x7D, 0x28] + members.flatMap { text($0.0) + $0.1 } + [0x75]
  }

  static func global(_ module: String, _ name: String) -> [UInt8] { Array("c\(module)\n\(name)\n".utf8) }

  static func call(_ function: [UInt8], _ arguments: [[UInt8]]) -> [UInt8] {
    function + tuple(arguments) + [0x52]
  }

  /// A storage's persistent identifier; old files add a view.
  static func storage(
    _ type: String = "FloatStorage", key: String = "0", count: Int, view: [UInt8]? = nil
  ) -> [UInt8] {
    tuple(
      [text("storage"), global("torch", type), text(key), text("cpu"), int(count)] + (view.map { [$0] } ?? [])
    )
      + [0x51]
  }

  static func tensor(_ storage: [UInt8], offset: Int = 0, _ shape: [Int], _ strides: [Int]) -> [UInt8] {
    call(
      global("torch._utils", "_rebuild_tensor_v2"),
      [
        storage, int(offset), tuple(shape.map(int)), tuple(strides.map(int)), [0x89],
        global("collections", "OrderedDict") + [0x29, 0x52],
      ])
  }
}

/// Opens bytes as a file of tensors.
func open(_ bytes: [UInt8], unwrapping wrappers: [String] = []) throws -> TensorArchive {
  // The archive keeps the file open, so it may lose its name.
  try withTemporaryDirectory { directory in
    try TensorArchive(opening: directory.write(bytes, to: "file"), unwrapping: wrappers)
  }
}

/// Opens bytes as a file of tensors and reads every number.
@discardableResult
func readAll(_ bytes: [UInt8]) throws -> [String: [Double]] {
  let archive = try open(bytes)
  var tensors: [String: [Double]] = [:]
  for entry in archive.entries where entry.element.isWeight || entry.element.isInteger {
    tensors[entry.name] =
      entry.element.isWeight
      ? try archive.doubles(entry.name) : try archive.integers(entry.name).map { Double($0) }
  }
  return tensors
}

/// Expects a failure of a kind whose sentence has some words.
func expectFailure<Result>(
  _ kind: Failure.Kind = .badContent, _ words: String, sourceLocation: SourceLocation = #_sourceLocation,
  _ body: () throws -> Result
) {
  do {
    _ = try body()
    Issue.record("a failure saying \"\(words)\" was expected", sourceLocation: sourceLocation)
  } catch let failure as Failure {
    #expect(failure.kind == kind, "\(failure)", sourceLocation: sourceLocation)
    #expect(failure.message.contains(words), sourceLocation: sourceLocation)
  } catch {
    Issue.record("\(error) is not a Failure", sourceLocation: sourceLocation)
  }
}
