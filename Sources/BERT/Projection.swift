internal import Kernels
package import Tensors

/// What a fine-tuning method adds to a projection: LoRA's low-rank update, IA3's scaling.
///
/// A branch keeps what its backward needs from the last forward.
package protocol ProjectionBranch: AnyObject {
  /// Whether the projection's bias has to be in `y` before `forward` is called.
  var needsBias: Bool { get }
  /// Whether anything of the branch is trained.
  var isTrainable: Bool { get }
  /// How many floats of arena a row takes at most, in forward and backward together; zero, when left out, for what is
  /// small beside the projection itself.
  var floatsPerRow: Int { get }
  /// What its products cost; nothing when left out.
  var operationsPerRow: BranchOperations { get }
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
  /// Nothing worth counting.
  package var floatsPerRow: Int { 0 }
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

  /// `y = x Wᵀ + b`, then the branches.
  func forward(_ x: Matrix, into y: Matrix, _ rows: Rows, _ workspace: Workspace) {
    if let bias {
      fillRows(y, with: workspace[bias].base)
    } else {
      forEachSlice(of: y) { fillRows($1, with: workspace[$0.bias].base) }
    }
    product(x, into: y, accumulate: true, workspace)
    runBranches(x, into: y, rows, workspace)
  }

  /// `y = x Wᵀ`, then the branches; the bias is left to whoever reads `y`, unless a branch needs it.
  /// - Returns: The bias that is still to be added, or nil.
  func forwardDeferringBias(
    _ x: Matrix, into y: Matrix, _ rows: Rows, _ workspace: Workspace
  ) -> UnsafePointer<Float>? {
    guard let bias, !needsBias else {
      forward(x, into: y, rows, workspace)
      return nil
    }
    product(x, into: y, accumulate: false, workspace)
    runBranches(x, into: y, rows, workspace)
    return UnsafePointer(workspace[bias].base)
  }

  /// Adds the gradients of weights, biases and branches, and writes or adds that of the input.
  /// - Parameters:
  ///   - dy: `[rows, Σ out]`; changed in place by some branches.
  ///   - x: The input of forward.
  ///   - dx: `[rows, in]`, or nil when nobody needs it.
  ///   - accumulate: Whether `dx` is added to; otherwise it is overwritten.
  ///   - rows: Which tokens the rows are.
  ///   - workspace: Where gradients go, memory.
  func backward(
    _ dy: Matrix, _ x: Matrix, dx: Matrix?, accumulate: Bool, _ rows: Rows, _ workspace: Workspace
  ) {
    let branchesFirst = members.contains { $0.branch?.changesOutputGradient == true }
    if branchesFirst {
      if let dx, !accumulate { dx.fill(0) }
      branchesBackward(dy, x, dx: dx, rows, workspace)
    }
    parameterGradients(dy, x, workspace)
    if let dx { inputGradient(dy, into: dx, accumulate: accumulate || branchesFirst, workspace) }
    if !branchesFirst { branchesBackward(dy, x, dx: dx, rows, workspace) }
  }

  private func branchesBackward(_ dy: Matrix, _ x: Matrix, dx: Matrix?, _ rows: Rows, _ workspace: Workspace) {
    forEachSlice(of: dy) { $0.branch?.backward($1, x, dx: dx, rows, workspace) }
  }

  private func inputGradient(_ dy: Matrix, into dx: Matrix, accumulate: Bool, _ workspace: Workspace) {
    var accumulates = accumulate
    if let weight {
      multiply(dy, .plain, workspace[weight], .plain, into: dx, beta: accumulates ? 1 : 0)
      return
    }
    forEachSlice(of: dy) {
      multiply($1, .plain, workspace[$0.weight], .plain, into: dx, beta: accumulates ? 1 : 0)
      accumulates = true
    }
  }

  private func product(_ x: Matrix, into y: Matrix, accumulate: Bool, _ workspace: Workspace) {
    let beta: Float = accumulate ? 1 : 0
    if let weight {
      multiply(x, .plain, workspace[weight], .transposed, into: y, beta: beta)
    } else {
      forEachSlice(of: y) { multiply(x, .plain, workspace[$0.weight], .transposed, into: $1, beta: beta) }
    }
  }

  private func runBranches(_ x: Matrix, into y: Matrix, _ rows: Rows, _ workspace: Workspace) {
    forEachSlice(of: y) { $0.branch?.forward(x, into: $1, rows, workspace) }
  }

  private func parameterGradients(_ dy: Matrix, _ x: Matrix, _ workspace: Workspace) {
    if let weight {
      if let dWeight = workspace.gradient(of: weight) {
        multiply(dy, .transposed, x, .plain, into: dWeight, beta: 1)
      }
    } else {
      forEachSlice(of: dy) {
        guard let dWeight = workspace.gradient(of: $0.weight) else { return }
        multiply($1, .transposed, x, .plain, into: dWeight, beta: 1)
      }
    }
    forEachSlice(of: dy) {
      if let dBias = workspace.gradient(of: $0.bias) { sumRows($1, addingTo: dBias.base) }
    }
  }

  private func forEachSlice(of y: Matrix, _ body: (Projection, Matrix) -> Void) {
    var start = 0
    for member in members {
      let end = start + member.weight.rows
      body(member, y.columns(start..<end))
      start = end
    }
  }
}

/// The parameters as one, when they lie one after another in the same block.
private func joined(_ parameters: [Parameter], byRows: Bool) -> Parameter? {
  guard let first = parameters.first else { return nil }
  var end = first.offset
  for parameter in parameters {
    guard parameter.isTrainable == first.isTrainable, parameter.offset == end else { return nil }
    end += parameter.count
  }
  let rows = byRows ? parameters.reduce(0) { $0 + $1.rows } : 1
  return Parameter(
    isTrainable: first.isTrainable, offset: first.offset, rows: rows, columns: (end - first.offset) / rows)
}
