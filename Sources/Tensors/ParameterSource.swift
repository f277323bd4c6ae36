/// Where the numbers of parameters come from: a base, a checkpoint, an adapter that another library trained.
package protocol ParameterSource {
  /// The shape of a tensor by its published name; nil when the source does not have it.
  func shape(_ name: String) -> [Int]?
  /// Reads a tensor that has a shape.
  /// - Throws: `Failure` when it is missing, damaged, or of another shape; the message names source and tensor.
  func read(_ name: String, shape: [Int], into values: UnsafeMutableBufferPointer<Float>) throws
}
