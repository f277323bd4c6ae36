package import Tensors

/// `scores[r, n] = w[r] · u_n[r]`, plus `q[r] · bias` when there is one.
/// - Parameters:
///   - w: `[rows, H]`.
///   - u: The candidates side by side, `[rows, N·H]`.
///   - scores: `[rows, N]`.
///   - offset: A vector and the rows it is multiplied with: what is added to all scores of a row.
package func scoreCandidates(
  _ w: Matrix, _ u: Matrix, into scores: Matrix, offset: (q: Matrix, bias: UnsafePointer<Float>)? = nil
) {
  let width = w.columns
  for r in 0..<w.rows {
    let added = offset.map { dot($0.q.row(r), $0.bias, width) } ?? 0
    for n in 0..<scores.columns { scores.row(r)[n] = dot(w.row(r), u.row(r) + n * width, width) + added }
  }
}

/// `context[r] = Σ_n p[r, n] · u_n[r]`.
/// - Parameters:
///   - p: `[rows, N]`.
///   - u: `[rows, N·H]`.
///   - context: `[rows, H]`.
package func mixCandidates(_ p: Matrix, _ u: Matrix, into context: Matrix) {
  let width = context.columns
  for r in 0..<p.rows {
    let (share, out) = (p.row(r), context.row(r))
    for n in 0..<p.columns {
      let (candidate, weight) = (u.row(r) + n * width, share[n])
      if n == 0 {
        for i in 0..<width { out[i] = weight * candidate[i] }
      } else {
        for i in 0..<width { out[i] += weight * candidate[i] }
      }
    }
  }
}

/// `du_n[r] = p[r, n] · dContext[r] + ds[r, n] · w[r]`: the gradient of candidates that were scored and mixed.
/// - Parameters:
///   - p: `[rows, N]`, the shares.
///   - dContext: `[rows, H]`.
///   - ds: `[rows, N]`, the gradient of the scores.
///   - w: `[rows, H]`.
///   - du: `[rows, N·H]`.
package func candidateGradients(_ p: Matrix, _ dContext: Matrix, _ ds: Matrix, _ w: Matrix, into du: Matrix) {
  let width = w.columns
  for r in 0..<p.rows {
    let (fromContext, fromScores) = (dContext.row(r), w.row(r))
    for n in 0..<p.columns {
      let (share, slope, out) = (p.row(r)[n], ds.row(r)[n], du.row(r) + n * width)
      for i in 0..<width { out[i] = share * fromContext[i] + slope * fromScores[i] }
    }
  }
}
