package import Tensors

/// `y = x · mask · scale`; `y` may be `x`. Forward and backward of dropout alike.
package func applyMask(_ mask: Mask, _ x: Matrix, into y: Matrix) {
  for r in 0..<x.rows {
    let (xr, yr, keep) = (x.row(r), y.row(r), mask.row(r))
    for i in 0..<x.columns { yr[i] = xr[i] * (Float(keep[i]) * mask.scale) }
  }
}

/// `y += x · mask · scale`.
package func addMasked(_ mask: Mask, _ x: Matrix, to y: Matrix) {
  for r in 0..<x.rows {
    let (xr, yr, keep) = (x.row(r), y.row(r), mask.row(r))
    for i in 0..<x.columns { yr[i] += xr[i] * (Float(keep[i]) * mask.scale) }
  }
}
