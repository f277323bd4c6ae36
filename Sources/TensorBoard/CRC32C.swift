/// The cyclic redundancy check of Castagnoli's polynomial (reflected 0x82F63B78), as iSCSI has it.
///
/// - SeeAlso: [RFC 3720, B.4](https://www.rfc-editor.org/rfc/rfc3720#appendix-B.4).
package func crc32c(_ bytes: some Sequence<UInt8>) -> UInt32 {
  var crc = UInt32.max
  for byte in bytes { crc = table[Int((crc ^ UInt32(byte)) & 0xFF)] ^ crc >> 8 }
  return ~crc
}

/// The check as TFRecord stores it: rotated and shifted, so that a check over data that hold checks stays good.
package func maskedCRC32C(_ bytes: some Sequence<UInt8>) -> UInt32 {
  let crc = crc32c(bytes)
  return (crc >> 15 | crc << 17) &+ 0xA282_EAD8
}

private let table: [UInt32] = (0..<256).map { index in
  (0..<8).reduce(UInt32(index)) { value, _ in value & 1 == 1 ? value >> 1 ^ 0x82F6_3B78 : value >> 1 }
}
