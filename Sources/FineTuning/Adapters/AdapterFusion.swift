package import BERT
internal import Failures
package import Tensors

/// AdapterFusion: adapters that were trained before are mixed by attention; the fusion and the head are trained, and
/// the adapters too if asked.
///
/// The value matrices V are held near the identity by λ · Σ ‖I − V‖², λ = 0.01 unless asked otherwise. Its gradient
/// joins that of the next step, before clipping, as in AdapterHub's trainer, so the first step has none; reported
/// losses leave it out.
/// - SeeAlso: Pfeiffer et al.: *AdapterFusion*, 2021, §3.
package struct AdapterFusion: FineTuningMethod {
  /// The adapters and their fusion.
  package let setup: AdapterSetup
  /// The names of the adapters that are trained too.
  package let trained: Set<String>

  /// λ: what ‖I − V‖² is multiplied by.
  package let regularization: Float

  /// A fusion over a setup such as `Fuse(a, b)` or `Stack(ko, Fuse(a, b))`.
  /// - Throws: `Failure` when the setup has no fusion, an adapter that is to be trained is not in it, or λ makes no
  ///   sense.
  package init(_ setup: AdapterSetup, trained: Set<String> = [], regularization: Float = 0.01) throws {
    guard regularization >= 0, regularization.isFinite else {
      throw Failure(
        .usage,
        "--fusion-regularization is \(regularization), expected a number from 0 on; 0 for none, 0.01 as AdapterHub.")
    }
    guard !setup.composition.fusions.isEmpty else {
      throw Failure(
        .usage, "--method fusion has nothing to fuse in \(setup.composition); name two adapters or more with --fuse.")
    }
    self.setup = setup
    self.trained = trained
    self.regularization = regularization
    try setup.requireMembers(trained)
  }

  /// What `--method` calls it.
  package var name: String { "fusion" }
  /// Half the rate of a single adapter.
  package var defaultLearningRate: Double { 5e-4 }
  /// The setup, and what of it is trained.
  package var settings: [String: String] {
    let own = [
      "trained": (trained.sorted() + ["fusion", "head"]).joined(separator: ", "),
      "fusion_regularization": "\(regularization)",
    ]
    return setup.settings.merging(own) { $1 }
  }

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

  /// Adds `2 λ (V − I)` for every review, from the second step on.
  package func addRegularizationGradient(
    to gradients: UnsafeMutablePointer<Float>, of parameters: ParameterStore, reviewCount: Int, step: Int
  ) {
    guard step > 0, regularization > 0 else { return }
    let factor = 2 * regularization * Float(reviewCount)
    AdapterFusion.forEachValue(parameters) { parameter in
      let values = parameters[parameter].base
      let onto = gradients + parameter.offset
      for i in 0..<parameter.count { onto[i] += factor * values[i] }
      for i in 0..<min(parameter.rows, parameter.columns) { onto[i * parameter.columns + i] -= factor }
    }
  }

  /// λ · Σ ‖I − V‖² over the value matrices that are trained.
  package func regularizationLoss(_ parameters: ParameterStore) -> Double {
    var total = 0.0
    AdapterFusion.forEachValue(parameters) { parameter in
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
    for entry in parameters.table.entries where entry.parameter.isTrainable && entry.specification.isHeldAtIdentity {
      body(entry.parameter)
    }
  }
}
