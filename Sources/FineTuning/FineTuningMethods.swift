internal import Failures

/// The methods there are, by name: the one place where a new one is registered.
package enum FineTuningMethods {
  private typealias Maker = @Sendable (FineTuningOptions) throws -> any FineTuningMethod

  private static let registry: [(name: String, make: Maker)] = [
    ("full", { _ in FullFineTuning() }),
    ("linear-probe", { _ in LinearProbe() }),
    ("bitfit", { _ in BitFit() }),
    (
      "lora",
      {
        try LoRA(
          loraRank: $0.loraRank, alpha: $0.loraAlpha, dropout: $0.loraDropout, targets: $0.loraTargets,
          bias: $0.loraBias, variant: $0.loraVariant, plusRatio: $0.loraPlusRatio,
          layers: $0.loraLayers.map { Set($0) }, ranks: $0.loraRanks, alphas: $0.loraAlphas)
      }
    ),
    ("ia3", { _ in IA3() }),
    (
      "prefix-tuning",
      { try PrefixTuning(length: $0.prefixLength, bottleneckSize: $0.prefixBottleneck) }
    ),
    ("adapter", { try BottleneckAdapters($0.adapterSetup(fuses: false), trained: Set($0.trained)) }),
    (
      "fusion",
      {
        try AdapterFusion(
          $0.adapterSetup(fuses: true), trained: Set($0.trainedAdapters), regularization: $0.fusionRegularization)
      }
    ),
  ]

  /// The names that `--method` takes.
  package static var names: [String] { registry.map(\.name) }

  /// The method of a name.
  /// - Throws: `Failure` when there is none, or its options make no sense.
  package static func method(named name: String, _ options: FineTuningOptions) throws -> any FineTuningMethod {
    guard let entry = registry.first(where: { $0.name == name }) else {
      throw Failure(
        .usage, "--method is \"\(name)\", expected one of \(names.joined(separator: ", ")).")
    }
    return try entry.make(options)
  }
}
