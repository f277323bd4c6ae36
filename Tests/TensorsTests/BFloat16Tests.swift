import Tensors
import Testing

/// Rounding to bfloat16 against its definition: of the two neighbours the nearer, of two equally near the even one.
@Suite
struct BFloat16Tests {
  /// What a positive pattern stands for, in `Double`; the pattern of infinity stands for 2¹²⁸, where the next number
  /// would be.
  private static func value(_ pattern: UInt16) -> Double {
    let (exponent, significand) = (Int(pattern >> 7), Double(pattern & 0x7F))
    if exponent == 0 { return significand * 0x1p-133 }
    return (1 + significand / 128) * Double(sign: .plus, exponent: exponent - 127, significand: 1)
  }

  @Test
  func everyNumberIsItself() {
    for pattern in UInt16.min...UInt16.max {
      let number = BFloat16(bits: pattern)
      guard !number.float.isNaN else {
        #expect(BFloat16(number.float).float.isNaN)
        continue
      }
      #expect(BFloat16(number.float).bits == pattern)
      guard number.float.isFinite else { continue }
      let magnitude = BFloat16Tests.value(pattern & 0x7FFF)
      #expect(Double(number.float) == (pattern >> 15 == 1 ? -magnitude : magnitude))
    }
  }

  /// Around the middle of every two neighbours, zero and infinity among them, of both signs.
  @Test
  func nearestTiesToEven() {
    for lower in UInt16(0)..<0x7F80 {
      let upper = lower + 1
      // A Float has sixteen bits more, so the middle is one.
      let middle = Float((BFloat16Tests.value(lower) + BFloat16Tests.value(upper)) / 2)
      #expect(Double(middle) * 2 == BFloat16Tests.value(lower) + BFloat16Tests.value(upper))
      for sign in [Float(1), -1] {
        let signBit: UInt16 = sign < 0 ? 0x8000 : 0
        #expect(BFloat16(sign * middle).bits == signBit | (lower % 2 == 0 ? lower : upper))
        #expect(BFloat16(sign * middle.nextDown).bits == signBit | lower)
        #expect(BFloat16(sign * middle.nextUp).bits == signBit | upper)
      }
    }
    #expect(BFloat16(Float.greatestFiniteMagnitude).float == .infinity)
    #expect(BFloat16(-Float.infinity).float == -.infinity)
    #expect(BFloat16(Float.leastNonzeroMagnitude).bits == 0)
  }

  /// Also where what tells it apart lies in the half that is dropped.
  @Test
  func notANumberStaysThat() {
    for payload: UInt32 in [1, 0x7FFF, 0x8000, 0xFFFF, 0x10000, 0x3F_FFFF, 0x40_0000, 0x7F_FFFF] {
      for sign: UInt32 in [0, 0x8000_0000] {
        let rounded = BFloat16(Float(bitPattern: sign | 0x7F80_0000 | payload))
        #expect(rounded.float.isNaN && UInt32(rounded.bits) << 16 & 0x8000_0000 == sign)
      }
    }
  }

  /// Whole arrays, of lengths that fill no vector register.
  @Test(arguments: [0, 1, 15, 16, 33, 1000])
  func arrays(_ count: Int) {
    let values = (0..<count).map { Float(sign: .plus, exponent: $0 % 250 - 125, significand: 1 + Float($0) / 4096) }
    var rounded = [BFloat16](repeating: BFloat16(bits: 0x1234), count: count + 1)
    round(values, to: &rounded, count)
    #expect(rounded.dropLast().elementsEqual(values.map { BFloat16($0) }))
    #expect(rounded.last == BFloat16(bits: 0x1234))
    var expanded = [Float](repeating: 7, count: count + 1)
    expand(rounded, to: &expanded, count)
    #expect(expanded.dropLast().elementsEqual(values.map { BFloat16($0).float }))
    #expect(expanded.last == 7)
  }
}

/// Parameters that are kept in bfloat16, frozen and trained.
@Suite
struct RoundedParameterTests {
  private static func table() -> ParameterTable {
    func parameter(_ name: String, _ shape: [Int], trained: Bool, _ precision: Precision) -> ParameterSpecification {
      var specification = ParameterSpecification(name, shape, .constant(1.01), isTrainable: trained)
      specification.precision = precision
      return specification
    }
    return ParameterTable([
      parameter("a", [2, 3], trained: false, .fp32), parameter("b", [3, 4], trained: false, .bf16),
      parameter("c", [2, 2], trained: true, .bf16), parameter("d", [5], trained: true, .fp32),
      parameter("e", [1, 2], trained: false, .bf16), parameter("f", [7], trained: false, .fp32),
    ])
  }

  private static func withStore(_ body: (ParameterStore) throws -> Void) rethrows {
    let table = table()
    var (frozen, trainable) = (
      [Float](repeating: -1, count: table.frozenCount), [Float](repeating: -1, count: table.trainableCount)
    )
    let untouched = BFloat16(bits: 0xABCD)
    var rounded = [BFloat16](repeating: untouched, count: table.roundedCount)
    var copies = [BFloat16](repeating: untouched, count: table.trainableCount)
    try frozen.withUnsafeMutableBufferPointer { frozen in
      try trainable.withUnsafeMutableBufferPointer { trainable in
        try rounded.withUnsafeMutableBufferPointer { rounded in
          try copies.withUnsafeMutableBufferPointer { copies in
            guard let f = frozen.baseAddress, let t = trainable.baseAddress, let r = rounded.baseAddress,
              let c = copies.baseAddress
            else { return }
            try body(
              ParameterStore(
                table: table, frozen: f, trainable: t, rounded: RoundedBlocks(frozen: r, trainable: c)))
          }
        }
      }
    }
  }

  @Test
  func places() {
    let table = Self.table()
    #expect(table.frozenCount == 6 + 7 && table.roundedCount == 12 + 2 && table.trainableCount == 4 + 5)
    #expect(table.count == 36)
    #expect(table["b"].offset == 0 && table["e"].offset == 12 && table["f"].offset == 6 && table["d"].offset == 4)
    #expect(table["b"].isOnlyRounded && !table["c"].isOnlyRounded && !table["a"].isOnlyRounded)
    #expect(table.groups.map(\.range) == [0..<4, 4..<9] && table.groups.map(\.precision) == [.bf16, .fp32])
  }

  @Test
  func valuesAreRoundedOnce() {
    Self.withStore { store in
      for entry in store.table.entries { store.initialize(entry, seed: 1) }
      let near = BFloat16(1.01)
      for name in ["b", "e"] {
        let view = store.rounded(store.table[name])
        for r in 0..<view.rows { for c in 0..<view.columns { #expect(view.row(r)[c] == near) } }
      }
      // What is trained keeps its floats, and gets its copy when told.
      #expect(store["c"].row(1)[1] == 1.01 && store.rounded(store.table["c"]).row(1)[1] != near)
      store.refreshRounded()
      #expect(store.rounded(store.table["c"]).row(1)[1] == near)
      // Nothing reads a copy of the others.
      #expect(store.rounded?.trainable[4] == BFloat16(bits: 0xABCD))
      store.write(store.table["b"]) { view in
        for r in 0..<3 { for c in 0..<4 { view.row(r)[c] = Float(10 * r + c) } }
      }
      var memory: [Float] = [Float](repeating: 0, count: 8)
      memory.withUnsafeMutableBufferPointer { memory in
        guard let base = memory.baseAddress else { return }
        store.copyRows(1..<3, of: store.table["b"], into: Matrix(base, rows: 2, columns: 4))
      }
      #expect(memory == [10, 11, 12, 13, 20, 21, 22, 23])
    }
  }
}
