package import BERT
package import Tensors

/// (IA)³ as AdapterHub's library has it: keys, values and the feed-forward block's inner activations are scaled, each
/// output by a number of its own, `y = (W x + b) ∘ l`; and the classifier.
///
/// l starts at one, so training starts from the base. The inner activations are scaled before GELU.
/// - SeeAlso: Liu et al.: *Few-shot parameter-efficient fine-tuning is better and cheaper than in-context learning*,
///   NeurIPS 2022, §3.3.
package struct IA3: FineTuningMethod {
  /// The method; it has no options.
  package init() {}
  /// What `--method` calls it.
  package let name = "ia3"
  /// Few numbers that start at one bear large steps: Liu et al. train at 3e-3 (§3.4), which costs two points on small bases.
  package let defaultLearningRate = 1e-2

  private static let targets = ["attention.self.key", "attention.self.value", "intermediate.dense"]

  private func isTarget(_ module: String) -> Bool {
    IA3.targets.contains { module.hasSuffix("." + $0) }
  }

  /// l of every target.
  package func addedParameters(_ configuration: BERTConfiguration) throws -> [ParameterSpecification] {
    configuration.parameters { _ in false }.compactMap { parameter in
      guard let module = PublishedName.module(ofWeight: parameter.name), isTarget(module) else { return nil }
      return ParameterSpecification(module + ".ia3_l", [parameter.shape[0], 1], .constant(1), isTrainable: true)
    }
  }

  /// A scaling at every target.
  package func attach(to model: any TaskModel, _ table: ParameterTable) {
    for projection in model.projections where isTarget(projection.name) {
      projection.branch = OutputScaling(table[projection.name + ".ia3_l"])
    }
  }

  /// `l ∘ W` by rows, and `l ∘ b`.
  package func fold(into base: BaseWeight, _ added: ParameterStore) {
    guard isTarget(base.name) else { return }
    let scales = added[base.name + ".ia3_l"].base
    for r in 0..<base.weight.rows {
      let row = base.weight.row(r)
      for c in 0..<base.weight.columns { row[c] = Float(Double(scales[r]) * Double(row[c])) }
      if let bias = base.bias { bias.base[r] = Float(Double(scales[r]) * Double(bias.base[r])) }
    }
  }
}
