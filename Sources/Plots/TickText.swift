internal import Glibc

extension Axis.Format {
  /// A value as a tick says it.
  /// - Parameters:
  ///   - value: The value.
  ///   - step: How far apart ticks are; nil where the value itself says how many digits it needs.
  /// - Returns: The text, without a unit but for `%` and those of `metric`.
  package func text(_ value: Double, step: Double? = nil) -> String {
    switch self {
    case .plain: plain(value, step)
    case .percent: fixed(value * 100, digits: digits(step.map { $0 * 100 }, value * 100)) + " %"
    case .figure:
      withoutZero(fixed(value, digits: max(step == nil ? 3 : 1, min(4, digits(step, value)))))
    case .duration: duration(value, step)
    case .metric: metric(value)
    }
  }

  private func plain(_ value: Double, _ step: Double?) -> String {
    if value == 0 { return "0" }
    let exponent = Int(log10(value.magnitude).rounded(.down))
    if exponent >= 6 || exponent < -3 {
      let mantissa = value / pow(10, Double(exponent))
      let power = "10" + superscript(exponent)
      return abs(mantissa - 1) < 1e-9 ? power : "\(decimal(mantissa, digits: 2))·\(power)"
    }
    return grouped(fixed(value, digits: digits(step, value)))
  }

  /// How many digits after the point a step, or a value alone, needs: at most six.
  private func digits(_ step: Double?, _ value: Double) -> Int {
    let needed = (step ?? value).magnitude
    guard needed > 0 else { return 0 }
    for digits in 0..<6 {
      let scaled = needed * pow(10, Double(digits))
      if abs(scaled - scaled.rounded()) < 1e-6 * max(1, scaled) && scaled >= 0.5 { return digits }
      // A value that is no tick of ours is worth three figures.
      if step == nil, scaled >= 100 { return digits }
    }
    return 6
  }

  private func fixed(_ value: Double, digits: Int) -> String {
    let text = decimal(value, digits: digits)
    guard digits > 0 else { return text }
    let parts = text.split(separator: ".")
    let fraction = parts.count > 1 ? String(parts[1]) : ""
    return "\(parts[0])." + fraction + String(repeating: "0", count: digits - fraction.count)
  }

  private func withoutZero(_ text: String) -> String {
    if Double(text) == 0 { return "0" }
    if text.hasPrefix("0.") { return String(text.dropFirst()) }
    return text.hasPrefix("-0.") ? "-" + text.dropFirst(2) : text
  }

  private func grouped(_ text: String) -> String {
    let parts = text.split(separator: ".", omittingEmptySubsequences: false)
    let isNegative = parts[0].hasPrefix("-")
    let whole = Array(isNegative ? parts[0].dropFirst() : parts[0][...])
    var result = ""
    for (index, digit) in whole.enumerated() {
      if index > 0, (whole.count - index) % 3 == 0 { result.append(",") }
      result.append(digit)
    }
    return (isNegative ? "-" : "") + result + (parts.count > 1 ? "." + parts[1] : "")
  }

  private func duration(_ seconds: Double, _ step: Double?) -> String {
    // Ticks less than a second apart are all written alike.
    let isFine = step.map { $0 < 1 } ?? (seconds.magnitude < 10 && seconds != seconds.rounded())
    if isFine { return fixed(seconds, digits: step == nil ? 2 : digits(step, seconds)) + " s" }
    let whole = Int(min(max(seconds, -1e12), 1e12).rounded())
    func two(_ value: Int) -> String { value < 10 ? "0\(value)" : "\(value)" }
    let size = abs(whole)
    let tail = "\(two(size / 60 % 60)):\(two(size % 60))"
    return (whole < 0 ? "-" : "") + (size < 3600 ? tail : "\(size / 3600):\(tail)")
  }

  private func metric(_ value: Double) -> String {
    for (scale, letter) in [(1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")] where value.magnitude >= scale {
      return "\(decimal(value / scale, digits: 2)) \(letter)"
    }
    return decimal(value, digits: 3)
  }

  private func superscript(_ value: Int) -> String {
    let digits = Array("⁰¹²³⁴⁵⁶⁷⁸⁹")
    return (value < 0 ? "⁻" : "") + String(String(abs(value)).compactMap(\.wholeNumberValue).map { digits[$0] })
  }
}
