package import BERT
internal import Failures
package import Tensors

/// Prefix tuning: learned keys and values in front of every layer's own, made by one small network; and the classifier.
///
/// `[k; v] of all layers = W₂ tanh(W₁ E + b₁) + b₂`, one row for each of the prefix's positions, as AdapterHub's
/// library has it. The parameters exist once; its files repeat them under every layer.
/// - SeeAlso: Li, Liang: *Prefix-tuning*, ACL 2021, §4.
package struct PrefixTuning: FineTuningMethod {
  /// How many positions the prefix has.
  package let length: Int
  /// The inner width of the network.
  package let bottleneckSize: Int

  /// A configuration.
  /// - Throws: `Failure` when a number makes no sense.
  package init(length: Int = 30, bottleneckSize: Int = 512) throws {
    for (option, value) in [("prefix-length", length), ("prefix-bottleneck", bottleneckSize)]
    where !(1...65_536).contains(value) {
      throw Failure(.usage, "--\(option) is \(value), expected a whole number from 1 to 65,536.")
    }
    self.length = length
    self.bottleneckSize = bottleneckSize
  }

  /// What `--method` calls it.
  package let name = "prefix-tuning"
  /// A prefix starts at random and has far to go; below 1e-3 it hardly moves.
  package let defaultLearningRate = 1e-3
  /// Its options.
  package var settings: [String: String] {
    ["prefix_length": "\(length)", "prefix_bottleneck": "\(bottleneckSize)"]
  }
  /// A prefix is not a weight.
  package var canMerge: Bool { false }

  private static let prefix = "prefix_tuning.self_prefix"

  /// The table of positions and the network, started as the library does: normal, and uniform within 1/√in.
  package func addedParameters(_ configuration: BERTConfiguration) throws -> [ParameterSpecification] {
    let (width, bottleneck) = (configuration.hiddenSize, bottleneckSize)
    let outputs = 2 * width * configuration.layerCount
    func linear(_ name: String, _ out: Int, _ input: Int) -> [ParameterSpecification] {
      let start = Initializer.uniform(bound: 1 / Float(input).squareRoot())
      return [
        ParameterSpecification(name + ".weight", [out, input], start, isTrainable: true),
        ParameterSpecification(name + ".bias", [out], start, isTrainable: true),
      ]
    }
    let table = ParameterSpecification(
      PrefixTuning.prefix + ".wte.weight", [length, width], .normal(deviation: 1), isTrainable: true)
    return [table] + linear(PrefixTuning.prefix + ".control_trans.0", bottleneck, width)
      + linear(PrefixTuning.prefix + ".control_trans.2", outputs, bottleneck)
  }

  /// A prefix at every layer.
  package func attach(to model: any TaskModel, _ table: ParameterTable) {
    let name = PrefixTuning.prefix
    for (index, layer) in model.encoder.layers.enumerated() {
      layer.attentionPrefix = LayerPrefix(
        positions: table[name + ".wte.weight"],
        inner: (table[name + ".control_trans.0.weight"], table[name + ".control_trans.0.bias"]),
        outer: (table[name + ".control_trans.2.weight"], table[name + ".control_trans.2.bias"]), layer: index,
        width: model.configuration.hiddenSize)
    }
  }
}
