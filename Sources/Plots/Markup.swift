internal import Glibc

/// Builds SVG text: elements with attributes in the order given, numbers with at most two decimals, text escaped. The same
/// calls make the same bytes.
struct Markup {
  private(set) var text = ""

  /// An element without content.
  mutating func element(_ name: String, _ attributes: [(String, String)]) {
    text += "<\(name)\(Markup.attributes(attributes))/>\n"
  }

  /// An element around text.
  mutating func element(_ name: String, _ attributes: [(String, String)] = [], text content: String) {
    text += "<\(name)\(Markup.attributes(attributes))>\(escaped(content))</\(name)>\n"
  }

  /// An element around others.
  mutating func group(
    _ name: String = "g", _ attributes: [(String, String)] = [], _ content: (inout Markup) -> Void
  ) {
    text += "<\(name)\(Markup.attributes(attributes))>\n"
    content(&self)
    text += "</\(name)>\n"
  }

  /// Text that is markup already.
  mutating func raw(_ markup: String) { text += markup }

  private static func attributes(_ attributes: [(String, String)]) -> String {
    attributes.map { " \($0.0)=\"\(escaped($0.1))\"" }.joined()
  }
}

/// A text as it may stand between tags and in attributes of SVG and HTML; characters that XML cannot hold become U+FFFD.
package func escaped(_ text: String) -> String {
  var result = String.UnicodeScalarView()
  for scalar in text.unicodeScalars {
    switch scalar {
    case "&": result.append(contentsOf: "&amp;".unicodeScalars)
    case "<": result.append(contentsOf: "&lt;".unicodeScalars)
    case ">": result.append(contentsOf: "&gt;".unicodeScalars)
    case "\"": result.append(contentsOf: "&quot;".unicodeScalars)
    case "'": result.append(contentsOf: "&#39;".unicodeScalars)
    case "\t", "\n", "\r": result.append(scalar)
    default:
      let isCharacter = scalar.value >= 0x20 && scalar.value != 0xFFFE && scalar.value != 0xFFFF
      result.append(isCharacter ? scalar : "\u{FFFD}")
    }
  }
  return String(result)
}

/// A coordinate: two decimals at most, no zeros at the end, never an exponent.
package func coordinate(_ value: Double) -> String { decimal(value, digits: 2) }

/// A number with at most so many digits after the point, without zeros at the end.
func decimal(_ value: Double, digits: Int) -> String {
  guard value.isFinite, value.magnitude < 1e15 else { return "0" }
  let scale = pow(10, Double(digits))
  let scaled = (value.magnitude * scale).rounded()
  guard scaled > 0 else { return "0" }
  guard scaled < 9e18 else { return "\(Int(value))" }
  let (whole, part) = Int(scaled).quotientAndRemainder(dividingBy: Int(scale))
  var text = "\(whole)"
  if part > 0 {
    var fraction = String(part)
    fraction = String(repeating: "0", count: digits - fraction.count) + fraction
    while fraction.last == "0" { fraction.removeLast() }
    text += "." + fraction
  }
  return value < 0 ? "-" + text : text
}
