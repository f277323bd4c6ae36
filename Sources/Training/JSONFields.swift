internal import FoundationEssentials
internal import JSON

/// A value as pretty JSON with sorted keys, so that equal values are equal texts.
package func jsonText(_ value: some Encodable, pretty: Bool = true) throws -> String {
  let encoder = JSONEncoder()
  encoder.outputFormatting =
    pretty ? [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes] : [.sortedKeys, .withoutEscapingSlashes]
  return String(decoding: try encoder.encode(value), as: UTF8.self)
}

/// The top-level fields of a value that encodes as an object, each as JSON text.
package func fields(of value: some Encodable) throws -> [String: String] {
  let decoded = try JSONDecoder().decode([String: JSONValue].self, from: JSONEncoder().encode(value))
  return try decoded.mapValues { try jsonText($0, pretty: false) }
}

/// How two JSON texts differ: the innermost fields whose values are not the same, with both values.
/// - Returns: Sentences' parts such as `adapters.b.reduction_factor (there 4, here 16)`, in the order of the names.
package func differences(_ name: String, there: String?, here: String?) -> [String] {
  func parse(_ text: String?) -> JSONValue? {
    text.flatMap { try? JSONDecoder().decode(JSONValue.self, from: Data($0.utf8)) }
  }
  return differences(name, parse(there), parse(here))
}

private func differences(_ name: String, _ there: JSONValue?, _ here: JSONValue?) -> [String] {
  if case .object(let theirs) = there, case .object(let ours) = here {
    return Set((theirs + ours).map(\.key)).sorted().flatMap {
      differences("\(name).\($0)", there?[$0], here?[$0])
    }
  }
  return there == here ? [] : ["\(name) (there \(brief(there)), here \(brief(here)))"]
}

/// A value in a few words: what is long, such as a digest, is cut.
private func brief(_ value: JSONValue?) -> String {
  guard let value, value != .null, let text = try? jsonText(value, pretty: false) else { return "none" }
  return text.count > 40 ? "\(text.prefix(13))…" : text
}
