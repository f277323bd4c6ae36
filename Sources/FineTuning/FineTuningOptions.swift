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
  /// LoRA's r of modules by the end of their name, where it is not `loraRank`.
  package var loraRanks: [String: Int] = [:]
  /// LoRA's α of modules by the end of their name, where it is not `loraAlpha`.
  package var loraAlphas: [String: Double] = [:]
  /// How many positions prefix tuning's prefix has.
  package var prefixLength = 30
  /// The inner width of the network that makes the prefix.
  package var prefixBottleneck = 512

  /// The configuration of an adapter: a name, with keys in brackets where they differ.
  package var adapterConfiguration = "pfeiffer"
  /// The hidden size divided by the bottleneck's, for all layers or layer by layer; the configuration's own when nil.
  package var adapterReductionFactor: AdapterConfiguration.Reduction?
  /// An adapter's non-linearity; the configuration's own when nil.
  package var adapterActivation: String?
  /// Layers without an adapter.
  package var adapterLeaveOut: [Int] = []

  /// What holds a fusion's value matrices near the identity.
  package var fusionRegularization: Float = 0.01

  /// Several adapters, some of which were trained before, and how they work together; one new adapter when nil.
  package var adapters: AdapterSetup?
  /// Which of `adapters` are trained; the others' numbers have to come from somewhere.
  package var trainedAdapters: [String] = []

  /// The defaults.
  package init() {}
}
