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
      while i + 8 <= count, raw.loadUnaligned(fromByteOffset: i, as: UInt64.self) & 0x8080_8080_8080_8080 == 0 {
        i += 8
      }
    } else if lead & 0xF0 == 0xE0 {
      // Hangul and most other scripts come this way.
      guard i + 3 <= count, isThreeByteSequence(lead, bytes[i + 1], bytes[i + 2]) else { return i }
      i += 3
    } else if lead < 0xE0 {
      guard lead >= 0xC2, i + 2 <= count, bytes[i + 1] & 0xC0 == 0x80 else { return i }
      i += 2
    } else {
      guard i + 4 <= count, isFourByteSequence(lead, bytes[i + 1], bytes[i + 2], bytes[i + 3]) else {
        return i
      }
      i += 4
    }
  }
  return nil
}

/// Two continuations, no shorter form (below U+0800) and no surrogate (U+D800 to U+DFFF).
@inline(__always)
private func isThreeByteSequence(_ a: UInt8, _ b: UInt8, _ c: UInt8) -> Bool {
  let block = (a & 0x0F) &<< 1 | (b &>> 5 & 1)  // the scalar's bits above its lowest eleven
  return (b & 0xC0 == 0x80) && (c & 0xC0 == 0x80) && block != 0 && block != 0x1B
}

/// Three continuations, no shorter form (below U+10000) and nothing above U+10FFFF.
@inline(__always)
private func isFourByteSequence(_ a: UInt8, _ b: UInt8, _ c: UInt8, _ d: UInt8) -> Bool {
  let plane = UInt32(a & 0x0F) &<< 2 | UInt32(b &>> 4 & 3)
  return (b & 0xC0 == 0x80) && (c & 0xC0 == 0x80) && (d & 0xC0 == 0x80) && a < 0xF5
    && (1...16).contains(plane)
}
