/// Where the words of a text go, one after another.
///
/// Each call returns whether to go on.
protocol WordSink {
  /// A word of 1 to ``WordSplitter/longestWord`` code points, cleaned, normalised and lower-cased.
  mutating func word(_ scalars: Span<UInt32>) -> Bool
  /// A word longer than that.
  mutating func overlongWord() -> Bool
  /// An added token (a special one, mostly) that stood in the raw text.
  mutating func token(_ id: Int32) -> Bool
}

/// Splits UTF-8 text into words as BERT's fast tokenizer does, in one pass and without allocating.
///
/// Added tokens are cut out of the raw text first, the longest that fits at the leftmost place; what lies
/// between is cleaned, ideographs are isolated, accents stripped, letters lower-cased, and words end at
/// whitespace and around punctuation. ``CharacterTable`` holds all of that per code point; only canonical
/// ordering needs neighbours.
package struct WordSplitter: Sendable {
  /// The most code points (after normalisation) of a word that is looked up at all.
  package static let longestWord = 100

  private let table: CharacterTable
  private let tokens: [(bytes: [UInt8], id: Int32)]

  /// A splitter for some settings that cuts out the given tokens, none of them empty.
  init(_ settings: TokenizerSettings, cutting tokens: [(text: String, id: Int32)]) {
    var table = CharacterTable(settings)
    for token in tokens {
      if let first = token.text.unicodeScalars.first { table.flagBeginning(first.value) }
    }
    self.table = table
    self.tokens = tokens.map { (Array($0.text.utf8), $0.id) }.sorted { $0.bytes.count > $1.bytes.count }
  }

  /// A splitter for those who want words and no ids; special tokens only part words.
  package init(_ settings: TokenizerSettings) {
    let tokens = settings.specialTokens + settings.additionalTokens
    self.init(settings, cutting: tokens.filter { !$0.isEmpty }.map { ($0, -1) })
  }

  /// Calls `body` with the code points of each word of a text, words too long to be looked up left out.
  ///
  /// - Parameters:
  ///   - text: UTF-8; bytes that are not UTF-8 are passed over.
  ///   - body: Gets 1 to ``longestWord`` code points, cleaned, normalised and lower-cased.
  package func forEachWord(of text: Span<UInt8>, _ body: (Span<UInt32>) -> Void) {
    withoutActuallyEscaping(body) { body in
      var sink = CallingSink(body: body)
      split(text, into: &sink)
    }
  }

  /// Hands the words of a text to a sink until that has enough. Bytes that are not UTF-8 are dropped, as
  /// U+FFFD would be.
  func split(_ text: Span<UInt8>, into sink: inout some WordSink) {
    let pages = table.pages.span
    let entries = table.entries.span
    var word = Word()
    var place = 0
    while place < text.count {
      let start = place
      guard let scalar = Self.decode(text, &place) else { continue }
      let entry = entries[Int(pages[Int(scalar >> 8)] &+ scalar & 255)]
      if entry.isPlain {
        word.append(scalar &+ UInt32(bitPattern: entry.payload))
        continue
      }
      if entry.mayBeginToken, let token = token(in: text, at: start) {
        guard word.finish(&sink), sink.token(token.id) else { return }
        place = start + token.bytes.count
        continue
      }
      guard apply(entry, to: scalar, &word, &sink) else { return }
    }
    _ = word.finish(&sink)
  }

  /// Does what a code point's entry says; returns whether to go on.
  private func apply(
    _ entry: CharacterTable.Entry, to scalar: UInt32, _ word: inout Word, _ sink: inout some WordSink
  ) -> Bool {
    switch entry.action {
    case .word:
      word.append(scalar &+ UInt32(bitPattern: entry.payload))
    case .alone:
      guard word.finish(&sink) else { return false }
      word.append(scalar &+ UInt32(bitPattern: entry.payload))
      return word.finish(&sink)
    case .space:
      return word.finish(&sink)
    case .dropped:
      break
    case .droppedBarrier:
      word.holdOrder()
    case .mark:
      word.insert(mark: scalar)
    case .syllable:
      word.append(syllable: scalar)
    case .expansion:
      let first = Int(entry.payload)
      // Decompositions begin with a letter and are in canonical order already.
      for part in table.expansions[first..<(first + 3)] where part != 0 { word.append(part) }
    }
    return true
  }

  /// The longest added token that stands at a place of the raw text.
  private func token(in text: Span<UInt8>, at place: Int) -> (bytes: [UInt8], id: Int32)? {
    tokens.first { token in
      guard token.bytes.count <= text.count - place else { return false }
      return token.bytes.indices.allSatisfy { token.bytes[$0] == text[place + $0] }
    }
  }

  /// Reads a code point and moves past it; past one byte, with nil, where the bytes are not UTF-8.
  @inline(__always)
  private static func decode(_ text: Span<UInt8>, _ place: inout Int) -> UInt32? {
    let lead = UInt32(text[place])
    if lead < 0x80 {
      place += 1
      return lead
    }
    let length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2
    guard lead >= 0xC2, lead <= 0xF4, place + length <= text.count else {
      place += 1
      return nil
    }
    var scalar = lead & (0x7F >> UInt32(length))
    for offset in 1..<length {
      let byte = UInt32(text[place + offset])
      guard byte & 0xC0 == 0x80 else {
        place += 1
        return nil
      }
      scalar = scalar << 6 | byte & 0x3F
    }
    let isShortest = length == 2 || length == 3 && scalar >= 0x800 || length == 4 && scalar >= 0x10000
    guard isShortest, scalar & 0x1F_F800 != 0xD800, scalar < 0x110000 else {
      place += 1
      return nil
    }
    place += length
    return scalar
  }
}

/// Calls a function with each word.
private struct CallingSink: WordSink {
  let body: (Span<UInt32>) -> Void

  mutating func word(_ scalars: Span<UInt32>) -> Bool {
    body(scalars)
    return true
  }

  mutating func overlongWord() -> Bool { true }
  mutating func token(_ id: Int32) -> Bool { true }
}

/// The word being put together: at most ``WordSplitter/longestWord`` code points are kept, all are counted.
private struct Word {
  private var scalars = InlineArray<100, UInt32>(repeating: 0)
  private var count = 0
  /// Marks are not moved before this place.
  private var floor = 0

  @inline(__always)
  mutating func append(_ scalar: UInt32) {
    if count < WordSplitter.longestWord { scalars[count] = scalar }
    count += 1
  }

  /// Appends the two or three letters of a Hangul syllable (The Unicode Standard, §3.12).
  mutating func append(syllable: UInt32) {
    let index = syllable - CharacterTable.syllables.lowerBound
    append(0x1100 + index / 588)
    append(0x1161 + index % 588 / 28)
    if index % 28 != 0 { append(0x11A7 + index % 28) }
  }

  /// Puts a mark behind all marks of its rank or lower that stand at the end of the word.
  mutating func insert(mark: UInt32) {
    var place = min(count, WordSplitter.longestWord)
    append(mark)
    guard count <= WordSplitter.longestWord else { return }
    while place > floor, Self.rank(scalars[place - 1]) > Self.rank(mark) {
      scalars[place] = scalars[place - 1]
      place -= 1
    }
    scalars[place] = mark
  }

  /// Lets no later mark move before what is there.
  mutating func holdOrder() { floor = count }

  /// Hands the word, if there is one, to the sink and begins the next; returns whether to go on.
  @inline(__always)
  mutating func finish(_ sink: inout some WordSink) -> Bool {
    defer {
      count = 0
      floor = 0
    }
    if count == 0 { return true }
    if count > WordSplitter.longestWord { return sink.overlongWord() }
    return sink.word(scalars.span.extracting(0..<count))
  }

  /// Rank of a mark in canonical order; 0 for anything else.
  private static func rank(_ scalar: UInt32) -> UInt32 {
    let table = UnicodeTables.marks
    let row = stride(from: 0, to: table.count, by: 3).first { table[$0]...table[$0 + 1] ~= scalar }
    return row.map { table[$0 + 2] } ?? 0
  }
}
