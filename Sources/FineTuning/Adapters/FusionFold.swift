internal import BERT
internal import Kernels
internal import Tensors

/// A fusion's matrices multiplied with the adapters' up-projections, and the way back for their gradients, whole or in
/// parts that several workers compute.
///
/// A candidate is `u_n = s_n Ũ_n [h_n, 1]`, Ũ_n its up-projection and bias, s_n a constant. With all of them side by
/// side as Ũ `[H, R + N]` (first the weights, then the biases) and K = R + N + 1:
///
///     A = [(W_k Ũ)ᵀ; b_kᵀ]  [K, H]     S = A W_q  [K, H]     G = W_v Ũ  [H, R + N]
///
/// (G = Ũ without a value matrix). The rows of A and S and the columns of Ũ and G can be computed apart from others, and
/// so can the rows of the gradients of W_q, W_k and W_v.
struct FusionFold {
  let cores: [Bottleneck]
  let places: FusionPlaces
  let parts: InnerParts

  /// The folded matrices.
  struct Factors {
    let u: Matrix  // Ũ
    let a: Matrix
    let s: Matrix
    let g: Matrix
  }

  /// The gradients of S, of `c = A b_q` and of G.
  struct Gradients {
    let s: Matrix  // [K, H]
    let c: Matrix  // [1, K]
    let g: Matrix  // [H, R + N]
  }

  /// Nil where an adapter's scale is learned.
  init?(_ cores: [Bottleneck], _ places: FusionPlaces) {
    let scales = cores.compactMap(\.constantScale)
    guard scales.count == cores.count else { return nil }
    self.cores = cores
    self.places = places
    parts = InnerParts(widths: cores.map(\.width), scales: scales)
  }

  /// H.
  var width: Int { places.query.weight.rows }
  /// R + N, weights and biases.
  var both: Int { parts.widthWithBiases }
  /// K.
  var rows: Int { both + 1 }
  /// How many numbers the folded matrices have.
  var factorCount: Int { 2 * rows * width + (places.value == nil ? 1 : 2) * width * both }
  /// How many numbers their gradients have.
  var gradientCount: Int { rows * width + rows + width * both }
  /// Whether anything is trained whose gradient goes by way of the folded matrices.
  var trains: Bool { places.query.weight.isTrainable || cores.contains { $0.isTrainable } }

  /// Folded matrices in memory for `factorCount` numbers.
  func factors(in memory: UnsafeMutablePointer<Float>) -> Factors {
    let u = Matrix(memory, rows: width, columns: both)
    let a = Matrix(memory + width * both, rows: rows, columns: width)
    let s = Matrix(a.base + rows * width, rows: rows, columns: width)
    let g = places.value == nil ? u : Matrix(s.base + rows * width, rows: width, columns: both)
    return Factors(u: u, a: a, s: s, g: g)
  }

  /// Gradients in memory for `gradientCount` numbers.
  func gradients(in memory: UnsafeMutablePointer<Float>) -> Gradients {
    let s = Matrix(memory, rows: rows, columns: width)
    let c = Matrix(memory + rows * width, rows: 1, columns: rows)
    return Gradients(s: s, c: c, g: Matrix(c.base + rows, rows: width, columns: both))
  }

  /// Writes some rows of A and S (`part`, of K), and the columns of Ũ and G of the same numbers.
  func fold(_ part: Range<Int>, into factors: Factors, _ parameters: ParameterStore) {
    let columns = part.clamped(to: 0..<both)
    for (n, core) in cores.enumerated() {
      let inner = parts.columns(n).clamped(to: columns)
      let first = inner.lowerBound - parts.columns(n).lowerBound
      if !inner.isEmpty {
        factors.u.columns(inner).copy(from: parameters[core.up.weight].columns(first..<first + inner.count))
      }
      guard columns.contains(parts.width + n) else { continue }
      let bias = parameters[core.up.bias].base
      for i in 0..<width { factors.u.row(i)[parts.width + n] = bias[i] }
    }
    let u = factors.u.columns(columns)
    multiply(u, .transposed, parameters[places.key.weight], .transposed, into: factors.a.rows(columns))
    if part.contains(both) { factors.a.rows(both..<rows).copy(from: parameters[places.key.bias]) }
    multiply(factors.a.rows(part), .plain, parameters[places.query.weight], .plain, into: factors.s.rows(part))
    if let value = places.value {
      multiply(parameters[value], .plain, u, .plain, into: factors.g.columns(columns))
    }
  }

  /// Adds the gradients of the fusion's matrices, of each some rows, and what those rows add to the gradients of the
  /// up-projections.
  /// - Parameters:
  ///   - part: Which rows, of H.
  ///   - factors: The folded matrices.
  ///   - d: Their gradients.
  ///   - dA: `[K, H]`, of which the same columns are overwritten.
  ///   - parameters: The fusion's matrices.
  ///   - fusion: Where the gradients of query, key and value are added, in the layout of the trainable block.
  ///   - adapters: Where those of up-projections are.
  func unfold(
    _ part: Range<Int>, _ factors: Factors, _ d: Gradients, dA: Matrix, _ parameters: ParameterStore,
    fusion: UnsafeMutablePointer<Float>, adapters: UnsafeMutablePointer<Float>
  ) {
    let dA = dA.columns(part)
    multiply(d.c, .transposed, parameters[places.query.bias].columns(part), .plain, into: dA)
    multiply(d.s, .plain, parameters[places.query.weight].rows(part), .transposed, into: dA, beta: 1)
    if places.query.weight.isTrainable {
      let (query, key) = (places.query, places.key)
      let a = factors.a.columns(part)
      multiply(a, .transposed, d.s, .plain, into: matrix(query.weight, fusion).rows(part), beta: 1)
      multiply(d.c, .plain, a, .plain, into: matrix(query.bias, fusion).columns(part), beta: 1)
      let dKey = matrix(key.weight, fusion).rows(part)
      multiply(dA.rows(0..<both), .transposed, factors.u, .transposed, into: dKey, beta: 1)
      add(dA.rows(both..<rows), to: matrix(key.bias, fusion).columns(part))
      if let value = places.value {
        multiply(d.g.rows(part), .plain, factors.u, .transposed, into: matrix(value, fusion).rows(part), beta: 1)
      }
    }
    for (n, core) in cores.enumerated() where core.isTrainable {
      addUp(core, n, part, dA: dA, dG: d.g.rows(part), parameters, adapters)
    }
  }

  /// From some columns of dA and rows of dG, what they add to the gradients of an adapter's columns of Ũ:
  /// `dŨ = W_kᵀ dAᵀ + W_vᵀ dG`.
  private func addUp(
    _ core: Bottleneck, _ n: Int, _ part: Range<Int>, dA: Matrix, dG: Matrix, _ parameters: ParameterStore,
    _ gradients: UnsafeMutablePointer<Float>
  ) {
    let key = parameters[places.key.weight].rows(part)
    let dWeight = matrix(core.up.weight, gradients)
    let dBias = matrix(core.up.bias, gradients)
    let columns = parts.columns(n)
    let bias = parts.width + n..<parts.width + n + 1
    multiply(key, .transposed, dA.rows(columns), .transposed, into: dWeight, beta: 1)
    multiply(dA.rows(bias), .plain, key, .plain, into: dBias, beta: 1)
    if let value = places.value {
      let value = parameters[value].rows(part)
      multiply(value, .transposed, dG.columns(columns), .plain, into: dWeight, beta: 1)
      multiply(dG.columns(bias), .transposed, value, .plain, into: dBias, beta: 1)
    } else {
      add(dG.columns(columns), to: dWeight.rows(part))
      for i in 0..<part.count { dBias.base[part.lowerBound + i] += dG.row(i)[bias.lowerBound] }
    }
  }

  /// A parameter's place in a block in the layout of the trainable one.
  private func matrix(_ parameter: Parameter, _ block: UnsafeMutablePointer<Float>) -> Matrix {
    Matrix(block + parameter.offset, rows: parameter.rows, columns: parameter.columns)
  }
}
