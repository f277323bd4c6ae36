internal import Kernels
package import Tensors

/// An activation as products read it: floats, and the same rounded to bfloat16 where a weight is kept so.
package struct Operand: BitwiseCopyable {
  /// The floats.
  package let values: Matrix
  /// The same in bfloat16; nil where no product asks for that.
  package let rounded: RoundedMatrix?

  /// An activation that products read as it is.
  package init(_ values: Matrix) { (self.values, rounded) = (values, nil) }

  /// An activation with its rounded form.
  package init(_ values: Matrix, rounded: RoundedMatrix?) { (self.values, self.rounded) = (values, rounded) }

  func columns(_ range: Range<Int>) -> Operand {
    Operand(values.columns(range), rounded: rounded?.columns(range))
  }
}

/// The three products with a weight, in the precision that the weight is kept in; sums are floats in each.
extension Workspace {
  /// An activation for products with weights of a precision; what is rounded lies in the arena.
  package func operand(_ x: Matrix, _ precision: Precision) -> Operand {
    guard precision == .bf16 else { return Operand(x) }
    let rounded = arena.rounded(x.rows, x.columns)
    rounded.round(from: x)
    return Operand(x, rounded: rounded)
  }

  /// `y = x Wᵀ`, added to `y` where it accumulates.
  package func multiply(
    _ x: Operand, transposed weight: Parameter, into y: Matrix, accumulate: Bool = false
  ) {
    let beta: Float = accumulate ? 1 : 0
    if weight.precision == .bf16, let x = x.rounded {
      Kernels.multiply(x, .plain, parameters.rounded(weight), .transposed, into: y, beta: beta)
    } else {
      Kernels.multiply(x.values, .plain, self[weight], .transposed, into: y, beta: beta)
    }
  }

  /// `dx = dy W`, added to `dx` where it accumulates.
  package func multiply(_ dy: Operand, _ weight: Parameter, into dx: Matrix, accumulate: Bool = false) {
    let beta: Float = accumulate ? 1 : 0
    if weight.precision == .bf16, let dy = dy.rounded {
      Kernels.multiply(dy, .plain, parameters.rounded(weight), .plain, into: dx, beta: beta)
    } else {
      Kernels.multiply(dy.values, .plain, self[weight], .plain, into: dx, beta: beta)
    }
  }

  /// `dW += dyᵀ x`; nothing where the weight is frozen.
  package func addGradient(_ dy: Operand, _ x: Operand, of weight: Parameter) {
    guard let dWeight = gradient(of: weight) else { return }
    if let dy = dy.rounded, let x = x.rounded {
      Kernels.multiply(dy, .transposed, x, .plain, into: dWeight, beta: 1)
    } else {
      Kernels.multiply(dy.values, .transposed, x.values, .plain, into: dWeight, beta: 1)
    }
  }
}
