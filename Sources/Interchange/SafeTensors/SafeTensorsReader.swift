internal import Failures
internal import JSON

/// The safetensors container: a length, a JSON header that long, the numbers.
///
/// - SeeAlso: [The format](https://huggingface.co/docs/safetensors/index#format).
package enum SafeTensors {
  /// The longest header that the reference implementation accepts.
  static let maximumHeaderByteCount = 100_000_000

  /// Reads the header of a file and checks it against the file's size.
  /// - Throws: `Failure(.badContent)` when the file is not exactly what its header says.
  static func open(_ file: InputFile) throws -> TensorArchive {
    let name = file.path.quoted
    let prefix = try file.bytes(at: 0, count: 8)
    let length = prefix.reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    guard length <= maximumHeaderByteCount, Int(length) <= file.byteCount - 8 else {
      throw Failure(
        .badContent,
        """
        \(name) is cut short or is not a safetensors file: its header would take \(length) bytes, \
        but the file has \(file.byteCount) and headers end at \(maximumHeaderByteCount)
        """)
    }
    let dataStart = 8 + Int(length)
    let header = try file.bytes(at: 8, count: Int(length))
    var items = try parse(header, source: "the header of \(name)")
    try checkLayout(&items, dataByteCount: file.byteCount - dataStart, of: name)
    let tensors = items.map {
      StoredTensor(entry: $0.entry, file: file, offset: dataStart + $0.begin, strides: nil)
    }
    return try TensorArchive(path: file.path, tensors: tensors)
  }

  /// A tensor and the bytes it takes, counted from the end of the header.
  private struct Item {
    let entry: TensorEntry
    let begin: Int
    let end: Int
  }

  private static func parse(_ header: [UInt8], source: String) throws -> [Item] {
    var scanner = JSONScanner(header[...], source: source)
    var items: [Item] = []
    try scanner.object { name, scanner in
      if name == "__metadata__" {
        try scanner.object { _, scanner in _ = try scanner.string() }
      } else {
        guard items.count < TensorArchive.maximumTensors else {
          throw scanner.failure("there are more than \(TensorArchive.maximumTensors) tensors")
        }
        items.append(try item(name, from: &scanner))
      }
    }
    try scanner.end()
    return items
  }

  private static func item(_ name: String, from scanner: inout JSONScanner) throws -> Item {
    var element: TensorElement?
    var shape: [Int]?
    var offsets: [Int]?
    try scanner.object { key, scanner in
      switch key {
      case "dtype":
        let text = try scanner.string()
        guard let known = TensorElement(rawValue: text) else {
          throw scanner.failure("the tensor \(name.quoted) has the unknown element type \(text.quoted)")
        }
        element = known
      case "shape": shape = try numbers(&scanner, atMost: TensorEntry.maximumDimensions)
      case "data_offsets": offsets = try numbers(&scanner, atMost: 2)
      default: try scanner.skipValue()
      }
    }
    guard let element, let shape, let offsets, offsets.count == 2 else {
      throw scanner.failure("the tensor \(name.quoted) needs dtype, shape and two data_offsets")
    }
    guard let entry = TensorEntry(checking: name, element: element, shape: shape) else {
      throw scanner.failure("the tensor \(name.quoted) is too large to exist")
    }
    return Item(entry: entry, begin: offsets[0], end: offsets[1])
  }

  private static func numbers(_ scanner: inout JSONScanner, atMost limit: Int) throws -> [Int] {
    var numbers: [Int] = []
    try scanner.array { scanner in
      guard numbers.count < limit else { throw scanner.failure("a list has more than \(limit) numbers") }
      numbers.append(try scanner.wholeNumber())
    }
    return numbers
  }

  /// Puts the tensors in the order of the file and checks that they fill it without gaps or overlaps.
  private static func checkLayout(_ items: inout [Item], dataByteCount: Int, of file: String) throws {
    items = items.enumerated()
      .sorted {
        ($0.element.begin, $0.element.end, $0.offset) < ($1.element.begin, $1.element.end, $1.offset)
      }
      .map(\.element)
    var end = 0
    for item in items {
      let tensor = "\(file): the tensor \(item.entry.name.quoted)"
      guard item.begin == end else {
        throw Failure(
          .badContent, "\(tensor) starts at byte \(item.begin) of the data, where \(end) was expected")
      }
      guard item.end >= item.begin, item.end - item.begin == item.entry.byteCount else {
        throw Failure(
          .badContent,
          "\(tensor) of shape \(item.entry.shape) takes \(item.entry.byteCount) bytes, "
            + "but its data_offsets are \(item.begin) and \(item.end)")
      }
      guard item.end <= dataByteCount else {
        throw Failure(
          .badContent,
          "\(tensor) ends at byte \(item.end) of the data, but the file has \(dataByteCount): it is cut short"
        )
      }
      end = item.end
    }
    guard end == dataByteCount else {
      throw Failure(.badContent, "\(file) has \(dataByteCount - end) bytes after its last tensor")
    }
  }
}
