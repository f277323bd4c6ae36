package import BERT
internal import Kernels
package import Tensors

/// A method after training, folded into the weights: a plain BERT, nothing trained, nothing added.
package struct Merged: FineTuningMethod {
  /// What it was trained with.
  package let original: any FineTuningMethod

  /// The plain form of a method that can be merged.
  package init(_ original: any FineTuningMethod) {
    precondition(original.canMerge, "a method whose branches cannot be folded into weights")
    self.original = original
  }

  /// The original's name.
  package var name: String { original.name }
  /// Nothing is trained.
  package var defaultLearningRate: Double { 0 }
  /// Nothing is trained.
  package func trains(_ name: String) -> Bool { false }

  /// Adds the original's update to a projection's weight, in `Double`, rounding once.
  /// - Parameters:
  ///   - weight: `[out, in]`.
  ///   - projection: The projection's published name.
  ///   - added: A store that has the original's added parameters.
  package func fold(into weight: Matrix, of projection: String, _ added: ParameterStore) {
    guard let update = original.weightUpdate(of: projection, in: added) else { return }
    var row = [Double](repeating: 0, count: weight.columns)
    for r in 0..<weight.rows {
      for c in 0..<weight.columns { row[c] = Double(weight.row(r)[c]) }
      for k in 0..<update.left.columns {
        let factor = update.scale * Double(update.left.row(r)[k])
        let right = update.right.row(k)
        for c in 0..<weight.columns { row[c] += factor * Double(right[c]) }
      }
      for c in 0..<weight.columns { weight.row(r)[c] = Float(row[c]) }
    }
  }
}
