internal import BERT

/// The published tensor names of adapters, and the numbers of their dropout sites.
package enum AdapterNames {
  /// The prefix of an adapter's tensors at a block's end, such as `bert.encoder.layer.0.output`.
  package static func adapter(_ name: String, at site: String) -> String { "\(site).adapters.\(name)" }

  /// The prefix of a fusion's tensors at a block's end.
  package static func fusion(_ names: [String], at site: String) -> String {
    "\(site).adapter_fusion_layer.\(names.joined(separator: ","))"
  }

  /// The prefix of the tensors of an adapter's invertible block.
  package static func invertible(_ name: String) -> String { "bert.invertible_adapters.\(name)" }

  /// The name that a tensor of an adapter has when the adapter is called otherwise; nil for one that is not its own.
  package static func renamed(_ tensor: String, from old: String, to new: String) -> String? {
    let block = invertible(old) + "."
    if tensor.hasPrefix(block) { return invertible(new) + "." + tensor.dropFirst(block.count) }
    guard let range = tensor.firstRange(of: ".adapters.\(old).") else { return nil }
    return tensor.replacingCharacters(in: range, with: ".adapters.\(new).")
  }

  /// The other names under which files hold the same tensor: the library stores the normalisation that a core starts
  /// with twice.
  package static func copies(of name: String) -> [String] {
    guard let range = name.firstRange(of: ".adapter_norm_before.") else { return [] }
    return [name.replacingCharacters(in: range, with: ".adapter_down.0.")]
  }
}

extension DropoutSite {
  /// An adapter's output, or a fusion's scores, at a layer's first or second block's end.
  static func adapter(layer: Int, block: Int, index: Int) -> UInt32 {
    1 << 23 + UInt32(layer) * 1024 + UInt32(block) * 512 + UInt32(index)
  }
}

extension String {
  fileprivate func firstRange(of part: String) -> Range<String.Index>? {
    var start = startIndex
    while start < endIndex {
      if self[start...].hasPrefix(part) { return start..<index(start, offsetBy: part.count) }
      start = index(after: start)
    }
    return nil
  }

  fileprivate func replacingCharacters(in range: Range<String.Index>, with text: String) -> String {
    self[..<range.lowerBound] + text + self[range.upperBound...]
  }
}
