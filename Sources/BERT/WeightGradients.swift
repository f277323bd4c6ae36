package import Tensors

/// Who adds up the gradients of the encoder's matrices where workers do that together, one for each worker.
///
/// A worker hands in what a gradient is the product of. Others may read both factors until the `settle` after the next
/// one returns, or the pass is over, so until then they stay as they are.
package protocol WeightGradients: AnyObject {
  /// Takes `dW += dyᵀ x` over.
  /// - Parameters:
  ///   - dy: The gradient of the projection's output, `[rows, out]`.
  ///   - x: Its input, `[rows, in]`.
  ///   - weight: `[out, in]`, trained.
  /// - Returns: Whether it did; otherwise the worker adds it to gradients of its own.
  func add(_ dy: Operand, _ x: Operand, of weight: Parameter) -> Bool
  /// To be called at the end of each layer's backward: returns when this worker has done its part of what all have
  /// handed in.
  func settle()
}
