/// Finds the first row of a data set that has a given text (both texts, for pairs).
///
/// Texts are equal when their bytes are; nothing is folded or trimmed. An open-addressing table of rows: texts are hashed
/// by the standard library's SipHash, which no input can be made to collide in, and compared byte by byte.
package struct TextIndex {
  private let dataset: Dataset
  private var slots: [UInt32]
  private static let empty = UInt32.max

  /// How often the text of an earlier row came again.
  package private(set) var duplicateCount = 0
  /// How many of those have another label than the first row with the text.
  package private(set) var conflictingDuplicateCount = 0

  /// The index of all rows.
  package init(_ dataset: Dataset) {
    precondition(dataset.count < Int(TextIndex.empty), "too many rows to index")
    self.dataset = dataset
    var slotCount = 16
    while slotCount < 2 * dataset.count { slotCount *= 2 }
    slots = [UInt32](repeating: TextIndex.empty, count: slotCount)
    for row in 0..<dataset.count {
      let slot = slot(for: row, of: dataset)
      if slots[slot] == TextIndex.empty {
        slots[slot] = UInt32(row)
      } else {
        duplicateCount += 1
        if dataset.isLabelled && dataset.labels[Int(slots[slot])] != dataset.labels[row] {
          conflictingDuplicateCount += 1
        }
      }
    }
  }

  /// The first row with the text that a row of a data set has, or nil.
  package func firstRow(withTextOf row: Int, in other: Dataset) -> Int? {
    let found = slots[slot(for: row, of: other)]
    return found == TextIndex.empty ? nil : Int(found)
  }

  /// For each row of another data set whether its text occurs here.
  package func occurrences(of other: Dataset) -> [Bool] {
    (0..<other.count).map { firstRow(withTextOf: $0, in: other) != nil }
  }

  /// The slot that holds the row's text, or the empty one where it would go.
  private func slot(for row: Int, of other: Dataset) -> Int {
    var hasher = Hasher()
    other.withText(row) { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
    if other.hasTextPairs {
      // The length keeps ("a", "bc") and ("ab", "c") apart.
      other.withText(row) { hasher.combine($0.count) }
      other.withTextPair(row) { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
    }
    let mask = slots.count - 1
    var slot = hasher.finalize() & mask
    while slots[slot] != TextIndex.empty, !hasTexts(of: Int(slots[slot]), equalTo: row, of: other) {
      slot = (slot + 1) & mask
    }
    return slot
  }

  private func hasTexts(of known: Int, equalTo row: Int, of other: Dataset) -> Bool {
    func equal(_ a: UnsafeBufferPointer<UInt8>, _ b: UnsafeBufferPointer<UInt8>) -> Bool {
      a.count == b.count && a.elementsEqual(b)
    }
    return dataset.withText(known) { a in other.withText(row) { equal(a, $0) } }
      && dataset.withTextPair(known) { a in other.withTextPair(row) { equal(a, $0) } }
  }
}
