internal import BERT
internal import Kernels
internal import Tensors

/// The core of an adapter, `a(z) = s · (W_up f(W_down n(z) + b_down) + b_up)`, with n a normalisation or nothing.
final class Bottleneck {
  /// Where its parameters lie.
  struct Places {
    let normBefore: LayerNorm?
    let down: (weight: Parameter, bias: Parameter)  // [b, H], [b]
    let up: (weight: Parameter, bias: Parameter)  // [H, b], [H]
    let scaling: Parameter?  // [1]
  }

  private let places: Places
  private let activation: Activation
  private let constant: Float
  private var saved: Saved?
  private var savedInner: SavedInner?

  /// What backward of the part above the inner values needs from forward.
  private struct Saved {
    let inner: Matrix
    /// The output before it is scaled, where the scale is learned.
    let unscaled: Matrix?
  }

  /// What backward of the part below them needs.
  private struct SavedInner {
    let input: Matrix
    let derivative: Matrix
    let norm: NormCache?
  }

  init(_ places: Places, _ configuration: AdapterConfiguration) {
    self.places = places
    activation = configuration.activation
    if case .constant(let value) = configuration.scaling { constant = value } else { constant = 1 }
  }

  var isTrainable: Bool { places.down.weight.isTrainable }
  /// Forward down and up; backward their gradients and that of the inner activations; then that of the input.
  var operationsPerRow: BranchOperations {
    let product = 2 * Double(places.down.weight.count)
    return isTrainable
      ? BranchOperations(forward: 2 * product, gradients: 3 * product, inputGradient: product)
      : BranchOperations(forward: 2 * product, inputGradient: 2 * product)
  }
  /// H.
  var hiddenSize: Int { places.up.weight.rows }
  /// b.
  var width: Int { places.down.weight.rows }
  /// W_up and b_up.
  var up: (weight: Parameter, bias: Parameter) { places.up }
  /// s; nil where it is learned.
  var constantScale: Float? { places.scaling == nil ? constant : nil }
  /// How many floats of arena a row takes, in forward and backward together.
  var floatsPerRow: Int {
    let hidden = hiddenSize
    return 3 * places.down.weight.rows + (places.normBefore == nil ? 0 : 4 * hidden)
      + (places.scaling == nil ? 0 : hidden)
  }

  /// Writes `out = a(z)`, or adds it.
  /// - Parameters:
  ///   - z: `[rows, H]`; read again by backward.
  ///   - out: `[rows, H]`.
  ///   - accumulate: Whether `out` is added to; otherwise it is overwritten.
  ///   - workspace: Parameters, memory.
  func forward(_ z: Matrix, into out: Matrix, accumulate: Bool, _ workspace: Workspace) {
    let inner = workspace.arena.matrix(z.rows, width)
    innerForward(z, into: inner, workspace)
    guard let scaling = places.scaling else {
      project(inner, scale: constant, into: out, accumulate: accumulate, workspace)
      saved = Saved(inner: inner, unscaled: nil)
      return
    }
    let raw = workspace.arena.matrix(z.rows, out.columns)
    project(inner, scale: 1, into: raw, accumulate: false, workspace)
    if !accumulate { out.fill(0) }
    addScaled(raw, workspace[scaling].base[0], to: out)
    saved = Saved(inner: inner, unscaled: raw)
  }

  /// The part below the up-projection: writes the inner values `f(W_down n(z) + b_down)`.
  /// - Parameters:
  ///   - z: `[rows, H]`; read again by backward.
  ///   - inner: `[rows, b]`.
  ///   - workspace: Parameters, memory.
  func innerForward(_ z: Matrix, into inner: Matrix, _ workspace: Workspace) {
    let norm = places.normBefore.map { NormCache($0, of: z, nil, workspace) }
    let input = norm?.output ?? z
    let derivative = workspace.arena.matrix(z.rows, width)
    multiply(input, .plain, workspace[places.down.weight], .transposed, into: derivative)
    activate(derivative, bias: workspace[places.down.bias].base, activation, into: inner, keepsDerivative: true)
    savedInner = SavedInner(input: input, derivative: derivative, norm: norm)
  }

  /// `out (+)= scale · (inner W_upᵀ + b_up)`.
  private func project(
    _ inner: Matrix, scale: Float, into out: Matrix, accumulate: Bool, _ workspace: Workspace
  ) {
    var bias = workspace[places.up.bias]
    let mark = workspace.arena.mark
    if scale != 1 {
      let scaled = workspace.arena.matrix(1, out.columns)
      for i in 0..<out.columns { scaled.base[i] = scale * bias.base[i] }
      bias = scaled
    }
    if accumulate { addToRows(out, bias.base) } else { fillRows(out, with: bias.base) }
    workspace.arena.rewind(to: mark)
    multiply(
      inner, .plain, workspace[places.up.weight], .transposed, into: out, alpha: scale, beta: 1)
  }

  /// Adds the gradients of the core and writes that of `z`, or adds it.
  /// - Parameters:
  ///   - dOut: The gradient of the output, `[rows, H]`; left as it is.
  ///   - dz: `[rows, H]`, not `dOut` itself.
  ///   - accumulate: Whether `dz` is added to; otherwise it is overwritten.
  ///   - workspace: Where gradients go, memory.
  func backward(_ dOut: Matrix, into dz: Matrix, accumulate: Bool, _ workspace: Workspace) {
    guard let saved else { preconditionFailure("backward of an adapter without its forward") }
    let arena = workspace.arena
    let mark = arena.mark
    defer { arena.rewind(to: mark) }
    let scale = places.scaling.map { workspace[$0].base[0] } ?? constant
    let dInner = arena.matrix(dOut.rows, width)
    multiply(dOut, .plain, workspace[places.up.weight], .plain, into: dInner, alpha: scale)
    upGradients(dOut, saved, scale, workspace)
    innerBackward(dInner, into: dz, accumulate: accumulate, workspace)
  }

  /// Adds the gradients of the part below the up-projection and writes that of `z`, or adds it.
  /// - Parameters:
  ///   - dInner: The gradient of the inner values, `[rows, b]`; overwritten.
  ///   - dz: `[rows, H]`.
  ///   - accumulate: Whether `dz` is added to; otherwise it is overwritten.
  ///   - workspace: Where gradients go, memory.
  func innerBackward(_ dInner: Matrix, into dz: Matrix, accumulate: Bool, _ workspace: Workspace) {
    guard let saved = savedInner else { preconditionFailure("backward of an adapter without its forward") }
    let arena = workspace.arena
    let mark = arena.mark
    defer { arena.rewind(to: mark) }
    multiplyElements(dInner, by: saved.derivative)
    if let dWeight = workspace.gradient(of: places.down.weight) {
      multiply(dInner, .transposed, saved.input, .plain, into: dWeight, beta: 1)
    }
    if let dBias = workspace.gradient(of: places.down.bias) { sumRows(dInner, addingTo: dBias.base) }
    guard let norm = saved.norm else {
      multiply(dInner, .plain, workspace[places.down.weight], .plain, into: dz, beta: accumulate ? 1 : 0)
      return
    }
    let dInput = arena.matrix(dz.rows, dz.columns)
    multiply(dInner, .plain, workspace[places.down.weight], .plain, into: dInput)
    norm.backward(dInput, into: dInput, workspace)
    if accumulate { add(dInput, to: dz) } else { dz.copy(from: dInput) }
  }

  private func upGradients(_ dOut: Matrix, _ saved: Saved, _ scale: Float, _ workspace: Workspace) {
    if let dWeight = workspace.gradient(of: places.up.weight) {
      multiply(dOut, .transposed, saved.inner, .plain, into: dWeight, alpha: scale, beta: 1)
    }
    if let dBias = workspace.gradient(of: places.up.bias) {
      let total = workspace.arena.matrix(1, dOut.columns)
      total.fill(0)
      sumRows(dOut, addingTo: total.base)
      addScaled(total, scale, to: dBias)
    }
    if let scaling = places.scaling, let dScaling = workspace.gradient(of: scaling), let raw = saved.unscaled {
      var total = 0.0
      for r in 0..<dOut.rows { total += Double(dot(dOut.row(r), raw.row(r), dOut.columns)) }
      dScaling.base[0] += Float(total)
    }
  }
}
