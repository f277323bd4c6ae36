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
}
