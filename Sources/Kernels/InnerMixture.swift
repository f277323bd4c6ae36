package import Tensors

/// How the inner values h_n of N adapters lie side by side, `[rows, R]`, R = Σ r_n, and the constant s_n that each
/// adapter's output is multiplied by.
///
/// What an adapter adds is s_n · U_n [h_n, 1], with its up-projection and bias, so a vector that is multiplied with all
/// candidates at once has R + N columns: R for inner values and then one for each bias. A column more, where there is
/// one, belongs to all candidates alike: the key's bias.
package struct InnerParts: Sendable {
  /// r_n.
  package let widths: [Int]
  /// s_n.
  package let scales: [Float]
  /// Where each part starts.
  package let starts: [Int]
  /// R.
  package let width: Int

  /// Parts in their order; as many scales as widths.
  package init(widths: [Int], scales: [Float]) {
    precondition(widths.count == scales.count, "a scale for each adapter")
    self.widths = widths
    self.scales = scales
    starts = widths.indices.map { widths[..<$0].reduce(0, +) }
    width = widths.reduce(0, +)
  }

  /// N.
  package var count: Int { widths.count }
  /// R + N.
  package var widthWithBiases: Int { width + count }
  /// The columns of part `n`.
  package func columns(_ n: Int) -> Range<Int> { starts[n]..<starts[n] + widths[n] }
}

/// `scores[r, n] = s_n · [h_n[r], 1] · x_n[r]`, plus `x[r]`'s last column where it has one for all.
/// - Parameters:
///   - h: `[rows, R]`.
///   - x: `[rows, R + N]`, or a column more.
///   - parts: Which columns are whose.
///   - scores: `[rows, N]`.
package func scoreInner(_ h: Matrix, _ x: Matrix, _ parts: InnerParts, into scores: Matrix) {
  let (biases, end) = (parts.width, parts.widthWithBiases)
  for r in 0..<h.rows {
    let (inner, along, out) = (h.row(r), x.row(r), scores.row(r))
    let common = x.columns > end ? along[end] : 0
    for n in 0..<parts.count {
      let start = parts.starts[n]
      let product = dot(inner + start, along + start, parts.widths[n]) + along[biases + n]
      out[n] = parts.scales[n] * product + common
    }
  }
}

/// `mix_n[r] = p[r, n] · s_n · [h_n[r], 1]`; a last column for all, where `mix` has one, is `Σ_n p[r, n]`.
/// - Parameters:
///   - p: `[rows, N]`.
///   - h: `[rows, R]`.
///   - parts: Which columns are whose.
///   - mix: `[rows, R + N]`, or a column more.
package func mixInner(_ p: Matrix, _ h: Matrix, _ parts: InnerParts, into mix: Matrix) {
  let (biases, end) = (parts.width, parts.widthWithBiases)
  for r in 0..<h.rows {
    let (share, inner, out) = (p.row(r), h.row(r), mix.row(r))
    var total: Float = 0
    for n in 0..<parts.count {
      let weight = share[n] * parts.scales[n]
      for i in parts.columns(n) { out[i] = weight * inner[i] }
      out[biases + n] = weight
      total += share[n]
    }
    if mix.columns > end { out[end] = total }
  }
}

/// `dh_n[r] = s_n · (p[r, n] · dMix_n[r] + ds[r, n] · x_n[r])`: the gradient of inner values that were mixed by p and
/// scored along x.
/// - Parameters:
///   - p: `[rows, N]`.
///   - dMix: `[rows, R]` or more columns, which are not read.
///   - ds: `[rows, N]`, the gradient of the scores.
///   - x: `[rows, R]` or more columns, which are not read.
///   - parts: Which columns are whose.
///   - dh: `[rows, R]`; may be the first columns of `dMix` itself.
package func innerGradients(
  _ p: Matrix, _ dMix: Matrix, _ ds: Matrix, _ x: Matrix, _ parts: InnerParts, into dh: Matrix
) {
  for r in 0..<dh.rows {
    let (share, slope, mixed, along, out) = (p.row(r), ds.row(r), dMix.row(r), x.row(r), dh.row(r))
    for n in 0..<parts.count {
      let (fromMix, fromScore) = (share[n] * parts.scales[n], slope[n] * parts.scales[n])
      for i in parts.columns(n) { out[i] = fromMix * mixed[i] + fromScore * along[i] }
    }
  }
}
