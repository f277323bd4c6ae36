extension [UInt8] {
  /// The unsigned little-endian number of some bytes; nil when they are not all there or the number is no
  /// `Int`.
  func unsigned(at offset: Int, byteCount: Int) -> Int? {
    let (end, overflow) = offset.addingReportingOverflow(byteCount)
    guard offset >= 0, !overflow, end <= count else { return nil }
    let number = self[offset..<end].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    return Int(exactly: number)
  }

  /// Appends the little-endian bytes of a number.
  mutating func append(littleEndian number: Int, byteCount: Int) {
    for byte in 0..<byteCount { append(UInt8(truncatingIfNeeded: number >> (8 * byte))) }
  }
}
