package import BERT
package import FineTuning
internal import Tensors

extension FineTuningOptions {
  /// The same LoRA with its modules named as a person would name them: `query`, `value` instead of one name a layer.
  /// - Parameter base: The base's shape; the short names mean exactly the same modules there.
  /// - Returns: The options, unchanged when no short names mean the same.
  package func withShortTargets(on base: BERTConfiguration) -> FineTuningOptions {
    let modules = base.parameters { _ in false }.map(\.name).filter { $0.hasSuffix(".weight") }
      .map { String($0.dropLast(".weight".count)) }
    let wanted = Set(loraTargets)
    let prefix = "bert.encoder.layer."
    let inLayers = wanted.filter { $0.hasPrefix(prefix) }.map {
      $0.dropFirst(prefix.count).split(separator: ".", maxSplits: 1).map(String.init)
    }
    let ends = Set(inLayers.compactMap(\.last)).sorted()
    let layers = Set(inLayers.compactMap { $0.first.flatMap { Int($0) } }).sorted()
    let outside = wanted.filter { !$0.hasPrefix(prefix) }.sorted()
    let names = ends.map { $0.hasPrefix("attention.self.") ? String($0.dropFirst("attention.self.".count)) : $0 }
    let candidates: [(targets: [String], layers: [Int]?)] = [
      (["all-linear"], nil), (names + outside, nil), (names, layers),
    ]
    for candidate in candidates where !candidate.targets.isEmpty {
      var options = self
      (options.loraTargets, options.loraLayers) = candidate
      guard let method = try? FineTuningMethods.method(named: "lora", options), let lora = method as? LoRA else {
        continue
      }
      if Set(modules.filter(lora.targets)) == wanted { return options }
    }
    return self
  }
}
