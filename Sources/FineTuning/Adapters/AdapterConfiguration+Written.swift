internal import Failures
internal import FoundationEssentials

/// Configurations as a person writes them: a name, and AdapterHub's own keys in brackets where something is to differ,
/// as in the library's `seq_bn[reduction_factor=8]`.
extension AdapterConfiguration {
  /// Reads a configuration such as `houlsby` or `pfeiffer[ln_after=true,residual_before_ln=false]`.
  /// - Throws: `Failure` of kind `usage` that names the option, and the key where one is wrong.
  package init(written text: String) throws {
    var name = text[...]
    var changes: Substring = ""
    if let bracket = text.firstIndex(of: "[") {
      guard text.hasSuffix("]") else {
        throw Failure(.usage, "--adapter-config is \"\(text)\", which opens a bracket and does not end with \"]\".")
      }
      name = text[..<bracket]
      changes = text[text.index(after: bracket)...].dropLast()
    }
    guard let preset = AdapterConfiguration(preset: String(name)) else {
      throw Failure(
        .usage,
        "--adapter-config is \"\(text)\", expected one of \(AdapterConfiguration.presetNames), with keys in brackets where they differ, as in pfeiffer[ln_after=true]."
      )
    }
    self = try changes.isEmpty ? preset : preset.changed(by: changes)
  }

  private func changed(by text: Substring) throws -> AdapterConfiguration {
    var members: [String: String] = [:]
    for part in text.split(separator: ",", omittingEmptySubsequences: false) {
      let sides = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map {
        String($0.trimmingPrefix { $0 == " " })
      }
      guard sides.count == 2, AdapterConfiguration.keys.contains(sides[0]) else {
        throw Failure(
          .usage,
          "--adapter-config has \"\(part)\" in its brackets, expected KEY=VALUE with a key among \(AdapterConfiguration.keys.joined(separator: ", "))."
        )
      }
      guard members.updateValue(try AdapterConfiguration.json(sides[1]), forKey: sides[0]) == nil else {
        throw Failure(.usage, "--adapter-config has \(sides[0]) twice in its brackets; give it once.")
      }
    }
    let json = "{" + members.map { "\"\($0.key)\":\($0.value)" }.joined(separator: ",") + "}"
    do {
      return try JSONDecoder().decode(Changed.self, from: Data(json.utf8), configuration: self).configuration
    } catch let failure as Failure {
      throw Failure(.usage, "--adapter-config: \(failure.message)")
    }
  }

  /// A configuration whose missing keys have another one's values.
  private struct Changed: DecodableWithConfiguration {
    let configuration: AdapterConfiguration

    init(from decoder: any Decoder, configuration preset: AdapterConfiguration) throws {
      configuration = try AdapterConfiguration(from: decoder, changing: preset)
    }
  }

  /// A value as JSON has it: `true`, `True`, a number, or else a text.
  private static func json(_ value: String) throws -> String {
    switch value {
    case "true", "True": return "true"
    case "false", "False": return "false"
    default:
      if let number = Double(value), number.isFinite { return "\(number)" }
      guard !value.isEmpty, value.allSatisfy({ $0.isASCII && ($0.isLetter || $0.isNumber || "_-.+".contains($0)) })
      else {
        throw Failure(
          .usage,
          "--adapter-config has the value \"\(value)\" in its brackets, expected true, false, a number or a name.")
      }
      return "\"\(value)\""
    }
  }
}
