/// Least squares with coefficients that may not be negative, for a few unknowns.
///
/// The active-set method of Lawson and Hanson, *Solving Least Squares Problems*, 1974, chapter 23, on normal equations:
/// columns are scaled to unit length first, and the problems here have a handful of columns that are far from parallel.
package enum LeastSquares {
  /// The `x ≥ 0` for which `Σ wᵢ (aᵢ·x − bᵢ)²` is least.
  /// - Parameters:
  ///   - rows: `[points][unknowns]`.
  ///   - targets: `[points]`.
  ///   - weights: `[points]`; all 1 when left out. Take `1 / bᵢ²` for least relative errors.
  /// - Returns: `[unknowns]`; what no row tells anything of is 0.
  package static func nonNegative(_ rows: [[Double]], _ targets: [Double], weights: [Double]? = nil) -> [Double] {
    guard let count = rows.first?.count else { return [] }
    let weights = weights ?? Array(repeating: 1, count: rows.count)
    var scales = [Double](repeating: 0, count: count)
    for (row, weight) in zip(rows, weights) {
      for j in 0..<count { scales[j] += weight * row[j] * row[j] }
    }
    scales = scales.map { $0 > 0 ? 1 / $0.squareRoot() : 0 }
    var normal = [[Double]](repeating: Array(repeating: 0, count: count), count: count)
    var right = [Double](repeating: 0, count: count)
    for ((row, target), weight) in zip(zip(rows, targets), weights) {
      for i in 0..<count {
        right[i] += weight * row[i] * scales[i] * target
        for j in 0..<count { normal[i][j] += weight * row[i] * scales[i] * row[j] * scales[j] }
      }
    }
    return zip(activeSet(normal, right), scales).map { $0 * $1 }
  }

  /// Where a function of one number with a single valley is least, to twelve digits of the range (golden-section search;
  /// Kiefer, *Sequential minimax search for a maximum*, 1953). At the lower end where it is flat.
  static func minimum(in range: ClosedRange<Double>, of function: (Double) -> Double) -> Double {
    let ratio = (5.0.squareRoot() - 1) / 2
    var (low, high) = (range.lowerBound, range.upperBound)
    var (left, right) = (high - ratio * (high - low), low + ratio * (high - low))
    var (atLeft, atRight) = (function(left), function(right))
    for _ in 0..<60 {
      if atLeft <= atRight {
        (high, right, atRight) = (right, left, atLeft)
        left = high - ratio * (high - low)
        atLeft = function(left)
      } else {
        (low, left, atLeft) = (left, right, atRight)
        right = low + ratio * (high - low)
        atRight = function(right)
      }
    }
    return function(range.lowerBound) <= min(atLeft, atRight) ? range.lowerBound : (low + high) / 2
  }

  private static func activeSet(_ normal: [[Double]], _ right: [Double]) -> [Double] {
    let count = right.count
    var x = [Double](repeating: 0, count: count)
    var free: [Int] = []
    // Each round frees one unknown; rounds that pin some again end as well.
    for _ in 0..<(3 * count + 10) {
      let slope = (0..<count).map { i -> Double in
        right[i] - zip(normal[i], x).reduce(0) { (sum: Double, pair) in sum + pair.0 * pair.1 }
      }
      let pinned = (0..<count).filter { !free.contains($0) && normal[$0][$0] > 0 }
      guard let best = pinned.max(by: { slope[$0] < slope[$1] }), slope[best] > 1e-12 else { break }
      free.append(best)
      while !free.isEmpty {
        guard let solution = solve(free.map { i in free.map { normal[i][$0] } }, free.map { right[$0] }) else {
          free.removeLast()
          break
        }
        if solution.allSatisfy({ $0 > 0 }) {
          x = Array(repeating: 0, count: count)
          for (index, value) in zip(free, solution) { x[index] = value }
          break
        }
        // As far towards the solution as all stay above 0; what arrives there is pinned.
        var step = 1.0
        for (index, value) in zip(free, solution) where value <= 0 { step = min(step, x[index] / (x[index] - value)) }
        for (index, value) in zip(free, solution) { x[index] += step * (value - x[index]) }
        let kept = free.filter { x[$0] > 1e-15 }
        for index in free where !kept.contains(index) { x[index] = 0 }
        free = kept
      }
    }
    return x
  }

  /// Gauss's elimination with pivots; nil when the rows depend on each other.
  static func solve(_ matrix: [[Double]], _ right: [Double]) -> [Double]? {
    var rows = zip(matrix, right).map { $0 + [$1] }
    let count = rows.count
    for column in 0..<count {
      guard let pivot = (column..<count).max(by: { abs(rows[$0][column]) < abs(rows[$1][column]) }),
        abs(rows[pivot][column]) > 1e-10
      else { return nil }
      rows.swapAt(column, pivot)
      for row in 0..<count where row != column {
        let factor = rows[row][column] / rows[column][column]
        for k in column...count { rows[row][k] -= factor * rows[column][k] }
      }
    }
    return (0..<count).map { rows[$0][count] / rows[$0][$0] }
  }
}
