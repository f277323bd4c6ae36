internal import BERT
internal import Kernels
internal import Tensors

/// Prefix tuning's branch at one layer: the layer's own rows of the network's last map, everything before them shared.
///
/// The shared part is computed again for each layer: it is far smaller than a layer, and layers need no order.
final class LayerPrefix: AttentionPrefix {
  private let positions: Parameter  // [P, H]
  private let inner: (weight: Parameter, bias: Parameter)  // [N, H], [1, N]
  private let outer: (weight: Parameter, bias: Parameter)  // [2 L H, N], [1, 2 L H]
  /// The layer's rows of the last map: keys, then values.
  private let own: Range<Int>
  private var activated: Matrix?

  init(
    positions: Parameter, inner: (weight: Parameter, bias: Parameter),
    outer: (weight: Parameter, bias: Parameter), layer: Int, width: Int
  ) {
    self.positions = positions
    self.inner = inner
    self.outer = outer
    own = 2 * layer * width..<2 * (layer + 1) * width
  }

  var isTrainable: Bool {
    [positions, inner.weight, inner.bias, outer.weight, outer.bias].contains { $0.isTrainable }
  }
  var length: Int { positions.rows }

  /// `[k, v] = tanh(E W₁ᵀ + b₁) W₂ᵀ + b₂`, keeping the tanh, `[P, N]`.
  func forward(_ workspace: Workspace) -> Matrix {
    let arena = workspace.arena
    let activated = arena.matrix(length, inner.weight.rows)
    fillRows(activated, with: workspace[inner.bias].base)
    multiply(workspace[positions], .plain, workspace[inner.weight], .transposed, into: activated, beta: 1)
    tanhRows(activated)
    let keysAndValues = arena.matrix(length, own.count)
    fillRows(keysAndValues, with: workspace[outer.bias].base + own.lowerBound)
    multiply(
      activated, .plain, workspace[outer.weight].rows(own), .transposed, into: keysAndValues, beta: 1)
    self.activated = activated
    return keysAndValues
  }

  func backward(_ d: Matrix, _ workspace: Workspace) {
    guard let activated else { preconditionFailure("backward of a prefix without its forward") }
    let arena = workspace.arena
    let mark = arena.mark
    defer { arena.rewind(to: mark) }
    if let dBias = workspace.gradient(of: outer.bias) { sumRows(d, addingTo: dBias.base + own.lowerBound) }
    if let dWeight = workspace.gradient(of: outer.weight) {
      multiply(d, .transposed, activated, .plain, into: dWeight.rows(own), beta: 1)
    }
    let dInner = arena.matrix(length, inner.weight.rows)
    multiply(d, .plain, workspace[outer.weight].rows(own), .plain, into: dInner)
    tanhBackward(dInner, y: activated)
    if let dBias = workspace.gradient(of: inner.bias) { sumRows(dInner, addingTo: dBias.base) }
    if let dWeight = workspace.gradient(of: inner.weight) {
      multiply(dInner, .transposed, workspace[positions], .plain, into: dWeight, beta: 1)
    }
    if let dPositions = workspace.gradient(of: positions) {
      multiply(dInner, .plain, workspace[inner.weight], .plain, into: dPositions, beta: 1)
    }
  }
}
