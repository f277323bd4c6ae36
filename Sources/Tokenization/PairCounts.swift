/// How often neighbouring pieces stand together, and in which words; gives the most frequent pair.
///
/// Changes are gathered first and count when they are settled. The queue's entries may be out of date: an entry that
/// says too much is put back with what is true, and one that says too little is behind one that does not.
struct PairCounts {
  /// A place in the queue.
  private struct Entry {
    let count: Int
    let pair: UInt64

    /// Whether this entry comes before another: by count, then by the age of the pair's pieces.
    func precedes(_ other: Entry) -> Bool {
      count != other.count ? count > other.count : pair < other.pair
    }
  }

  private var counts: [UInt64: Int] = [:]
  private var words: [UInt64: [Int32]] = [:]
  private var changes: [UInt64: Int] = [:]
  /// A binary heap.
  private var queue: [Entry] = []

  /// A pair as one number.
  static func key(_ left: Int32, _ right: Int32) -> UInt64 {
    UInt64(UInt32(bitPattern: left)) << 32 | UInt64(UInt32(bitPattern: right))
  }

  /// The pieces of a pair.
  static func members(_ pair: UInt64) -> (left: Int32, right: Int32) {
    (Int32(truncatingIfNeeded: pair >> 32), Int32(truncatingIfNeeded: pair))
  }

  /// Whether a pair stands in a word.
  static func contains(_ left: Int32, _ right: Int32, in word: ArraySlice<Int32>) -> Bool {
    zip(word, word.dropFirst()).contains { $0 == left && $1 == right }
  }

  /// Counts a pair so much more often.
  mutating func add(_ count: Int, to pair: UInt64) { changes[pair, default: 0] += count }

  /// Remembers that a pair stands in a word.
  mutating func note(_ pair: UInt64, in word: Int32) {
    // A pair that stands twice in a word is noted twice in a row.
    if words[pair]?.last != word { words[pair, default: []].append(word) }
  }

  /// Lets the changes count.
  mutating func settle() {
    for (pair, change) in changes where change != 0 {
      let count = counts[pair, default: 0] + change
      counts[pair] = count > 0 ? count : nil
      if change > 0 { push(Entry(count: count, pair: pair)) }
    }
    changes.removeAll(keepingCapacity: true)
  }

  /// Takes the most frequent pair out of the queue; nil when there is none as frequent as that.
  mutating func takeMostFrequent(atLeast minimum: Int) -> UInt64? {
    while let top = pop() {
      let count = counts[top.pair, default: 0]
      if count == top.count { return count >= max(1, minimum) ? top.pair : nil }
      if count > 0, count < top.count { push(Entry(count: count, pair: top.pair)) }
    }
    return nil
  }

  /// The words in which a pair may stand, which are then forgotten.
  mutating func takeWords(of pair: UInt64) -> [Int32] { words.removeValue(forKey: pair) ?? [] }

  private mutating func push(_ entry: Entry) {
    queue.append(entry)
    var place = queue.count - 1
    while place > 0, queue[place].precedes(queue[(place - 1) / 2]) {
      queue.swapAt(place, (place - 1) / 2)
      place = (place - 1) / 2
    }
  }

  private mutating func pop() -> Entry? {
    guard let top = queue.first else { return nil }
    let last = queue.removeLast()
    guard !queue.isEmpty else { return top }
    queue[0] = last
    var place = 0
    while true {
      var best = place
      for child in [2 * place + 1, 2 * place + 2] where child < queue.count && queue[child].precedes(queue[best]) {
        best = child
      }
      if best == place { return top }
      queue.swapAt(place, best)
      place = best
    }
  }
}
