internal import CVectors
internal import Tensors

/// Sixteen floats: the width that kernels work with, whatever the processor's own. Strict floating point keeps a
/// compiler from reordering a plain sum, so reductions carry partial sums lane by lane, added up in a fixed order.
@usableFromInline
typealias Lanes = SIMD16<Float>

/// The sixteen floats from `pointer + offset`.
@inline(__always)
func load(_ pointer: UnsafePointer<Float>, _ offset: Int) -> Lanes {
  UnsafeRawPointer(pointer + offset).loadUnaligned(as: Lanes.self)
}

/// The sixteen bytes from `pointer + offset` as numbers.
@inline(__always)
func load(_ pointer: UnsafePointer<UInt8>, _ offset: Int) -> Lanes {
  cvectors_from_bytes(UnsafeRawPointer(pointer + offset).loadUnaligned(as: SIMD16<UInt8>.self))
}

/// Stores sixteen floats at `pointer + offset`.
@inline(__always)
func store(_ value: Lanes, _ pointer: UnsafeMutablePointer<Float>, _ offset: Int) {
  UnsafeMutableRawPointer(pointer + offset).storeBytes(of: value, as: Lanes.self)
}

/// Stores sixteen floats at `pointer + offset`, rounded as `BFloat16` says.
@inline(__always)
func store(_ value: Lanes, _ pointer: UnsafeMutablePointer<BFloat16>, _ offset: Int) {
  let words = unsafeBitCast(value, to: SIMD16<UInt32>.self)
  let high = words &>> 16
  let nearest = (words &+ 0x7FFF &+ (high & 1)) &>> 16
  let bits = nearest.replacing(with: high | 0x40, where: value .!= value)
  UnsafeMutableRawPointer(pointer + offset).storeBytes(of: cvectors_low_halves(bits), as: SIMD16<UInt16>.self)
}

/// x·y + z, rounded once where the processor fuses.
@inline(__always)
func multiplyAdd(_ x: Lanes, _ y: Lanes, _ z: Lanes) -> Lanes { cvectors_multiply_add(x, y, z) }

/// √x.
@inline(__always)
func squareRoot(_ x: Lanes) -> Lanes { cvectors_square_root(x) }

/// |x|.
@inline(__always)
func magnitude(_ x: Lanes) -> Lanes {
  unsafeBitCast(unsafeBitCast(x, to: SIMD16<UInt32>.self) & 0x7FFF_FFFF, to: Lanes.self)
}

/// A part of a row that fits in lanes: sixteen elements, or the fewer that are left at its end.
struct LaneRange {
  /// The first element.
  let start: Int
  /// How many elements, 1 to 16.
  let count: Int

  /// The elements of a row; zeros behind its end.
  @inline(__always)
  func load(_ row: UnsafePointer<Float>) -> Lanes { count == 16 ? Kernels.load(row, start) : loadPart(row) }

  /// Writes the elements that the row has.
  @inline(__always)
  func store(_ value: Lanes, _ row: UnsafeMutablePointer<Float>) {
    if count == 16 { Kernels.store(value, row, start) } else { storePart(value, row) }
  }

  /// Writes the elements that the row has, rounded.
  @inline(__always)
  func store(_ value: Lanes, _ row: UnsafeMutablePointer<BFloat16>) {
    if count == 16 { Kernels.store(value, row, start) } else { storePart(value, row) }
  }

  /// Bytes of a mask as numbers.
  @inline(__always)
  func load(_ bytes: UnsafePointer<UInt8>) -> Lanes {
    count == 16 ? Kernels.load(bytes, start) : loadPart(bytes)
  }

  /// The value where the row has elements, another behind its end.
  @inline(__always)
  func within(_ value: Lanes, otherwise: Float = 0) -> Lanes {
    if count == 16 { return value }
    let lanes = Lanes(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)
    return value.replacing(with: Lanes(repeating: otherwise), where: lanes .>= Lanes(repeating: Float(count)))
  }

  // The ends of rows are calls of their own: what runs over whole rows stays small enough to be compiled as one loop.
  @inline(never)
  private func loadPart(_ row: UnsafePointer<Float>) -> Lanes {
    var value = Lanes.zero
    for i in 0..<count { value[i] = row[start + i] }
    return value
  }

  @inline(never)
  private func loadPart(_ bytes: UnsafePointer<UInt8>) -> Lanes {
    var value = Lanes.zero
    for i in 0..<count { value[i] = Float(bytes[start + i]) }
    return value
  }

  @inline(never)
  private func storePart(_ value: Lanes, _ row: UnsafeMutablePointer<Float>) {
    for i in 0..<count { row[start + i] = value[i] }
  }

  @inline(never)
  private func storePart(_ value: Lanes, _ row: UnsafeMutablePointer<BFloat16>) {
    for i in 0..<count { row[start + i] = BFloat16(value[i]) }
  }
}

/// Runs `body` over a row of `count` elements, sixteen at a time and then the rest.
///
/// A body is called in two places; it is put into both only where it is a local function marked `@inline(__always)`.
@inline(__always)
func forEachRange(_ count: Int, _ body: (LaneRange) -> Void) {
  var start = 0
  while start + 16 <= count {
    body(LaneRange(start: start, count: 16))
    start += 16
  }
  if start < count { body(LaneRange(start: start, count: count - start)) }
}

/// Σ over a row of what `term` gives for each part of it: zero behind the row's end.
@inline(__always)
func rowTotal(_ count: Int, _ term: (LaneRange) -> Lanes) -> Float {
  var lanes = Lanes.zero
  forEachRange(count) { lanes += term($0) }
  return lanes.sum()
}

/// The same with four sums in turn, so that an addition need not wait for the one before.
@inline(__always)
private func total(_ count: Int, _ add: (LaneRange, Lanes) -> Lanes) -> Float {
  var (a, b, c, d) = (Lanes.zero, Lanes.zero, Lanes.zero, Lanes.zero)
  var start = 0
  while start + 64 <= count {
    a = add(LaneRange(start: start, count: 16), a)
    b = add(LaneRange(start: start + 16, count: 16), b)
    c = add(LaneRange(start: start + 32, count: 16), c)
    d = add(LaneRange(start: start + 48, count: 16), d)
    start += 64
  }
  while start + 16 <= count {
    a = add(LaneRange(start: start, count: 16), a)
    start += 16
  }
  if start < count { b = add(LaneRange(start: start, count: count - start), b) }
  return ((a + b) + (c + d)).sum()
}

/// Σ x, `count` floats.
package func sum(_ x: UnsafePointer<Float>, _ count: Int) -> Float {
  @inline(__always)
  func add(_ range: LaneRange, _ sum: Lanes) -> Lanes { range.load(x) + sum }
  return total(count, add)
}

/// Σ x·y, `count` floats each.
package func dot(_ x: UnsafePointer<Float>, _ y: UnsafePointer<Float>, _ count: Int) -> Float {
  @inline(__always)
  func add(_ range: LaneRange, _ sum: Lanes) -> Lanes { multiplyAdd(range.load(x), range.load(y), sum) }
  return total(count, add)
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

/// The larger of each two; the second where one is not a number.
@inline(__always)
func larger(_ x: Lanes, _ y: Lanes) -> Lanes { y.replacing(with: x, where: x .> y) }

/// The largest of `count` floats, at least one.
func maximum(_ x: UnsafePointer<Float>, _ count: Int) -> Float {
  var largest = x[0]
  for i in 1..<max(count, 1) { largest = x[i] > largest ? x[i] : largest }
  return largest
}

/// eˣ to about 1 ulp for -87 ≤ x ≤ 88; below -87 it gives e⁻⁸⁷ (1.6e-38), not 0.
///
/// 2ⁿ·p(r) with n the nearest whole number to x / ln 2 and |r| ≤ ln 2 / 2; the Taylor polynomial of degree 7.
@inline(__always)
func exponential(_ x: Lanes) -> Lanes {
  // Written so that not-a-number stays what it is.
  let bounded = x.replacing(with: Lanes(repeating: -87), where: x .< -87)
  let shift = Lanes(repeating: 0x1.8p23)
  let shifted = multiplyAdd(bounded, Lanes(repeating: 1.442_695_04), shift)
  let n = shifted - shift
  // ln 2 in two parts, the first with few bits, so that the product with n is exact.
  let r = multiplyAdd(n, Lanes(repeating: -0x1.7f7d1cp-20), multiplyAdd(n, Lanes(repeating: -0x1.62e4p-1), bounded))
  var p = Lanes(repeating: 1.0 / 5040)
  p = multiplyAdd(p, r, Lanes(repeating: 1.0 / 720))
  p = multiplyAdd(p, r, Lanes(repeating: 1.0 / 120))
  p = multiplyAdd(p, r, Lanes(repeating: 1.0 / 24))
  p = multiplyAdd(p, r, Lanes(repeating: 1.0 / 6))
  p = multiplyAdd(p, r, Lanes(repeating: 0.5))
  p = multiplyAdd(p, r, Lanes(repeating: 1))
  p = multiplyAdd(p, r, Lanes(repeating: 1))
  let power = unsafeBitCast(shifted, to: SIMD16<UInt32>.self) &<< 23
  return unsafeBitCast(unsafeBitCast(p, to: SIMD16<UInt32>.self) &+ power, to: Lanes.self)
}
