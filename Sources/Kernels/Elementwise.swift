package import Tensors

/// `x = factor · x`.
package func scale(_ x: Matrix, by factor: Float) {
  for r in 0..<x.rows {
    let row = x.row(r)
    for i in 0..<x.columns { row[i] *= factor }
  }
}

/// `x += y`.
package func add(_ y: Matrix, to x: Matrix) {
  precondition(x.rows == y.rows && x.columns == y.columns, "a sum of different shapes")
  for r in 0..<x.rows {
    let (xr, yr) = (x.row(r), y.row(r))
    for i in 0..<x.columns { xr[i] += yr[i] }
  }
}

/// `x −= y`.
package func subtract(_ y: Matrix, from x: Matrix) {
  precondition(x.rows == y.rows && x.columns == y.columns, "a difference of different shapes")
  for r in 0..<x.rows {
    let (xr, yr) = (x.row(r), y.row(r))
    for i in 0..<x.columns { xr[i] -= yr[i] }
  }
}

/// `y += factor · x`.
package func addScaled(_ x: Matrix, _ factor: Float, to y: Matrix) {
  precondition(x.rows == y.rows && x.columns == y.columns, "a sum of different shapes")
  for r in 0..<x.rows {
    let (from, onto) = (x.row(r), y.row(r))
    for i in 0..<x.columns { onto[i] += factor * from[i] }
  }
}

/// `x[row, j] *= factors[j]`.
package func scaleColumns(_ x: Matrix, by factors: UnsafePointer<Float>) {
  for r in 0..<x.rows {
    let row = x.row(r)
    for i in 0..<x.columns { row[i] *= factors[i] }
  }
}

/// `total[j] += Σ_rows x[row, j] · y[row, j]`: the gradient of what scaled the columns of `y`.
package func sumProducts(_ x: Matrix, _ y: Matrix, addingTo total: UnsafeMutablePointer<Float>) {
  precondition(x.rows == y.rows && x.columns == y.columns, "products of different shapes")
  for r in 0..<x.rows {
    let (a, b) = (x.row(r), y.row(r))
    for i in 0..<x.columns { total[i] += a[i] * b[i] }
  }
}

/// Adds `factor · vector` to every row.
package func addToRows(_ x: Matrix, _ vector: UnsafePointer<Float>, times factor: Float) {
  for r in 0..<x.rows {
    let row = x.row(r)
    for i in 0..<x.columns { row[i] += factor * vector[i] }
  }
}

/// Sets every row to the same vector: a product accumulated onto it has its bias already.
package func fillRows(_ x: Matrix, with vector: UnsafePointer<Float>) {
  for r in 0..<x.rows { x.row(r).update(from: vector, count: x.columns) }
}

/// Adds the same vector to every row.
package func addToRows(_ x: Matrix, _ vector: UnsafePointer<Float>) {
  for r in 0..<x.rows {
    let row = x.row(r)
    for i in 0..<x.columns { row[i] += vector[i] }
  }
}

/// `total[j] += Σ_rows x[row, j]`: the gradient of a bias.
package func sumRows(_ x: Matrix, addingTo total: UnsafeMutablePointer<Float>) {
  var r = 0
  // Four rows at a time, so that the totals are loaded and stored a quarter as often.
  while r + 4 <= x.rows {
    let (a, b, c, d) = (x.row(r), x.row(r + 1), x.row(r + 2), x.row(r + 3))
    for i in 0..<x.columns { total[i] += (a[i] + b[i]) + (c[i] + d[i]) }
    r += 4
  }
  while r < x.rows {
    let row = x.row(r)
    for i in 0..<x.columns { total[i] += row[i] }
    r += 1
  }
}

/// `dx[i] = dy[i] · derivative[i]`, in place in `dy`, and in bfloat16 where that is asked for.
package func multiplyElements(_ dy: Matrix, by derivative: Matrix, rounded: RoundedMatrix? = nil) {
  for r in 0..<dy.rows {
    let (d, g, short) = (dy.row(r), derivative.row(r), rounded?.row(r))
    @inline(__always)
    func multiply(_ range: LaneRange) {
      let product = range.load(d) * range.load(g)
      range.store(product, d)
      if let short { range.store(product, short) }
    }
    forEachRange(dy.columns, multiply)
  }
}

/// Copies the rows of `x` that `indices` names, in their order.
package func gatherRows(_ x: Matrix, _ indices: UnsafePointer<Int32>, into y: Matrix) {
  for r in 0..<y.rows { y.row(r).update(from: x.row(Int(indices[r])), count: x.columns) }
}

/// Adds row `r` of `dy` to the row of `dx` that `indices[r]` names: the backward of `gatherRows`.
package func scatterAddRows(_ dy: Matrix, _ indices: UnsafePointer<Int32>, to dx: Matrix) {
  for r in 0..<dy.rows {
    let (from, onto) = (dy.row(r), dx.row(Int(indices[r])))
    for i in 0..<dy.columns { onto[i] += from[i] }
  }
}

/// `y = tanh(y)` in place; computed in `Double`, it runs on one row a review.
package func tanhRows(_ y: Matrix) {
  for r in 0..<y.rows {
    let row = y.row(r)
    for i in 0..<y.columns { row[i] = Float(hyperbolicTangent(Double(row[i]))) }
  }
}

/// `dy = dy · (1 − y²)` in place: the backward of tanh from its own output.
package func tanhBackward(_ dy: Matrix, y: Matrix) {
  for r in 0..<dy.rows {
    let (d, v) = (dy.row(r), y.row(r))
    for i in 0..<dy.columns { d[i] *= 1 - v[i] * v[i] }
  }
}

/// `onto += from`, then `from = 0`, over `count` floats.
package func moveSum(_ from: UnsafeMutablePointer<Float>, to onto: UnsafeMutablePointer<Float>, _ count: Int) {
  for i in 0..<count {
    onto[i] += from[i]
    from[i] = 0
  }
}
