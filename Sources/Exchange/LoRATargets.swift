package import BERT
package import FineTuning
internal import Tensors

extension FineTuningOptions {
  /// The same LoRA with its modules named as a person would name them: `query`, `value` instead of one name a layer.
  /// - Parameter base: The base's shape; the short names mean exactly the same modules there.
  /// - Returns: The options, unchanged when no short names mean the same.
  package func withShortTargets(on base: BERTConfiguration) -> FineTuningOptions {
    let modules = base.parameters { _ in false }.map(\.name)
      .compactMap(PublishedName.module(ofWeight:))
    let wanted = Set(loraTargets)
    let inLayers = wanted.compactMap(PublishedName.layer(in:))
    let ends = Set(inLayers.map(\.rest)).sorted()
    let layers = Set(inLayers.map(\.number)).sorted()
    let outside = wanted.filter { PublishedName.layer(in: $0) == nil }.sorted()
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
      if Set(modules.filter(lora.isTarget)) == wanted { return options }
    }
    return self
  }
}
