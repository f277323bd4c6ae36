internal import Kernels
package import Tensors

/// An activation as products read it: floats, the same rounded to bfloat16 where a weight is kept so, or both.
package struct Operand: BitwiseCopyable {
  private let floats: Matrix?
  /// The numbers in bfloat16; nil where no product asks for that.
  package let rounded: RoundedMatrix?

  /// The floats, of an activation that has them.
  package var values: Matrix {
    guard let floats else { preconditionFailure("an activation that is kept in bfloat16 alone") }
    return floats
  }

  /// An activation in floats; it is rounded for a product that asks for that.
  package init(_ values: Matrix) { (floats, rounded) = (values, nil) }

  /// An activation in one form or both.
  init(_ values: Matrix?, rounded: RoundedMatrix?) { (floats, self.rounded) = (values, rounded) }

  /// The view of some columns.
  package func columns(_ range: Range<Int>) -> Operand {
    Operand(floats?.columns(range), rounded: rounded?.columns(range))
  }
}

/// The three products with a weight, in the precision that the weight is kept in; sums are floats in each.
extension Workspace {
  /// Room for an activation that products with weights of a precision will read.
  func output(_ rows: Int, _ columns: Int, for precision: Precision) -> Operand {
    Operand(arena.matrix(rows, columns), rounded: precision == .bf16 ? arena.rounded(rows, columns) : nil)
  }

  /// An activation for products with weights of a precision; what has to be rounded for them lies in the arena.
  package func operand(_ x: Operand, _ precision: Precision) -> Operand {
    guard precision == .bf16, x.rounded == nil else { return x }
    let rounded = arena.rounded(x.values.rows, x.values.columns)
    rounded.round(from: x.values)
    return Operand(x.values, rounded: rounded)
  }

  /// `y = x Wᵀ`, added to `y` where it accumulates.
  package func multiply(
    _ x: Operand, transposed weight: Parameter, into y: Matrix, accumulate: Bool = false
  ) {
    let beta: Float = accumulate ? 1 : 0
    // A matrix is read 5 to 10 % quicker as it lies than along its rows.
    if weight.precision == .bf16, let x = x.rounded {
      if let transposed = parameters.roundedTransposed(weight) {
        Kernels.multiply(x, .plain, transposed, .plain, into: y, beta: beta)
      } else {
        Kernels.multiply(x, .plain, parameters.rounded(weight), .transposed, into: y, beta: beta)
      }
    } else if let transposed = parameters.transposed(weight) {
      Kernels.multiply(x.values, .plain, transposed, .plain, into: y, beta: beta)
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
    guard let dWeight = gradient(of: weight), weightGradients?.add(dy, x, of: weight) != true else { return }
    multiplyTransposed(dy, x, into: dWeight, beta: 1)
  }
}

/// `dW = dyᵀ x + beta · dW`, in bfloat16 where both factors are there in it.
package func multiplyTransposed(_ dy: Operand, _ x: Operand, into dWeight: Matrix, beta: Float) {
  if let dy = dy.rounded, let x = x.rounded {
    Kernels.multiply(dy, .transposed, x, .plain, into: dWeight, beta: beta)
  } else {
    Kernels.multiply(dy.values, .transposed, x.values, .plain, into: dWeight, beta: beta)
  }
}
