/// Where the first byte stands that begins no well-formed UTF-8 sequence, or nil when all bytes are UTF-8.
///
/// - SeeAlso: The Unicode Standard, table 3-7, *Well-Formed UTF-8 Byte Sequences*.
package func firstInvalidUTF8(in bytes: UnsafeBufferPointer<UInt8>) -> Int? {
  let raw = UnsafeRawBufferPointer(bytes)
  let count = bytes.count
  var i = 0
  while i < count {
    let lead = bytes[i]
    if lead < 0x80 {
      i += 1
      while i + 8 <= count, raw.loadUnaligned(fromByteOffset: i, as: UInt64.self) & 0x8080_8080_8080_8080 == 0
      {
        i += 8
      }
      continue
    }
    let length = sequenceLength(lead)
    guard length > 1, i + length <= count else { return i }
    guard secondByteRange(lead).contains(bytes[i + 1]) else { return i }
    if length > 2 && bytes[i + 2] & 0xC0 != 0x80 { return i }
    if length > 3 && bytes[i + 3] & 0xC0 != 0x80 { return i }
    i += length
  }
  return nil
}

/// How many bytes the sequence with this first byte has; 0 for a byte that can begin none.
@inline(__always)
private func sequenceLength(_ lead: UInt8) -> Int {
  switch lead {
  case 0xE0...0xEF: 3
  case 0xC2...0xDF: 2
  case 0xF0...0xF4: 4
  default: 0
  }
}

/// What may follow a first byte: less than all continuations where a shorter form, a surrogate or too much is refused.
@inline(__always)
private func secondByteRange(_ lead: UInt8) -> ClosedRange<UInt8> {
  switch lead {
  case 0xE0: 0xA0...0xBF
  case 0xED: 0x80...0x9F
  case 0xF0: 0x90...0xBF
  case 0xF4: 0x80...0x8F
  default: 0x80...0xBF
  }
}
