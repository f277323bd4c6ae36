package import BERT
internal import Failures
internal import Kernels
package import Tensors

/// Bottleneck adapters, one or a stack: the adapters named and the head are trained, the base and its pooler are not.
///
/// - SeeAlso: Houlsby et al., 2019; Pfeiffer et al.: *MAD-X*, 2020.
package struct BottleneckAdapters: FineTuningMethod {
  /// The adapters.
  package let setup: AdapterSetup
  /// The names of those that are trained.
  package let trained: Set<String>

  /// One new adapter.
  /// - Throws: `Failure` when its configuration makes no sense.
  package init(_ configuration: AdapterConfiguration, name: String = "task") throws {
    try self.init(AdapterSetup([name: configuration], .single(name)), trained: [name])
  }

  /// Several adapters, some trained: `Stack(ko, task)` with `task` trained, say.
  /// - Throws: `Failure` when one that is to be trained is not in the setup.
  package init(_ setup: AdapterSetup, trained: Set<String>) throws {
    self.setup = setup
    self.trained = trained
    try setup.requireMembers(trained)
  }

  /// What `--method` calls it.
  package var name: String { "adapter" }
  /// At full fine-tuning's 2e-5 an adapter hardly moves.
  package var defaultLearningRate: Double { 1e-3 }
  /// The setup, and each adapter.
  package var settings: [String: String] {
    setup.settings.merging(["trained": (trained.sorted() + ["head"]).joined(separator: ", ")]) { $1 }
  }
  /// The adapters' tensors.
  package func addedParameters(_ configuration: BERTConfiguration) throws -> [ParameterSpecification] {
    try setup.parameters(configuration, trained: trained, trainsFusion: false)
  }
  /// The adapters at the ends of blocks.
  package func attach(to model: any TaskModel, _ table: ParameterTable) {
    setup.attach(to: model, table)
  }
  /// A non-linearity cannot be folded into a weight.
  package var canMerge: Bool { false }
}

extension AdapterSetup {
  /// Refuses to train what is not there.
  func requireMembers(_ trained: Set<String>) throws {
    if let name = trained.subtracting(composition.names).min() {
      throw Failure(.usage, "the adapter \(name) is to be trained, but is not in \(composition).")
    }
  }

  /// For the configuration that is printed and stored.
  var settings: [String: String] {
    var settings = ["adapter_setup": composition.description]
    for name in composition.names { settings["adapter_\(name)"] = self[name].summary }
    if !composition.fusions.isEmpty { settings["fusion"] = fusion.summary }
    return settings
  }
}

extension AdapterConfiguration {
  /// A configuration in a few words, such as `pfeiffer, reduction 16, relu`.
  package var summary: String {
    var plain = self
    (plain.reduction, plain.activation, plain.leaveOut, plain.dropout) = (Reduction(16), .relu, [], 0)
    let preset = AdapterConfiguration.presets.first { candidate in
      var other = candidate.configuration
      (other.reduction, other.activation, other.leaveOut, other.dropout) = (Reduction(16), .relu, [], 0)
      return other == plain
    }
    var parts = [preset?.names[0] ?? "own configuration"]
    if let factor = reduction.standard { parts.append("reduction \(factor)") }
    for layer in reduction.byLayer.keys.sorted() {
      parts.append("reduction \(reduction.byLayer[layer] ?? 0) in layer \(layer)")
    }
    parts.append(activation.rawValue)
    if dropout > 0 { parts.append("dropout \(dropout)") }
    if !leaveOut.isEmpty { parts.append("not in layers \(leaveOut.map(String.init).joined(separator: " "))") }
    return parts.joined(separator: ", ")
  }
}
