/// Several files in one run of bytes, so that a fuzzer changes them together: the parts between lines of four dashes.
package enum Parts {
  private static let separator = Array("\n----\n".utf8)

  /// The files of an adapter's folder that a parser looks at. The last one is the configuration of PEFT or AdapterHub
  /// (they have the same name); which it is stands in it.
  static let adapterFiles = [
    "adapter_config.json", "head_config.json", "adapter_fusion_config.json", "pytorch_adapter.bin",
    "pytorch_model_head.bin", "adapter_model.safetensors", "adapter.safetensors", "model_adapter_fusion.safetensors",
  ]

  /// Puts files together, in the order of the names; absent ones are empty.
  static func join(_ files: [String: [UInt8]], in names: [String]) -> [UInt8] {
    Array(names.map { files[$0] ?? [] }.joined(separator: separator))
  }

  /// Takes them apart again; what follows the last separator that counts is the last file's. Empty parts are absent.
  static func split(_ bytes: [UInt8], into names: [String]) -> [String: [UInt8]] {
    var files: [String: [UInt8]] = [:]
    var rest = bytes[...]
    for (index, name) in names.enumerated() {
      var part = rest
      if index < names.count - 1, let place = find(separator, in: rest) {
        part = rest[..<place]
        rest = rest[(place + separator.count)...]
      } else {
        rest = []
      }
      if !part.isEmpty { files[name] = Array(part) }
    }
    return files
  }

  private static func find(_ pattern: [UInt8], in bytes: ArraySlice<UInt8>) -> Int? {
    guard bytes.count >= pattern.count else { return nil }
    return (bytes.startIndex...bytes.endIndex - pattern.count).first {
      bytes[$0] == pattern[0] && bytes[$0...].starts(with: pattern)
    }
  }
}
