internal import Kernels
package import Tensors

/// What a fine-tuning method adds to a projection: LoRA's low-rank update, IA3's scaling.
///
/// A branch keeps what its backward needs from the last forward.
package protocol ProjectionBranch: Branch {
  /// Whether the projection's bias has to be in `y` before `forward` is called.
  var needsBias: Bool { get }
  /// How many floats of arena a row takes at most, in forward and backward together.
  var floatsPerRow: Int { get }
  /// Whether `backward` changes `dy`, so that it has to run before the projection's own; yes when left out.
  var changesOutputGradient: Bool { get }
  /// Changes `y`, the projection's output `[rows, out]`, in place.
  /// - Parameters:
  ///   - x: The projection's input, `[rows, in]`.
  ///   - y: The projection's output.
  ///   - rows: Which tokens the rows are.
  ///   - workspace: Parameters, memory, dropout.
  func forward(_ x: Matrix, into y: Matrix, _ rows: Rows, _ workspace: Workspace)
  /// Adds the branch's gradients.
  /// - Parameters:
  ///   - dy: The gradient of the output; may be changed in place into the gradient of the projection's own output.
  ///   - x: The projection's input.
  ///   - dx: Where the branch's share of the input's gradient is added; nil when nobody needs it.
  ///   - rows: Which tokens the rows are.
  ///   - workspace: Where gradients go, memory.
  func backward(_ dy: Matrix, _ x: Matrix, dx: Matrix?, _ rows: Rows, _ workspace: Workspace)
}

extension ProjectionBranch {
  /// A branch that only reads it says so.
  package var changesOutputGradient: Bool { true }
}

/// One linear map of the model, `y = x Wᵀ + b`, with an open site for a fine-tuning method.
package final class Projection {
  /// Its published module name, such as `bert.encoder.layer.0.attention.self.query`.
  package let name: String
  /// `[out, in]`.
  package let weight: Parameter
  /// `[1, out]`.
  package let bias: Parameter
  /// The site of its branch's dropout.
  package let branchSite: UInt32
  /// What a fine-tuning method added.
  package var branch: (any ProjectionBranch)?

  init(_ name: String, _ table: ParameterTable, branchSite: UInt32) {
    self.name = name
    weight = table[name + ".weight"]
    bias = table[name + ".bias"]
    self.branchSite = branchSite
  }

  /// Whether anything here is trained.
  package var isTrainable: Bool {
    weight.isTrainable || bias.isTrainable || branch?.isTrainable == true
  }
}

/// Projections of the same input whose outputs lie side by side, `[rows, Σ out]`: one product where their weights lie
/// one after another in the same block, as query, key and value do.
struct ProjectionGroup {
  let members: [Projection]
  private let weight: Parameter?
  private let bias: Parameter?

  init(_ members: [Projection]) {
    self.members = members
    weight = joined(members.map(\.weight), byRows: true)
    bias = joined(members.map(\.bias), byRows: false)
  }

  var isTrainable: Bool { members.contains { $0.isTrainable } }
  private var needsBias: Bool { members.contains { $0.branch?.needsBias == true } }
  /// That of the weights, which have all the same.
  var precision: Precision { members.first?.weight.precision ?? .fp32 }

  /// `y = x Wᵀ + b`, then the branches.
  /// - Returns: The input as backward needs it.
  @discardableResult
  func forward(_ x: Operand, into y: Matrix, _ rows: Rows, _ workspace: Workspace) -> Operand {
    if let bias {
      fillRows(y, with: workspace[bias].base)
    } else {
      forEachSlice(of: y) { fillRows($1, with: workspace[$0.bias].base) }
    }
    return products(x, into: y, accumulate: true, rows, workspace)
  }

  /// `y = x Wᵀ`, then the branches; the bias is left to whoever reads `y`, unless a branch needs it.
  /// - Returns: The bias that is still to be added, or nil, and the input as backward needs it.
  func forwardDeferringBias(
    _ x: Operand, into y: Matrix, _ rows: Rows, _ workspace: Workspace
  ) -> (bias: UnsafePointer<Float>?, input: Operand) {
    guard let bias, !needsBias else { return (nil, forward(x, into: y, rows, workspace)) }
    let input = products(x, into: y, accumulate: false, rows, workspace)
    return (UnsafePointer(workspace[bias].base), input)
  }

  /// Adds the gradients of weights, biases and branches, and writes or adds that of the input.
  /// - Parameters:
  ///   - gradient: That of the output, `[rows, Σ out]`; its floats are changed in place by some branches.
  ///   - x: The input, as forward returned it.
  ///   - dx: `[rows, in]`, or nil when nobody needs it.
  ///   - accumulate: Whether `dx` is added to; otherwise it is overwritten.
  ///   - rows: Which tokens the rows are.
  ///   - workspace: Where gradients go, memory.
  func backward(
    _ gradient: Operand, _ x: Operand, dx: Matrix?, accumulate: Bool, _ rows: Rows, _ workspace: Workspace
  ) {
    let dy = gradient.values
    let branchesFirst = members.contains { $0.branch?.changesOutputGradient == true }
    if branchesFirst {
      if let dx, !accumulate { dx.fill(0) }
      branchesBackward(dy, x, dx: dx, rows, workspace)
    }
    productsBackward(
      branchesFirst ? Operand(dy) : gradient, x, dx: dx, accumulate: accumulate || branchesFirst, workspace)
    if !branchesFirst { branchesBackward(dy, x, dx: dx, rows, workspace) }
    forEachSlice(of: dy) {
      if let dBias = workspace.gradient(of: $0.bias) { sumRows($1, addingTo: dBias.base) }
    }
  }

  /// `x Wᵀ` and the branches. Backward reads the rounded input only for the gradients of weights.
  private func products(
    _ x: Operand, into y: Matrix, accumulate: Bool, _ rows: Rows, _ workspace: Workspace
  ) -> Operand {
    let mark = workspace.arena.mark
    var input = workspace.operand(x, precision)
    if let weight {
      workspace.multiply(input, transposed: weight, into: y, accumulate: accumulate)
    } else {
      forEachSlice(of: y) { workspace.multiply(input, transposed: $0.weight, into: $1, accumulate: accumulate) }
    }
    if !workspace.isTraining || !members.contains(where: { $0.weight.isTrainable }) {
      workspace.arena.rewind(to: mark)
      input = x
    }
    forEachSlice(of: y) { $0.branch?.forward(x.values, into: $1, rows, workspace) }
    return input
  }

  private func branchesBackward(_ dy: Matrix, _ x: Operand, dx: Matrix?, _ rows: Rows, _ workspace: Workspace) {
    forEachSlice(of: dy) { $0.branch?.backward($1, x.values, dx: dx, rows, workspace) }
  }

  private func productsBackward(
    _ dy: Operand, _ x: Operand, dx: Matrix?, accumulate: Bool, _ workspace: Workspace
  ) {
    let trainsWeights = members.contains { $0.weight.isTrainable }
    guard dx != nil || trainsWeights else { return }
    let mark = workspace.arena.mark
    // What was handed in is read until the layer settles.
    defer { if workspace.weightGradients == nil { workspace.arena.rewind(to: mark) } }
    let dy = workspace.operand(dy, precision)
    if trainsWeights { addWeightGradients(dy, x, workspace) }
    if let dx { addInputGradient(dy, to: dx, accumulate: accumulate, workspace) }
  }

  private func addWeightGradients(_ dy: Operand, _ x: Operand, _ workspace: Workspace) {
    if let weight { return workspace.addGradient(dy, x, of: weight) }
    forEachMember { workspace.addGradient(dy.columns($1), x, of: $0.weight) }
  }

  private func addInputGradient(_ dy: Operand, to dx: Matrix, accumulate: Bool, _ workspace: Workspace) {
    if let weight { return workspace.multiply(dy, weight, into: dx, accumulate: accumulate) }
    var accumulates = accumulate
    forEachMember {
      workspace.multiply(dy.columns($1), $0.weight, into: dx, accumulate: accumulates)
      accumulates = true
    }
  }

  private func forEachSlice(of y: Matrix, _ body: (Projection, Matrix) -> Void) {
    forEachMember { body($0, y.columns($1)) }
  }

  /// Each projection with the columns of its output.
  private func forEachMember(_ body: (Projection, Range<Int>) -> Void) {
    var start = 0
    for member in members {
      let end = start + member.weight.rows
      body(member, start..<end)
      start = end
    }
  }
}

/// The parameters as one, when they lie one after another in the same block.
private func joined(_ parameters: [Parameter], byRows: Bool) -> Parameter? {
  guard let first = parameters.first else { return nil }
  var end = first.offset
  for parameter in parameters {
    let before = (end - first.offset) / max(1, first.columns) * first.precision.bytes
    let transpose = first.transpose.map { Transpose(offset: $0.offset + before, stride: $0.stride) }
    guard parameter.isTrainable == first.isTrainable, parameter.precision == first.precision,
      parameter.offset == end, parameter.transpose == transpose
    else { return nil }
    end += parameter.count
  }
  let rows = byRows ? parameters.reduce(0) { $0 + $1.rows } : 1
  return Parameter(
    isTrainable: first.isTrainable, offset: first.offset, rows: rows, columns: (end - first.offset) / rows,
    precision: first.precision, transpose: first.transpose)
}
