extension Dataset {
  /// Feeds labels and texts of all rows to a hash function, in an encoding that depends on nothing else.
  ///
  /// First the number of rows as a little-endian UInt64 and one byte, 1 with second texts and 0 without. Per row: label
  /// (-1 without one) as a little-endian Int32, byte count of the text as a little-endian UInt32, the text, and the
  /// same for the second text where rows have one. Equal content in TSV and JSONL gives equal bytes; other columns, the
  /// file's name and line numbers do not count.
  ///
  /// - Parameter update: Called with consecutive pieces; SHA-256's `update`, say.
  package func hashContent(_ update: (UnsafeRawBufferPointer) -> Void) {
    let pieceSize = 1 << 16
    var piece: [UInt8] = []
    piece.reserveCapacity(2 * pieceSize)
    func appendText(_ text: UnsafeBufferPointer<UInt8>) {
      withUnsafeBytes(of: UInt32(text.count).littleEndian) { piece.append(contentsOf: $0) }
      piece.append(contentsOf: text)
    }
    withUnsafeBytes(of: UInt64(count).littleEndian) { piece.append(contentsOf: $0) }
    piece.append(hasTextPairs ? 1 : 0)
    for row in 0..<count {
      withUnsafeBytes(of: (labels.isEmpty ? -1 : labels[row]).littleEndian) { piece.append(contentsOf: $0) }
      withText(row, appendText)
      if hasTextPairs { withTextPair(row, appendText) }
      if piece.count >= pieceSize {
        piece.withUnsafeBytes(update)
        piece.removeAll(keepingCapacity: true)
      }
    }
    piece.withUnsafeBytes(update)
  }
}
