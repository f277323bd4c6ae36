internal import Failures
internal import Glibc

/// The lines of a buffer, one after the other: ranges without `\n` or `\r\n`; a last line may lack its end.
struct LineScanner {
  private let bytes: UnsafeBufferPointer<UInt8>
  private let name: String
  private var position: Int
  /// The number of the line that `next` gave last; the first line is 1.
  private(set) var line = 0

  /// The lines of `bytes` after a byte order mark, if there is one; `name` is for messages.
  init(_ bytes: UnsafeBufferPointer<UInt8>, name: String) {
    self.bytes = bytes
    self.name = name
    position = bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? 3 : 0
  }

  /// The next line, or nil at the end.
  /// - Throws: `Failure(.badContent)` for a line of 4 GiB or more, which no offset here could hold.
  mutating func next() throws -> Range<Int>? {
    guard position < bytes.count else { return nil }
    line += 1
    let start = position
    var end = bytes.firstIndex(of: 0x0A, in: start..<bytes.count) ?? bytes.count
    position = end + 1
    if end > start && bytes[end - 1] == 0x0D { end -= 1 }
    guard end - start <= Int(UInt32.max) else {
      throw Failure(.badContent, "\(name):\(line): a line of 4 GiB or more; expected one review per line.")
    }
    return start..<end
  }

  /// Whether nothing but empty lines follows.
  var onlyEmptyLinesFollow: Bool {
    guard position < bytes.count else { return true }
    return bytes[position...].allSatisfy { $0 == 0x0A || $0 == 0x0D }
  }

  /// How many lines there are at most, so that columns are allocated once.
  static func lineCount(of bytes: UnsafeBufferPointer<UInt8>) -> Int {
    var count = 1
    for byte in bytes where byte == 0x0A { count += 1 }
    return count
  }
}

extension UnsafeBufferPointer<UInt8> {
  /// Where a byte occurs first in a range, by the C library's vectorised search.
  @inline(__always)
  func firstIndex(of byte: UInt8, in range: Range<Int>) -> Int? {
    guard let base = baseAddress, !range.isEmpty,
      let found = memchr(base + range.lowerBound, Int32(byte), range.count)
    else { return nil }
    return UnsafeRawPointer(found) - UnsafeRawPointer(base)
  }

  /// Whether a range holds exactly these bytes.
  func holds(_ expected: [UInt8], at range: Range<Int>) -> Bool {
    range.count == expected.count && UnsafeBufferPointer(rebasing: self[range]).elementsEqual(expected)
  }

  /// The text of a range, shortened and with control characters made visible, in quotes, for a message.
  func quoted(_ range: Range<Int>) -> String {
    let shown = String(decoding: self[range.prefix(120)], as: UTF8.self)
    let printable = shown.prefix(40).unicodeScalars.map { scalar in
      scalar.value < 0x20 || scalar.value == 0x7F ? "\u{FFFD}" : String(scalar)
    }
    return "\"" + printable.joined() + (shown.count > 40 || range.count > 120 ? "…" : "") + "\""
  }
}
