/// How often each word occurs in some texts.
package struct WordCounts: Sendable {
  /// The code points of all words, one after another.
  private var scalars: [UInt32] = []
  /// Where each word begins, and one place more for the end.
  private var starts: [Int] = [0]
  /// How often each word was seen.
  private(set) var counts: [Int] = []
  /// An open-addressing table of words, -1 where free.
  private var index = [Int32](repeating: -1, count: 1 << 12)
  private let splitter: WordSplitter

  /// No words yet.
  /// - Parameter settings: What makes words of texts.
  package init(_ settings: TokenizerSettings) { splitter = WordSplitter(settings) }

  /// How many different words there are.
  package var count: Int { counts.count }

  /// The code points of a word.
  subscript(word: Int) -> ArraySlice<UInt32> { scalars[starts[word]..<starts[word + 1]] }

  /// Counts the words of a text, UTF-8.
  package mutating func add(_ text: Span<UInt8>) {
    // The splitter's closure may not change what it is called on.
    var found: [UInt32] = []
    var ends: [Int] = []
    splitter.forEachWord(of: text) { word in
      for i in word.indices { found.append(word[i]) }
      ends.append(found.count)
    }
    var start = 0
    for end in ends {
      add(found[start..<end])
      start = end
    }
  }

  private mutating func add(_ word: ArraySlice<UInt32>) {
    let place = self.place(of: word)
    if index[place] >= 0 {
      counts[Int(index[place])] += 1
      return
    }
    index[place] = Int32(counts.count)
    counts.append(1)
    scalars += word
    starts.append(scalars.count)
    if counts.count * 2 > index.count { grow() }
  }

  /// Where in the table a word is or would be.
  private func place(of word: ArraySlice<UInt32>) -> Int {
    var hash: UInt64 = 0xCBF2_9CE4_8422_2325
    for scalar in word { hash = (hash ^ UInt64(scalar)) &* 0x100_0000_01B3 }
    var place = Int(truncatingIfNeeded: hash ^ hash >> 29) & (index.count - 1)
    while index[place] >= 0, !self[Int(index[place])].elementsEqual(word) { place = (place + 1) & (index.count - 1) }
    return place
  }

  private mutating func grow() {
    index = [Int32](repeating: -1, count: 2 * index.count)
    for word in counts.indices { index[place(of: self[word])] = Int32(word) }
  }
}
