import Checkpoints
import Failures
import FineTuning
import FoundationEssentials
import HDF5
import Interchange
import JSON
import Tokenization

/// Reads a file of ours to the last byte: attributes, tensors of every group, files.
func readSealed(_ path: String) throws {
  let file = try TensorFile(opening: path)
  var attempts = Attempts()
  var kinds = Attempts()
  for name in try asFailure({ () throws(HDF5Error) in try file.sealed.hdf5.attributeNames() }) {
    // An attribute is of one kind and refuses to be another.
    try kinds.attempt { _ = try file.json(name) }
    try kinds.attempt { _ = try file.decode(JSONValue.self, name) }
    try kinds.attempt { _ = try file.decode(TokenizerSettings.self, name) }
    try kinds.attempt { _ = try file.decode(FineTuningOptions.self, name) }
    try kinds.attempt { try asFailure { () throws(HDF5Error) in _ = try file.sealed.hdf5.integerAttribute(name) } }
    try kinds.attempt { try asFailure { () throws(HDF5Error) in _ = try file.sealed.hdf5.doubleAttribute(name) } }
  }
  for group in ["/", TensorSchema.tensors, TensorSchema.firstMoment, TensorSchema.secondMoment] {
    try attempts.attempt {
      for entry in try file.entries(group) {
        try withNumbers(entry.count) { try file.read(entry.name, in: group, shape: entry.shape, into: $0) }
      }
    }
  }
  try attempts.attempt {
    for name in try file.fileNames() { _ = try file.bytes(name) }
  }
  try attempts.end()
}

/// Says what HDF5's wrapper refuses as the program does.
private func asFailure<Result>(_ body: () throws(HDF5Error) -> Result) throws(Failure) -> Result {
  do throws(HDF5Error) { return try body() } catch { throw error.failure }
}

/// Bytes of HDF5 under a seal that fits them, as `FileFormat.md` describes it.
func underSeal(_ body: [UInt8], step: String = "none") -> [UInt8] {
  let values = "bert-ddp seal 1\nlength \(body.count)\nsha256 \(Digest.hex(of: body))\nstep \(step)\n"
  let text = """
    \(values)check \(Digest.hex(of: Array(values.utf8)))
    What follows these 512 bytes is an HDF5 file; h5ls, h5dump and h5py read the whole as it is.
    To check it: tail -c +513 FILE | sha256sum   must print the sha256 above.

    """
  return Array(text.utf8) + [UInt8](repeating: 32, count: 511 - text.utf8.count) + [10] + body
}

/// Makes an HDF5 file of any members: bytes read as a list of what to write, so that a fuzzer reaches schemas and not
/// only checksums.
struct SchemaProgram {
  private var bytes: ArraySlice<UInt8>

  init(_ bytes: [UInt8]) { self.bytes = bytes.prefix(400)[...] }

  private static let names = [
    "format", "format_version", "producer", "step", "configuration", "description", "a", "b", ".", "..", "", "a/b",
    "vocab.txt", "bert.pooler.dense.weight", "나", "x\u{1}y",
  ]
  private static let groups = ["/", "/tensors", "/files", "/optimizer/first_moment", "/optimizer/second_moment", "/g"]
  private static let texts = ["bert-ddp base", "bert-ddp checkpoint", "bert-ddp model", "", "{", "\u{0}", "7"]
  private static let openings = ["[", "{\"a\":", "[{\"a\":", "7"]

  private mutating func next(_ limit: Int) -> Int { Int(bytes.popFirst() ?? 0) % limit }

  /// Writes the file, and hands its path over.
  mutating func write(_ file: borrowing HDF5File) {
    // A writer that refuses a name is not what is tried here.
    if next(4) > 0 { try? file.setAttribute("format", Self.texts[next(3)]) }
    if next(4) > 0 { try? file.setAttribute("format_version", Int64(next(3))) }
    while !bytes.isEmpty {
      let group = Self.groups[next(Self.groups.count)]
      let name = Self.names[next(Self.names.count)]
      let path = group == "/" ? "/" + name : group + "/" + name
      switch next(8) {
      case 0: try? file.createGroup(path)
      case 1: try? file.setAttribute(name, Self.texts[next(Self.texts.count)], on: next(2) == 0 ? "/" : group)
      case 2: try? file.setAttribute(name, Int64(next(256)) - 3, on: next(2) == 0 ? "/" : group)
      case 3: try? file.setAttribute(name, Double(next(256)) / 7, on: "/")
      case 4: try? write(path, [Float(next(256))], to: file)
      case 5: try? write(path, [UInt8(next(256))], to: file)
      case 6:
        let opening = Self.openings[next(Self.openings.count)]
        try? file.setAttribute(name, String(repeating: opening, count: 8 * next(256)))
      default:
        // Claims more than it stores: nothing is written to it.
        let shape = (0..<next(5)).map { _ in 1 << next(20) }
        try? file.createDataset(path, shape: shape, next(2) == 0 ? .float32 : .uint8)
      }
    }
  }

  private mutating func write<Element: HDF5Element>(
    _ path: String, _ value: [Element], to file: borrowing HDF5File
  ) throws {
    let shape = (0..<next(4)).map { _ in next(5) }
    guard let first = value.first else { return }
    try [Element](repeating: first, count: shape.reduce(1, *)).withUnsafeBufferPointer {
      try file.write(path, shape: shape, $0)
    }
  }

  /// Writes the file, seals it and hands its path over.
  consuming func run(at path: String, _ read: (String) throws -> Void) throws {
    let file = try HDF5File.create(path, userBlock: 512)
    write(file)
    try file.close()
    let body = try InputFile.contents(of: path).dropFirst(512)
    try Data(underSeal(Array(body))).write(to: URL(filePath: path))
    try read(path)
  }
}
