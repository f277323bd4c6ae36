internal import CVectors
internal import Tensors

/// A factor of a small product that is read one number at a time, element (i, p) at `base + i·rowStride + p·depthStride`:
/// a matrix as it lies in memory, or its transpose.
struct ScalarFactor {
  let base: UnsafePointer<Float>
  let rowStride: Int
  let depthStride: Int

  init(_ base: UnsafePointer<Float>, rowStride: Int, depthStride: Int) {
    self.base = base
    self.rowStride = rowStride
    self.depthStride = depthStride
  }

  /// A matrix as it lies.
  init(_ x: Matrix) { self.init(x.base, rowStride: x.stride, depthStride: 1) }
}

/// `out = a b` for factors that the first-level cache holds, without a call to BLAS and without packing: columns lie in
/// lanes, and sixteen sums or so stay in registers over the whole depth.
/// - Parameters:
///   - a: `[m, depth]`.
///   - b: `[depth, n]`, n a multiple of 16.
///   - out: `[m, n]`.
func smallProduct(_ a: ScalarFactor, _ b: Matrix, into out: Matrix) {
  var column = 0
  // Four rows of sums have to fit in the registers.
  if cvectors_is_wide() != 0 {
    while column + 64 <= out.columns {
      columns(a, b, out, at: column, Quad.self)
      column += 64
    }
    while column + 32 <= out.columns {
      columns(a, b, out, at: column, Pair<Lanes>.self)
      column += 32
    }
  }
  while column < out.columns {
    columns(a, b, out, at: column, Lanes.self)
    column += 16
  }
}

/// Some lanes side by side, in registers.
private protocol LaneBlock {
  static var zero: Self { get }
  static func load(_ pointer: UnsafePointer<Float>) -> Self
  func store(_ pointer: UnsafeMutablePointer<Float>)
  mutating func add(_ factor: Float, _ x: Self)
}

extension SIMD16<Float>: LaneBlock {
  @inline(__always)
  fileprivate static func load(_ pointer: UnsafePointer<Float>) -> Lanes { Kernels.load(pointer, 0) }
  @inline(__always)
  fileprivate func store(_ pointer: UnsafeMutablePointer<Float>) { Kernels.store(self, pointer, 0) }
  @inline(__always)
  fileprivate mutating func add(_ factor: Float, _ x: Lanes) { self = multiplyAdd(Lanes(repeating: factor), x, self) }
}

private struct Pair<Half: LaneBlock>: LaneBlock {
  var low: Half
  var high: Half

  @inline(__always)
  static var zero: Self { Self(low: .zero, high: .zero) }
  @inline(__always)
  static func load(_ pointer: UnsafePointer<Float>) -> Self {
    Self(low: .load(pointer), high: .load(pointer + MemoryLayout<Half>.size / 4))
  }
  @inline(__always)
  func store(_ pointer: UnsafeMutablePointer<Float>) {
    low.store(pointer)
    high.store(pointer + MemoryLayout<Half>.size / 4)
  }
  @inline(__always)
  mutating func add(_ factor: Float, _ x: Self) {
    low.add(factor, x.low)
    high.add(factor, x.high)
  }
}

private typealias Quad = Pair<Pair<Lanes>>

/// The columns of one block, four rows at a time.
@inline(__always)
private func columns<B: LaneBlock>(_ a: ScalarFactor, _ b: Matrix, _ out: Matrix, at column: Int, _: B.Type) {
  let (from, to, depth) = (b.base + column, out.base + column, b.rows)
  let (step, across) = (a.depthStride, a.rowStride)
  var r = 0
  while r + 4 <= out.rows {
    var (s0, s1, s2, s3) = (B.zero, B.zero, B.zero, B.zero)
    var (x, factor) = (from, a.base + r * across)
    for _ in 0..<depth {
      let block = B.load(x)
      s0.add(factor[0], block)
      s1.add(factor[across], block)
      s2.add(factor[2 * across], block)
      s3.add(factor[3 * across], block)
      x += b.stride
      factor += step
    }
    s0.store(to + r * out.stride)
    s1.store(to + (r + 1) * out.stride)
    s2.store(to + (r + 2) * out.stride)
    s3.store(to + (r + 3) * out.stride)
    r += 4
  }
  while r < out.rows {
    var total = B.zero
    var (x, factor) = (from, a.base + r * across)
    for _ in 0..<depth {
      total.add(factor[0], B.load(x))
      x += b.stride
      factor += step
    }
    total.store(to + r * out.stride)
    r += 1
  }
}

/// Writes the transpose of `x`, `[rows, columns]`, as `[columns, rows]` with rows of `y` filled up with zeros to its
/// width, a multiple of 16; `x` has a multiple of 16 columns.
func transpose(_ x: Matrix, into y: Matrix) {
  for column in stride(from: 0, to: x.columns, by: 16) {
    for row in stride(from: 0, to: y.columns, by: 16) {
      transposeTile(
        x.base + row * x.stride + column, x.stride, rows: min(16, x.rows - row), y.base + column * y.stride + row,
        y.stride)
    }
  }
}

/// Sixteen rows by sixteen columns, of which `rows` are there, by four rounds of exchanges between rows whose numbers
/// differ in one bit.
@inline(__always)
private func transposeTile(
  _ x: UnsafePointer<Float>, _ xStride: Int, rows: Int, _ y: UnsafeMutablePointer<Float>, _ yStride: Int
) {
  withUnsafeTemporaryAllocation(of: Lanes.self, capacity: 16) { tile in
    guard let t = tile.baseAddress else { return }
    for i in 0..<16 { t[i] = i < rows ? load(x, i * xStride) : .zero }
    for i in stride(from: 0, to: 16, by: 2) {
      (t[i], t[i + 1]) = (cvectors_interleave_low_1(t[i], t[i + 1]), cvectors_interleave_high_1(t[i], t[i + 1]))
    }
    for i in 0..<16 where i & 2 == 0 {
      (t[i], t[i + 2]) = (cvectors_interleave_low_2(t[i], t[i + 2]), cvectors_interleave_high_2(t[i], t[i + 2]))
    }
    for i in 0..<16 where i & 4 == 0 {
      (t[i], t[i + 4]) = (cvectors_interleave_low_4(t[i], t[i + 4]), cvectors_interleave_high_4(t[i], t[i + 4]))
    }
    for i in 0..<8 {
      (t[i], t[i + 8]) = (cvectors_interleave_low_8(t[i], t[i + 8]), cvectors_interleave_high_8(t[i], t[i + 8]))
    }
    for i in 0..<16 { store(t[i], y, i * yStride) }
  }
}
