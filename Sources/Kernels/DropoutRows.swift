package import Tensors

/// `y = x · mask · scale`; `y` may be `x`. Forward and backward of dropout alike.
package func applyMask(_ mask: Mask, _ x: Matrix, into y: Matrix) {
  for r in 0..<x.rows {
    let (xr, yr, keep) = (x.row(r), y.row(r), mask.row(r))
    @inline(__always)
    func apply(_ range: LaneRange) { range.store(range.load(xr) * (range.load(keep) * mask.scale), yr) }
    forEachRange(x.columns, apply)
  }
}

/// `y += x · mask · scale`.
package func addMasked(_ mask: Mask, _ x: Matrix, to y: Matrix) {
  for r in 0..<x.rows {
    let (xr, yr, keep) = (x.row(r), y.row(r), mask.row(r))
    @inline(__always)
    func add(_ range: LaneRange) {
      range.store(multiplyAdd(range.load(xr), range.load(keep) * mask.scale, range.load(yr)), yr)
    }
    forEachRange(x.columns, add)
  }
}
