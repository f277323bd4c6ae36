/// What the published name of a tensor or a module says.
package enum PublishedName {
  /// The encoder layer that it lies in, counted from 0, and the rest: 3 and `attention.self.query` of
  /// `bert.encoder.layer.3.attention.self.query`; nil for what lies in none.
  package static func layer(in name: String) -> (number: Int, rest: String)? {
    let prefix = "bert.encoder.layer."
    guard name.hasPrefix(prefix) else { return nil }
    let parts = name.dropFirst(prefix.count).split(separator: ".", maxSplits: 1)
    guard let number = parts.first.flatMap({ Int($0) }) else { return nil }
    return (number, parts.count > 1 ? String(parts[1]) : "")
  }

  /// The module that has a weight of this name; nil for what is no weight.
  package static func module(ofWeight name: String) -> String? {
    name.hasSuffix(".weight") ? String(name.dropLast(".weight".count)) : nil
  }
}
