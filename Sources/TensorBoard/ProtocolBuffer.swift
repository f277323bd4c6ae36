/// Fields of a protocol buffer message, encoded one after another.
///
/// - SeeAlso: [Encoding](https://protobuf.dev/programming-guides/encoding/).
struct ProtocolBuffer {
  private(set) var bytes: [UInt8] = []

  /// An `int64`, or an enumeration.
  mutating func add(_ value: Int, field: Int) {
    appendKey(field, wireType: 0)
    appendVarint(UInt64(bitPattern: Int64(value)))
  }

  /// A `double`.
  mutating func add(_ value: Double, field: Int) {
    appendKey(field, wireType: 1)
    appendLittleEndian(value.bitPattern)
  }

  /// A `float`.
  mutating func add(_ value: Float, field: Int) {
    appendKey(field, wireType: 5)
    appendLittleEndian(value.bitPattern)
  }

  /// A `string`.
  mutating func add(_ text: String, field: Int) { add(Array(text.utf8), field: field) }

  /// A message inside this one.
  mutating func add(_ message: ProtocolBuffer, field: Int) { add(message.bytes, field: field) }

  private mutating func add(_ content: [UInt8], field: Int) {
    appendKey(field, wireType: 2)
    appendVarint(UInt64(content.count))
    bytes += content
  }

  private mutating func appendKey(_ field: Int, wireType: Int) { appendVarint(UInt64(field << 3 | wireType)) }

  private mutating func appendVarint(_ value: UInt64) {
    var rest = value
    while rest >= 0x80 {
      bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    bytes.append(UInt8(rest))
  }

  private mutating func appendLittleEndian(_ value: some FixedWidthInteger) {
    withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
  }
}
