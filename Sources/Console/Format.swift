import Glibc

/// Numbers as people read them; the same words in tables, progress lines and messages.
package enum Format {
  /// A count in groups of three digits: `177,854,978`.
  package static func count(_ value: Int) -> String {
    let digits = String(value.magnitude)
    var result = value < 0 ? "-" : ""
    for (position, digit) in digits.enumerated() {
      if position > 0 && (digits.count - position) % 3 == 0 { result.append(",") }
      result.append(digit)
    }
    return result
  }

  /// A count of things: `1 thread`, `4 threads`.
  package static func count(_ value: Int, of thing: String) -> String {
    "\(count(value)) \(thing)\(value == 1 ? "" : "s")"
  }

  /// A size in bytes, in powers of 1024 with one decimal: `512 B`, `1.5 MiB`, `678.5 MiB`.
  package static func bytes(_ value: Int) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]
    if value.magnitude < 1024 { return "\(value) B" }
    var scaled = Double(value)
    var unit = 0
    // 1023.95 rather than 1024: what would be printed as 1024.0 becomes 1.0 of the next unit.
    while scaled.magnitude >= 1023.95 && unit + 1 < units.count {
      scaled /= 1024
      unit += 1
    }
    return "\(fixed(scaled, digits: 1)) \(units[unit])"
  }

  /// A share as a percentage: `percent(0.00331)` is `0.33 %`.
  package static func percent(_ fraction: Double, digits: Int = 2) -> String {
    "\(fixed(fraction * 100, digits: digits)) %"
  }

  /// A duration in seconds as `mm:ss`, from an hour on as `h:mm:ss`; `--:--` where it is not known.
  package static func duration(_ seconds: Double) -> String {
    guard seconds.isFinite, seconds > -0.5, seconds < 3.6e9 else { return "--:--" }
    let whole = Int(seconds.rounded())
    let tail = "\(twoDigits(whole / 60 % 60)):\(twoDigits(whole % 60))"
    return whole < 3600 ? tail : "\(whole / 3600):\(tail)"
  }

  /// A metric or a loss without the zero before the point, as papers print them: `.871`, `1.386`.
  package static func figure(_ value: Double, digits: Int = 3) -> String {
    let text = fixed(value, digits: digits)
    if text.hasPrefix("0.") { return String(text.dropFirst()) }
    if text.hasPrefix("-0.") { return "-" + text.dropFirst(2) }
    return text
  }

  /// An interval of figures: `[.868, .874]`.
  package static func interval(_ lower: Double, _ upper: Double, digits: Int = 3) -> String {
    "[\(figure(lower, digits: digits)), \(figure(upper, digits: digits))]"
  }

  /// A rate with as many digits as are worth reading: `12,345`, `34.5`.
  package static func rate(_ perSecond: Double) -> String {
    guard perSecond.isFinite, perSecond.magnitude < 1e15 else { return fixed(perSecond, digits: 1) }
    return perSecond.magnitude < 99.95
      ? fixed(perSecond, digits: 1) : count(Int(perSecond.rounded()))
  }

  /// A decimal number with a fixed number of digits after the point, correctly rounded; `nan`, `inf` where it is none.
  package static func fixed(_ value: Double, digits: Int) -> String {
    printed("%.*f", digits, value)
  }

  /// A number with at most three digits that count: `0.000667`, `2e-05`.
  package static func short(_ value: Double) -> String { printed("%.*g", 3, value) }

  private static func printed(_ format: String, _ digits: Int, _ value: Double) -> String {
    if !value.isFinite { return value.isNaN ? "nan" : value < 0 ? "-inf" : "inf" }
    // The longest Double has 309 digits before the point; the bound on `digits` keeps the buffer's size known.
    return withUnsafeTemporaryAllocation(of: CChar.self, capacity: 352) { buffer in
      let length = withVaList([CInt(clamping: min(max(digits, 0), 30)), value]) { arguments in
        vsnprintf(buffer.baseAddress, buffer.count, format, arguments)
      }
      let text = buffer.prefix(max(0, Int(length))).map { UInt8(bitPattern: $0) }
      return String(decoding: text, as: UTF8.self)
    }
  }

  private static func twoDigits(_ value: Int) -> String {
    value < 10 ? "0\(value)" : "\(value)"
  }
}
