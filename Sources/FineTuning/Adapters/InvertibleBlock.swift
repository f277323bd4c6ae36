internal import BERT
internal import Kernels
internal import Tensors

/// The invertible block over the embeddings: with the halves x₁ and x₂ of a row, `y₁ = x₁ + F(x₂)`, `y₂ = x₂ + G(y₁)`;
/// F and G are `W₂ f(W₁ x + b₁) + b₂`.
/// - SeeAlso: Dinh, Krueger, Bengio: *NICE*, 2015, §3.2; Pfeiffer et al.: *MAD-X*, 2020, §3.3.
final class InvertibleBlock: EmbeddingBranch {
  private let f: HalfMap
  private let g: HalfMap

  init(f: HalfMap, g: HalfMap) {
    self.f = f
    self.g = g
  }

  var isTrainable: Bool { f.isTrainable || g.isTrainable }
  var floatsPerRow: Int { f.floatsPerRow + g.floatsPerRow }

  /// G's input gradient is part of what F's gradients need.
  var operationsPerRow: BranchOperations {
    var total = f.operationsPerRow
    total.forward += g.operationsPerRow.forward
    total.gradients += g.operationsPerRow.gradients
    if f.isTrainable {
      total.gradients += g.operationsPerRow.inputGradient
    } else {
      total.inputGradient += g.operationsPerRow.inputGradient
    }
    return total
  }

  func forward(_ x: Matrix, _ rows: Rows, _ workspace: Workspace) {
    let (first, second) = halves(x)
    f.forward(second, addingTo: first, workspace)
    g.forward(first, addingTo: second, workspace)
  }

  func backward(_ dx: Matrix, _ rows: Rows, _ workspace: Workspace) {
    let (first, second) = halves(dx)
    g.backward(second, addingTo: first, workspace)
    f.backward(first, addingTo: second, workspace)
  }

  /// The block's inverse, over the same parameters.
  func inverted() -> (any EmbeddingBranch)? { InverseBlock(f: f.negated(), g: g.negated()) }
}

/// The inverse of an invertible block: `x₂ = y₂ − G(y₁)`, `x₁ = y₁ − F(x₂)`.
final class InverseBlock: EmbeddingBranch {
  private let f: HalfMap
  private let g: HalfMap

  /// - Parameters:
  ///   - f: −F.
  ///   - g: −G.
  init(f: HalfMap, g: HalfMap) {
    self.f = f
    self.g = g
  }

  var isTrainable: Bool { f.isTrainable || g.isTrainable }
  var floatsPerRow: Int { f.floatsPerRow + g.floatsPerRow }

  func forward(_ y: Matrix, _ rows: Rows, _ workspace: Workspace) {
    let (first, second) = halves(y)
    g.forward(first, addingTo: second, workspace)
    f.forward(second, addingTo: first, workspace)
  }

  func backward(_ dy: Matrix, _ rows: Rows, _ workspace: Workspace) {
    let (first, second) = halves(dy)
    f.backward(first, addingTo: second, workspace)
    g.backward(second, addingTo: first, workspace)
  }
}

private func halves(_ x: Matrix) -> (Matrix, Matrix) {
  let half = x.columns / 2
  return (x.columns(0..<half), x.columns(half..<2 * half))
}

/// F or G of an invertible block, or minus one of them.
final class HalfMap {
  private let inner: (weight: Parameter, bias: Parameter)  // [h/r, h], [h/r]
  private let outer: (weight: Parameter, bias: Parameter)  // [h, h/r], [h]
  private let activation: Activation
  /// 1 or −1.
  private let sign: Float
  private var saved: (x: Matrix, derivative: Matrix, activated: Matrix)?

  init(
    inner: (weight: Parameter, bias: Parameter), outer: (weight: Parameter, bias: Parameter),
    _ activation: Activation, sign: Float = 1
  ) {
    self.inner = inner
    self.outer = outer
    self.activation = activation
    self.sign = sign
  }

  /// Minus this map, over the same parameters and with memory of its own.
  func negated() -> HalfMap { HalfMap(inner: inner, outer: outer, activation, sign: -sign) }

  var isTrainable: Bool { inner.weight.isTrainable }
  var floatsPerRow: Int { 3 * inner.weight.rows + 2 * outer.weight.rows }
  /// As a bottleneck's: both maps, their gradients and that of the inner activations, then that of the input.
  var operationsPerRow: BranchOperations {
    let product = 2 * Double(inner.weight.count)
    return isTrainable
      ? BranchOperations(forward: 2 * product, gradients: 3 * product, inputGradient: product)
      : BranchOperations(forward: 2 * product, inputGradient: 2 * product)
  }

  func forward(_ x: Matrix, addingTo y: Matrix, _ workspace: Workspace) {
    let arena = workspace.arena
    let mark = arena.mark
    let saves = workspace.isTraining
    var input = x
    if saves {
      // The block works in place: what is read here is about to be changed.
      input = arena.matrix(x.rows, x.columns)
      input.copy(from: x)
    }
    let u = arena.matrix(x.rows, inner.weight.rows)
    let activated = saves ? arena.matrix(x.rows, inner.weight.rows) : u
    multiply(input, .plain, workspace[inner.weight], .transposed, into: u)
    activate(u, bias: workspace[inner.bias].base, activation, into: activated, keepsDerivative: saves)
    addToRows(y, workspace[outer.bias].base, times: sign)
    multiply(activated, .plain, workspace[outer.weight], .transposed, into: y, alpha: sign, beta: 1)
    if saves { saved = (input, u, activated) } else { arena.rewind(to: mark) }
  }

  func backward(_ dy: Matrix, addingTo dx: Matrix, _ workspace: Workspace) {
    guard let saved else { preconditionFailure("backward of an invertible block without its forward") }
    let arena = workspace.arena
    let mark = arena.mark
    defer { arena.rewind(to: mark) }
    var dy = dy
    if sign != 1 {
      let negated = arena.matrix(dy.rows, dy.columns)
      negated.copy(from: dy)
      scale(negated, by: sign)
      dy = negated
    }
    let dInner = arena.matrix(dy.rows, inner.weight.rows)
    multiply(dy, .plain, workspace[outer.weight], .plain, into: dInner)
    if let dWeight = workspace.gradient(of: outer.weight) {
      multiply(dy, .transposed, saved.activated, .plain, into: dWeight, beta: 1)
    }
    if let dBias = workspace.gradient(of: outer.bias) { sumRows(dy, addingTo: dBias.base) }
    multiplyElements(dInner, by: saved.derivative)
    if let dWeight = workspace.gradient(of: inner.weight) {
      multiply(dInner, .transposed, saved.x, .plain, into: dWeight, beta: 1)
    }
    if let dBias = workspace.gradient(of: inner.bias) { sumRows(dInner, addingTo: dBias.base) }
    multiply(dInner, .plain, workspace[inner.weight], .plain, into: dx, beta: 1)
  }
}
