/// What the grammar needs to know about syllables.
enum Hangul {
  /// The forms of particles after a final consonant and after a vowel.
  static let particles: [String: (closed: String, open: String)] = [
    "이": ("이", "가"), "은": ("은", "는"), "을": ("을", "를"), "였": ("이었", "였"),
  ]

  /// The final consonant of a syllable, 0 for none; nil when the scalar is no syllable.
  ///
  /// - SeeAlso: The Unicode Standard, §3.12, *Conjoining Jamo Behavior*.
  static func final(_ scalar: Unicode.Scalar) -> UInt32? {
    (0xAC00...0xD7A3).contains(scalar.value) ? (scalar.value - 0xAC00) % 28 : nil
  }

  /// The form of a particle that follows a text.
  static func particle(_ name: String, after text: String) -> String {
    guard let forms = particles[name] else { return name }
    let isClosed = (text.unicodeScalars.last.flatMap(final) ?? 0) != 0
    return isClosed ? forms.closed : forms.open
  }

  /// A common misspelling: the final ㅆ of one syllable written as ㅅ (했다 → 햇다).
  static func misspelled(_ scalar: Unicode.Scalar) -> Unicode.Scalar? {
    let (doubleSiot, siot): (UInt32, UInt32) = (20, 19)
    guard final(scalar) == doubleSiot else { return nil }
    return Unicode.Scalar(scalar.value - doubleSiot + siot)
  }
}
