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

  /// What backward needs from forward.
  private struct Saved {
    let input: Matrix
    let derivative: Matrix
    let activated: Matrix
    let norm: NormCache?
    /// The output before it is scaled, where the scale is learned.
    let unscaled: Matrix?
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
    let arena = workspace.arena
    let width = places.down.weight.rows
    let norm = places.normBefore.map { NormCache($0, of: z, nil, workspace) }
    let input = norm?.output ?? z
    let derivative = arena.matrix(z.rows, width)
    let activated = arena.matrix(z.rows, width)
    multiply(input, .plain, workspace[places.down.weight], .transposed, into: derivative)
    activate(
      derivative, bias: workspace[places.down.bias].base, activation, into: activated, keepsDerivative: true)
    var unscaled: Matrix?
    if let scaling = places.scaling {
      let raw = arena.matrix(z.rows, out.columns)
      project(activated, scale: 1, into: raw, accumulate: false, workspace)
      if !accumulate { out.fill(0) }
      addScaled(raw, workspace[scaling].base[0], to: out)
      unscaled = raw
    } else {
      project(activated, scale: constant, into: out, accumulate: accumulate, workspace)
    }
    saved = Saved(
      input: input, derivative: derivative, activated: activated, norm: norm, unscaled: unscaled)
  }

  /// `out (+)= scale · (activated W_upᵀ + b_up)`.
  private func project(
    _ activated: Matrix, scale: Float, into out: Matrix, accumulate: Bool, _ workspace: Workspace
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
      activated, .plain, workspace[places.up.weight], .transposed, into: out, alpha: scale, beta: 1)
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
    let dActivated = arena.matrix(dOut.rows, saved.activated.columns)
    multiply(dOut, .plain, workspace[places.up.weight], .plain, into: dActivated, alpha: scale)
    upGradients(dOut, saved, scale, workspace)
    multiplyElements(dActivated, by: saved.derivative)
    if let dWeight = workspace.gradient(of: places.down.weight) {
      multiply(dActivated, .transposed, saved.input, .plain, into: dWeight, beta: 1)
    }
    if let dBias = workspace.gradient(of: places.down.bias) { sumRows(dActivated, addingTo: dBias.base) }
    guard let norm = saved.norm else {
      multiply(
        dActivated, .plain, workspace[places.down.weight], .plain, into: dz, beta: accumulate ? 1 : 0)
      return
    }
    let dInput = arena.matrix(dOut.rows, dOut.columns)
    multiply(dActivated, .plain, workspace[places.down.weight], .plain, into: dInput)
    norm.backward(dInput, into: dInput, workspace)
    if accumulate { add(dInput, to: dz) } else { dz.copy(from: dInput) }
  }

  private func upGradients(_ dOut: Matrix, _ saved: Saved, _ scale: Float, _ workspace: Workspace) {
    if let dWeight = workspace.gradient(of: places.up.weight) {
      multiply(dOut, .transposed, saved.activated, .plain, into: dWeight, alpha: scale, beta: 1)
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

/// A layer normalisation's output, and what its backward needs.
struct NormCache {
  let output: Matrix
  private let norm: LayerNorm
  private let normalized: Matrix
  private let inverseDeviations: UnsafeMutablePointer<Float>

  /// Normalises `x + other`, neither of which is changed.
  init(_ norm: LayerNorm, of x: Matrix, _ other: Matrix?, _ workspace: Workspace) {
    let copy = workspace.arena.matrix(x.rows, x.columns)
    copy.copy(from: x)
    self.init(
      norm, overwriting: copy, other, into: workspace.arena.matrix(x.rows, x.columns), workspace)
  }

  /// Normalises `x + other` into `output`; `x` is overwritten.
  init(
    _ norm: LayerNorm, overwriting x: Matrix, _ other: Matrix?, into output: Matrix, _ workspace: Workspace
  ) {
    self.norm = norm
    self.output = output
    normalized = x
    inverseDeviations = workspace.arena.allocate(Float.self, x.rows)
    normalizeSum(
      x, bias: nil, mask: nil, residual: other, gamma: workspace[norm.weight].base,
      beta: workspace[norm.bias].base, epsilon: norm.epsilon, into: output,
      inverseDeviations: inverseDeviations)
  }

  /// Writes the gradient of the sum; `dx` may be `dy`.
  func backward(_ dy: Matrix, into dx: Matrix, _ workspace: Workspace) {
    normalizeBackward(
      dy, normalized: normalized, inverseDeviations: inverseDeviations,
      gamma: workspace[norm.weight].base, into: dx, dGamma: workspace.gradient(of: norm.weight)?.base,
      dBeta: workspace.gradient(of: norm.bias)?.base)
  }
}
