/// What becomes of a code point on its way into a word.
enum CharacterAction: Int32 {
  /// Part of a word.
  case word
  /// A word of its own: punctuation, or an ideograph.
  case alone
  /// Ends a word.
  case space
  /// Leaves no trace; its neighbours join.
  case dropped
  /// Dropped, but marks on its two sides keep their order.
  case droppedBarrier
  /// A mark that goes into its place in canonical order.
  case mark
  /// A Hangul syllable that comes apart into its letters.
  case syllable
  /// Becomes two or three code points.
  case expansion
}

/// The action for every code point under given settings, in two stages: pages of 256, equal pages stored once.
///
/// Built from ``UnicodeTables`` alone, so that no other Unicode version has a say. Cleaning, isolation of
/// ideographs, accent stripping, lower-casing and the split at punctuation are folded into one look-up.
struct CharacterTable: Sendable {
  /// One code point's fate in 32 bits: action, a flag, and the distance to the code point it turns into.
  struct Entry: Equatable, Sendable {
    fileprivate(set) var bits: Int32

    init(_ action: CharacterAction, _ payload: Int32 = 0) {
      bits = payload << 4 | action.rawValue
    }

    /// Whether nothing but ``distance`` matters: part of a word, and no added token begins here.
    var isPlain: Bool { bits & 15 == 0 }
    /// Whether an added token may begin with this code point.
    var mayBeginToken: Bool { bits & 8 != 0 }
    /// What to do.
    var action: CharacterAction { CharacterAction(rawValue: bits & 7) ?? .word }
    /// What to add to the code point; for an expansion, the place of the first of its three.
    var payload: Int32 { bits >> 4 }
  }

  /// Page of each block of 256 code points, in multiples of 256 entries.
  private(set) var pages: [UInt32]
  /// The pages, one after another.
  private(set) var entries: [Entry]
  /// Three code points for each expansion, zero where there are fewer.
  private(set) var expansions: [UInt32] = []
  /// Pages that hold one entry throughout and may stand for many blocks.
  private var uniform: [(entry: Entry, page: UInt32)] = []

  static let pageSize: UInt32 = 256
  static let codePointCount: UInt32 = 0x110000
  static let syllables: ClosedRange<UInt32> = 0xAC00...0xD7A3

  /// The table for some settings.
  init(_ settings: TokenizerSettings) {
    pages = Array(repeating: 0, count: Int(Self.codePointCount / Self.pageSize))
    entries = Array(repeating: Entry(.word), count: Int(Self.pageSize))
    uniform = [(Entry(.word), 0)]
    paint(UnicodeTables.punctuation, Entry(.alone))
    if settings.tokenizeChineseChars { paint(UnicodeTables.chinese, Entry(.alone)) }
    if settings.lowercase { paintLowercase() }
    if settings.stripsAccents { paintDecompositions(lowercase: settings.lowercase) }
    paint(UnicodeTables.spaces, Entry(.space))
    paint(UnicodeTables.removed, Entry(.dropped))
  }

  /// The entry of a code point below 0x110000.
  subscript(_ scalar: UInt32) -> Entry {
    entries[Int(pages[Int(scalar >> 8)] &+ scalar & 255)]
  }

  /// Flags a code point as one that an added token begins with.
  mutating func flagBeginning(_ scalar: UInt32) {
    var entry = self[scalar]
    entry.bits |= 8
    set(scalar, entry)
  }

  // MARK: Painting; what is painted later wins

  private mutating func paintLowercase() {
    let table = UnicodeTables.lowercase
    for row in stride(from: 0, to: table.count, by: 4) {
      for scalar in stride(from: table[row], through: table[row + 1], by: Int(table[row + 2])) {
        map(UInt32(scalar), to: UInt32(scalar + table[row + 3]))
      }
    }
    set(0x130, expansion([0x69, 0x307, 0]))
  }

  private mutating func paintDecompositions(lowercase: Bool) {
    let lowered = CharacterTable.lowered
    let table = UnicodeTables.decompositions
    var row = 0
    while row < table.count {
      for offset in 0..<table[row + 1] {
        let target = table[row + 2 + Int(offset)]
        map(table[row] + offset, to: lowercase ? lowered[target] ?? target : target)
      }
      row += 2 + Int(table[row + 1])
    }
    let long = UnicodeTables.longDecompositions
    for row in stride(from: 0, to: long.count, by: 4) {
      set(long[row], expansion(long[(row + 1)..<(row + 4)]))
    }
    paint([Self.syllables.lowerBound, Self.syllables.upperBound], Entry(.syllable))
    paint(UnicodeTables.accents, Entry(.dropped))
    paint(UnicodeTables.accentBarriers, Entry(.droppedBarrier))
    let marks = UnicodeTables.marks
    for row in stride(from: 0, to: marks.count, by: 3) {
      for scalar in marks[row]...marks[row + 1] { set(scalar, Entry(.mark)) }
    }
  }

  /// Lower case of single code points.
  private static var lowered: [UInt32: UInt32] {
    var map: [UInt32: UInt32] = [:]
    let table = UnicodeTables.lowercase
    for row in stride(from: 0, to: table.count, by: 4) {
      for scalar in stride(from: table[row], through: table[row + 1], by: Int(table[row + 2])) {
        map[UInt32(scalar)] = UInt32(scalar + table[row + 3])
      }
    }
    return map
  }

  /// Lets a code point turn into another; it stands alone if it did so itself (ideographs are isolated before
  /// they are decomposed) or if the other does (punctuation is found after).
  private mutating func map(_ scalar: UInt32, to target: UInt32) {
    let isAlone = self[scalar].action == .alone || Self.isPunctuation(target)
    set(scalar, Entry(isAlone ? .alone : .word, Int32(target) - Int32(scalar)))
  }

  private static func isPunctuation(_ scalar: UInt32) -> Bool {
    let table = UnicodeTables.punctuation
    return stride(from: 0, to: table.count, by: 2).contains { table[$0]...table[$0 + 1] ~= scalar }
  }

  private mutating func expansion(_ scalars: some Collection<UInt32>) -> Entry {
    defer { expansions += scalars }
    return Entry(.expansion, Int32(expansions.count))
  }

  private mutating func paint(_ ranges: [UInt32], _ entry: Entry) {
    for pair in stride(from: 0, to: ranges.count, by: 2) {
      var scalar = ranges[pair]
      let last = ranges[pair + 1]
      while scalar <= last {
        if scalar & 255 == 0, last - scalar >= 255 {
          pages[Int(scalar >> 8)] = uniformPage(entry)
          scalar += Self.pageSize
        } else {
          set(scalar, entry)
          scalar += 1
        }
      }
    }
  }

  private mutating func uniformPage(_ entry: Entry) -> UInt32 {
    if let known = uniform.first(where: { $0.entry == entry }) { return known.page }
    let page = UInt32(entries.count)
    entries += repeatElement(entry, count: Int(Self.pageSize))
    uniform.append((entry, page))
    return page
  }

  private mutating func set(_ scalar: UInt32, _ entry: Entry) {
    let block = Int(scalar >> 8)
    let page = pages[block]
    if uniform.contains(where: { $0.page == page }) {
      pages[block] = UInt32(entries.count)
      entries += entries[Int(page)..<Int(page + Self.pageSize)]
    }
    entries[Int(pages[block] + scalar & 255)] = entry
  }
}
