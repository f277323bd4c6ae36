/// Sixteen floats: the width that sums are kept in. Strict floating point keeps a compiler from reordering a plain
/// sum, so reductions carry sixteen partial sums; they are added up in a fixed order, the same on every machine.
@usableFromInline
typealias Lanes = SIMD16<Float>

/// The sixteen floats from `pointer + offset`.
@inline(__always)
func load(_ pointer: UnsafePointer<Float>, _ offset: Int) -> Lanes {
  UnsafeRawPointer(pointer + offset).loadUnaligned(as: Lanes.self)
}

/// Stores sixteen floats at `pointer + offset`.
@inline(__always)
func store(_ value: Lanes, _ pointer: UnsafeMutablePointer<Float>, _ offset: Int) {
  UnsafeMutableRawPointer(pointer + offset).storeBytes(of: value, as: Lanes.self)
}

/// How many of `count` elements whole lanes cover.
@inline(__always)
func wholeLanes(_ count: Int) -> Int { count & ~15 }

/// Σ x, `count` floats.
package func sum(_ x: UnsafePointer<Float>, _ count: Int) -> Float {
  var lanes = Lanes.zero
  let whole = wholeLanes(count)
  var i = 0
  while i < whole {
    lanes += load(x, i)
    i += 16
  }
  var total = lanes.sum()
  while i < count {
    total += x[i]
    i += 1
  }
  return total
}

/// Σ x·y, `count` floats each.
package func dot(_ x: UnsafePointer<Float>, _ y: UnsafePointer<Float>, _ count: Int) -> Float {
  var lanes = Lanes.zero
  let whole = wholeLanes(count)
  var i = 0
  while i < whole {
    lanes += load(x, i) * load(y, i)
    i += 16
  }
  var total = lanes.sum()
  while i < count {
    total += x[i] * y[i]
    i += 1
  }
  return total
}

/// Σ x² in `Double`, for norms over millions of numbers.
package func sumOfSquares(_ x: UnsafePointer<Float>, _ count: Int) -> Double {
  var total = 0.0
  var start = 0
  // A block of 4,096 squares in Float loses nothing that matters; the blocks are added in Double.
  while start < count {
    let length = min(4096, count - start)
    total += Double(dot(x + start, x + start, length))
    start += length
  }
  return total
}

/// The largest of `count` floats, at least one.
func maximum(_ x: UnsafePointer<Float>, _ count: Int) -> Float {
  var largest = x[0]
  for i in 1..<max(count, 1) { largest = x[i] > largest ? x[i] : largest }
  return largest
}

/// eˣ to about 1 ulp for x ≤ 88; 0 is returned as e⁻⁸⁷ (about 1e-38) below -87. Branch-free, so that loops over it vectorise.
///
/// 2ⁿ·p(r) with n the nearest whole number to x / ln 2 and |r| ≤ ln 2 / 2; the Taylor polynomial of degree 7.
@inline(__always)
func exponential(_ x: Float) -> Float {
  // Written so that not-a-number stays what it is.
  let bounded = x < -87 ? -87 : x
  let shift: Float = 0x1.8p23
  let shifted = bounded * 1.442_695_04 + shift
  let n = shifted - shift
  // ln 2 in two parts, the first with few bits, so that the product with n is exact.
  let r = (bounded - n * 0x1.62e4p-1) - n * 0x1.7f7d1cp-20
  var p: Float = 1.0 / 5040
  p = p * r + 1.0 / 720
  p = p * r + 1.0 / 120
  p = p * r + 1.0 / 24
  p = p * r + 1.0 / 6
  p = p * r + 0.5
  p = p * r + 1
  p = p * r + 1
  return Float(bitPattern: p.bitPattern &+ (shifted.bitPattern &<< 23))
}
