extension String {
  /// The string in quotes for a message: without control characters, which could drive a terminal, and not
  /// too long.
  ///
  /// Names come from files that nobody vouches for.
  package var quoted: String {
    var text = "'"
    var count = 0
    for scalar in unicodeScalars {
      if count == 160 {
        text += "…"
        break
      }
      let isHarmless: Bool =
        switch scalar.properties.generalCategory {
        case .control, .format, .surrogate, .privateUse, .unassigned, .lineSeparator, .paragraphSeparator:
          false
        default: true
        }
      if isHarmless {
        text.unicodeScalars.append(scalar)
      } else {
        text += "\\u{\(String(scalar.value, radix: 16))}"
      }
      count += 1
    }
    return text + "'"
  }
}
