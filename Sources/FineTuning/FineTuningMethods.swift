internal import Failures

/// What a person can ask of the methods together; each method reads what is its own.
package struct FineTuningOptions: Sendable, Equatable {
  /// LoRA's r.
  package var loraRank = 16
  /// LoRA's α; 2 r when nil.
  package var loraAlpha: Double?
  /// LoRA's dropout.
  package var loraDropout: Float = 0.1
  /// LoRA's targets.
  package var loraTargets = ["query", "value"]
  /// Which biases LoRA trains.
  package var loraBias = LoRA.Bias.none
  /// How LoRA's update enters.
  package var loraVariant = LoRA.Variant.standard
  /// What the learning rate of LoRA's B is multiplied by.
  package var loraPlusRatio: Float = 1
  /// The layers that get an update, from 0; all when nil.
  package var loraLayers: [Int]?
  /// How many positions prefix tuning's prefix has.
  package var prefixLength = 30
  /// The inner width of the network that makes the prefix.
  package var prefixBottleneck = 512

  /// The configuration of an adapter, by name.
  package var adapterConfiguration = "pfeiffer"
  /// The hidden size divided by the bottleneck's; the configuration's own when nil.
  package var adapterReductionFactor: Double?
  /// An adapter's non-linearity; the configuration's own when nil.
  package var adapterActivation: String?
  /// Layers without an adapter.
  package var adapterLeaveOut: [Int] = []

  /// The defaults.
  package init() {}
}

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
          layers: $0.loraLayers.map { Set($0) })
      }
    ),
    ("ia3", { _ in IA3() }),
    (
      "prefix-tuning",
      { try PrefixTuning(length: $0.prefixLength, bottleneckSize: $0.prefixBottleneck) }
    ),
    ("adapter", { try BottleneckAdapters($0.adapter()) }),
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
