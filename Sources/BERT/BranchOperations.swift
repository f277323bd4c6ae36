/// How many floating-point operations a branch needs for a row, in matrix products alone: two a multiplication.
///
/// What is needed once a step, whatever the number of rows, is left out.
package struct BranchOperations: Sendable, Equatable {
  /// In forward.
  package var forward: Double
  /// In backward, for the gradients of what the branch trains; zero where it trains nothing.
  package var gradients: Double
  /// In backward, for the gradient of the branch's input beside those.
  package var inputGradient: Double

  /// Operations; none unless told.
  package init(forward: Double = 0, gradients: Double = 0, inputGradient: Double = 0) {
    self.forward = forward
    self.gradients = gradients
    self.inputGradient = inputGradient
  }

  /// The sum.
  package static func + (a: BranchOperations, b: BranchOperations) -> BranchOperations {
    BranchOperations(
      forward: a.forward + b.forward, gradients: a.gradients + b.gradients,
      inputGradient: a.inputGradient + b.inputGradient)
  }
}

/// What a fine-tuning method puts at a site of the model, whichever it is.
package protocol Branch: AnyObject {
  /// Whether anything of the branch is trained.
  var isTrainable: Bool { get }
  /// What its products cost; nothing when left out.
  var operationsPerRow: BranchOperations { get }
}

extension Branch {
  /// No products unless a branch has some.
  package var operationsPerRow: BranchOperations { BranchOperations() }
}
