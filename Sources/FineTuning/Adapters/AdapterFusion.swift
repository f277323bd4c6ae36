package import BERT
internal import Failures
package import Tensors

/// AdapterFusion: adapters that were trained before are mixed by attention; the fusion and the head are trained, and
/// the adapters too if asked.
///
/// The value matrices V are held near the identity by 0.01 · Σ ‖I − V‖². Its gradient joins that of the next step,
/// before clipping, as in AdapterHub's trainer, so the first step has none; reported losses leave it out.
/// - SeeAlso: Pfeiffer et al.: *AdapterFusion*, 2021, §3.
package struct AdapterFusion: FineTuningMethod {
  /// The adapters and their fusion.
  package let setup: AdapterSetup
  /// The names of the adapters that are trained too.
  package let trained: Set<String>

  /// What ‖I − V‖² is multiplied by.
  package static let regularization: Float = 0.01

  /// A fusion over a setup such as `Fuse(a, b)` or `Stack(ko, Fuse(a, b))`.
  /// - Throws: `Failure` when the setup has no fusion, or an adapter that is to be trained is not in it.
  package init(_ setup: AdapterSetup, trained: Set<String> = []) throws {
    guard !setup.composition.fusions.isEmpty else {
      throw Failure(
        .usage, "--method fusion has nothing to fuse in \(setup.composition); name two adapters or more with --fuse.")
    }
    self.setup = setup
    self.trained = trained
    try setup.requireMembers(trained)
  }

  /// What `--method` calls it.
  package var name: String { "fusion" }
  /// Half the rate of a single adapter.
  package var defaultLearningRate: Double { 5e-4 }
  /// The setup, and what of it is trained.
  package var settings: [String: String] {
    setup.settings.merging(["trained": (trained.sorted() + ["fusion", "head"]).joined(separator: ", ")]) { $1 }
  }

  /// The head.
  package func trains(_ name: String) -> Bool { HeadDesign.owns(name) }
  /// The tensors of adapters and fusion.
  package func addedParameters(_ configuration: BERTConfiguration) throws -> [ParameterSpecification] {
    try setup.parameters(configuration, trained: trained, trainsFusion: true)
  }
  /// The fusion at the ends of blocks.
  package func attach(to model: any TaskModel, _ table: ParameterTable) {
    setup.attach(to: model, table)
  }
  /// A non-linearity cannot be folded into a weight.
  package var canMerge: Bool { false }

  /// Adds `0.02 · (V − I)` for every review, from the second step on.
  package func addRegularizationGradient(
    to gradients: UnsafeMutablePointer<Float>, of parameters: ParameterStore, reviewCount: Int, step: Int
  ) {
    guard step > 0 else { return }
    let factor = 2 * AdapterFusion.regularization * Float(reviewCount)
    AdapterFusion.forEachValue(parameters) { parameter in
      let values = parameters[parameter].base
      let onto = gradients + parameter.offset
      for i in 0..<parameter.count { onto[i] += factor * values[i] }
      for i in 0..<min(parameter.rows, parameter.columns) { onto[i * parameter.columns + i] -= factor }
    }
  }

  /// 0.01 · Σ ‖I − V‖² over the value matrices that are trained.
  package static func regularizationLoss(_ parameters: ParameterStore) -> Double {
    var total = 0.0
    forEachValue(parameters) { parameter in
      let values = parameters[parameter]
      for r in 0..<values.rows {
        for c in 0..<values.columns {
          let difference = Double(values.row(r)[c]) - (r == c ? 1 : 0)
          total += difference * difference
        }
      }
    }
    return Double(regularization) * total
  }

  private static func forEachValue(_ parameters: ParameterStore, _ body: (Parameter) -> Void) {
    for entry in parameters.table.entries where entry.parameter.isTrainable {
      let name = entry.specification.name
      if name.hasSuffix(".value.weight"), name.contains(".adapter_fusion_layer.") { body(entry.parameter) }
    }
  }
}
