internal import BERT
internal import Kernels
internal import Tensors

/// DoRA's factors `g = m / ‖V‖`, one for each output, in the arena of a pass.
struct RowScales: BitwiseCopyable {
  /// `‖V‖`, `[out]`.
  let norms: UnsafeMutablePointer<Float>
  /// `m / ‖V‖`, `[out]`.
  let factors: UnsafeMutablePointer<Float>
  let count: Int

  init(_ rows: UpdatedRows, _ magnitude: Parameter, _ workspace: Workspace) {
    count = magnitude.count
    norms = workspace.arena.allocate(Float.self, count)
    factors = workspace.arena.allocate(Float.self, count)
    rows.norms(into: norms, workspace.arena)
    let magnitudes = workspace[magnitude].base
    // A row of zeros has no direction; it stays one.
    for i in 0..<count { factors[i] = norms[i] > 0 ? magnitudes[i] / norms[i] : 0 }
  }

  /// `x = x ∘ g`.
  func scale(_ x: Matrix) {
    scaleColumns(x, by: factors)
  }

  /// `y += x ∘ g`.
  func addScaled(_ x: Matrix, to y: Matrix) {
    for r in 0..<x.rows {
      let (from, onto) = (x.row(r), y.row(r))
      for i in 0..<count { onto[i] += from[i] * factors[i] }
    }
  }

  /// The gradient of `g`: `Σ_rows dy ∘ product`, `[out]`, in the arena.
  func factorGradient(_ dy: Matrix, _ product: Matrix, _ arena: ActivationArena) -> UnsafeMutablePointer<Float> {
    let sums = arena.allocate(Float.self, count)
    setNumbers(sums, count, to: 0)
    sumProducts(dy, product, addingTo: sums)
    return sums
  }

  /// Adds the gradient of `m` where the lengths are constants.
  func addMagnitudeGradient(
    _ dy: Matrix, _ product: Matrix, to dMagnitude: UnsafeMutablePointer<Float>, _ arena: ActivationArena
  ) {
    let sums = factorGradient(dy, product, arena)
    for i in 0..<count where norms[i] > 0 { dMagnitude[i] += sums[i] / norms[i] }
  }
}
