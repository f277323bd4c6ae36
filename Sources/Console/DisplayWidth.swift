// How many columns of a terminal a text takes. Korean syllables and most emoji take two, combining marks none.

extension String {
  /// The number of terminal columns that the text takes, by grapheme cluster.
  ///
  /// A cluster is as wide as its widest scalar, so a syllable spelt with conjoining jamo and an emoji joined from
  /// several both take two columns. Ambiguous characters count one, as terminals outside legacy East Asian modes do.
  ///
  /// - SeeAlso: [Unicode Annex 11, East Asian Width](https://www.unicode.org/reports/tr11/).
  package var displayWidth: Int {
    var columns = 0
    for character in self { columns += character.displayWidth }
    return columns
  }

  /// The text with nothing in it that could move the cursor: line breaks and tabs become spaces, other control
  /// characters and direction overrides U+FFFD.
  package var printable: String {
    if unicodeScalars.allSatisfy({ !$0.movesCursor }) { return self }
    var result = String.UnicodeScalarView()
    for scalar in unicodeScalars {
      switch scalar {
      case "\n", "\r", "\t": result.append(" ")
      default: result.append(scalar.movesCursor ? "\u{FFFD}" : scalar)
      }
    }
    return String(result)
  }

  /// The longest beginning of the text that fits into `columns`, ending in `…` where something was cut.
  package func truncated(toColumns columns: Int) -> String {
    if displayWidth <= columns { return self }
    if columns <= 0 { return "" }
    var result = ""
    var used = 1
    for character in self {
      used += character.displayWidth
      if used > columns { break }
      result.append(character)
    }
    return result + "…"
  }

  /// The text with spaces added up to `columns`: after it, or before it where it is to stand at the right.
  package func padded(toColumns columns: Int, trailing: Bool = false) -> String {
    let missing = columns - displayWidth
    if missing <= 0 { return self }
    let spaces = String(repeating: " ", count: missing)
    return trailing ? spaces + self : self + spaces
  }
}

extension Character {
  /// The number of terminal columns that the character takes: 0, 1 or 2.
  package var displayWidth: Int {
    if let ascii = asciiValue { return ascii < 0x20 || ascii == 0x7F ? 0 : 1 }
    var columns = 0
    for scalar in unicodeScalars {
      columns = max(columns, scalar == "\u{FE0F}" ? 2 : scalar.displayWidth)
    }
    return columns
  }
}

extension Unicode.Scalar {
  /// Whether a terminal would do something else with the scalar than show it in its place.
  fileprivate var movesCursor: Bool {
    switch value {
    case 0..<0x20, 0x7F..<0xA0, 0x2028...0x202E, 0x2066...0x2069: true
    default: false
    }
  }

  fileprivate var displayWidth: Int {
    if value < 0x300 { return value < 0x20 || (0x7F..<0xA0).contains(value) ? 0 : 1 }
    switch properties.generalCategory {
    case .nonspacingMark, .enclosingMark, .format, .control: return 0
    default: break
    }
    // Vowels and final consonants that join a leading consonant into one syllable.
    if (0x1160...0x11FF).contains(value) || (0xD7B0...0xD7FF).contains(value) { return 0 }
    return isEastAsianWide || properties.isEmojiPresentation ? 2 : 1
  }

  /// Width W or F in Unicode's East Asian Width table, emoji apart (they have a property of their own).
  private var isEastAsianWide: Bool {
    switch value {
    case 0x1100...0x115F,  // Hangul leading consonants
      0x2E80...0x303E, 0x3041...0x33FF,  // radicals, punctuation, kana, compatibility jamo, squared words
      0x3400...0x4DBF, 0x4E00...0xA4CF,  // ideographs, Yi
      0xA960...0xA97F, 0xAC00...0xD7A3,  // Hangul
      0xF900...0xFAFF, 0xFE10...0xFE19, 0xFE30...0xFE6F,  // compatibility forms
      0xFF01...0xFF60, 0xFFE0...0xFFE6,  // full-width forms
      0x16FE0...0x1B2FF, 0x1F200...0x1F265,  // Tangut, kana supplements, enclosed ideographs
      0x20000...0x3FFFD:
      true
    default: false
    }
  }
}
