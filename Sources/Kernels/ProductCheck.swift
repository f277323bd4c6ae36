internal import Tensors

/// Multiplies matrices of every kind that a step has and says whether a library gets them right.
///
/// Old releases choose kernels for new processors that compute wrong numbers, some of them only for small matrices or
/// for one orientation; that has to show before training does. Takes some milliseconds.
package func multipliesCorrectly(_ library: ProductLibrary) -> Bool {
  // Single numbers, attention's tables, thin products of low rank, whole tiles, and more than a block of packed rows.
  let shapes = [
    (1, 1, 1), (5, 3, 7), (1, 96, 384), (22, 22, 64), (22, 64, 22), (33, 65, 17), (67, 83, 129), (131, 16, 770),
    (16, 257, 130), (64, 64, 64), (515, 301, 803),
  ]
  let orientations = [Orientation.plain, .transposed]
  for (m, n, k) in shapes {
    for a in orientations {
      for b in orientations {
        for beta in [Float(0), 1] where !ProductCheck(m, n, k, library).holds(a, b, beta) { return false }
      }
    }
  }
  return true
}

/// One product `c = 2 a b + β c` of small whole numbers, exact in `Float`, against `2 a (b x) + β c x` for a vector x:
/// a wrong number anywhere shows, at the cost of a few passes over the matrices (Freivalds, 1977).
private struct ProductCheck {
  let m: Int, n: Int, k: Int
  let library: ProductLibrary

  init(_ m: Int, _ n: Int, _ k: Int, _ library: ProductLibrary) {
    (self.m, self.n, self.k, self.library) = (m, n, k, library)
  }

  func holds(_ aOrientation: Orientation, _ bOrientation: Orientation, _ beta: Float) -> Bool {
    var a = (0..<m * k).map { Float(($0 * 7) % 13) - 6 }
    var b = (0..<k * n).map { Float(($0 * 5) % 11) - 5 }
    // With β = 0 the old content is not to be read.
    var c = (0..<m * n).map { beta == 0 ? .nan : Float(($0 * 3) % 7) }
    let weights = (0..<n).map { Double(1 + ($0 * 7919) % 31) }
    let old = beta == 0 ? [Double](repeating: 0, count: m) : rowSums(c, weights)
    var isDone = false
    a.withUnsafeMutableBufferPointer { a in
      b.withUnsafeMutableBufferPointer { b in
        c.withUnsafeMutableBufferPointer { c in
          isDone = library.multiply(
            view(a, m, k, aOrientation), aOrientation, view(b, k, n, bOrientation), bOrientation,
            into: view(c, m, n, .plain), depth: k, alpha: 2, beta: beta)
        }
      }
    }
    let bx = product(b, k, n, bOrientation, weights)
    let abx = product(a, m, k, aOrientation, bx)
    let found = rowSums(c, weights)
    return isDone && (0..<m).allSatisfy { found[$0] == 2 * abx[$0] + old[$0] }
  }

  private func view(
    _ x: UnsafeMutableBufferPointer<Float>, _ rows: Int, _ columns: Int, _ orientation: Orientation
  ) -> Matrix {
    guard let base = x.baseAddress else { preconditionFailure("a matrix without elements") }
    return orientation == .plain
      ? Matrix(base, rows: rows, columns: columns) : Matrix(base, rows: columns, columns: rows)
  }

  private func rowSums(_ c: [Float], _ weights: [Double]) -> [Double] { product(c, m, n, .plain, weights) }

  private func product(
    _ x: [Float], _ rows: Int, _ columns: Int, _ orientation: Orientation, _ weights: [Double]
  ) -> [Double] {
    let (across, down) = orientation == .plain ? (1, columns) : (rows, 1)
    return (0..<rows).map { r in
      var total = 0.0
      for c in 0..<columns { total += Double(x[r * down + c * across]) * weights[c] }
      return total
    }
  }
}
