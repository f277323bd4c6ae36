import Glibc
import Tensors
import TestSupport
import Testing

/// Initial values: of the right distribution, and a function of seed and name alone.
@Suite
struct InitializerTests {
  /// The values of some parameters, laid out in the order given, in a block with a guard behind it.
  static func values(
    _ specifications: [ParameterSpecification], seed: UInt32 = 1
  ) -> [String: [Float]] {
    let table = ParameterTable(specifications)
    func block(_ count: Int) -> UnsafeMutablePointer<Float> {
      let pointer = UnsafeMutablePointer<Float>.allocate(capacity: count + 8)
      pointer.initialize(repeating: -99, count: count + 8)
      return pointer
    }
    let (frozen, trainable) = (block(table.frozenCount), block(table.trainableCount))
    defer {
      frozen.deallocate()
      trainable.deallocate()
    }
    let store = ParameterStore(table: table, frozen: frozen, trainable: trainable)
    for entry in table.entries { store.initialize(entry, seed: seed) }
    for (block, count) in [(frozen, table.frozenCount), (trainable, table.trainableCount)] {
      #expect((count..<count + 8).allSatisfy { block[$0] == -99 }, "written behind the block")
    }
    return Dictionary(
      table.entries.map { ($0.specification.name, Array(store.elements($0.specification.name))) }
    ) { first, _ in first }
  }

  static func one(
    _ initializer: Initializer, _ shape: [Int], name: String = "w", seed: UInt32 = 1
  ) -> [Float] {
    values([ParameterSpecification(name, shape, initializer, isTrainable: true)], seed: seed)[name] ?? []
  }

  /// Mean, variance, skewness and kurtosis of 200,001 standard normals: their deviations are 1/√n, √(2/n), √(6/n),
  /// √(24/n); five of each. No value beyond 6.5 (once in 60,000 seeds), and none repeated in a row.
  @Test(arguments: [UInt32(1), 77])
  func normal(_ seed: UInt32) {
    let count = 200_001
    let values = Self.one(.normal(deviation: 0.02), [count], seed: seed).map { Double($0) / 0.02 }
    func moment(_ power: Double) -> Double { values.reduce(0) { $0 + pow($1, power) } / Double(count) }
    let n = Double(count)
    expectClose(moment(1), 0, absolute: 5 / n.squareRoot(), "mean")
    expectClose(moment(2), 1, absolute: 5 * (2 / n).squareRoot(), "variance")
    expectClose(moment(3), 0, absolute: 5 * (15 / n).squareRoot(), "third moment")
    expectClose(moment(4), 3, absolute: 5 * (96 / n).squareRoot(), "fourth moment")
    #expect(values.allSatisfy { abs($0) < 6.5 })
    let neighbours = zip(values, values.dropFirst()).reduce(0) { $0 + $1.0 * $1.1 } / n
    expectClose(neighbours, 0, absolute: 5 / n.squareRoot(), "neighbours do not depend on each other")
    // The share within one deviation, 0.68269, deviation √(p(1 − p)/n).
    let within = Double(values.filter { abs($0) < 1 }.count) / n
    expectClose(within, 0.682_689, absolute: 5 * (0.2166 / n).squareRoot(), "share within a deviation")
  }

  /// Uniform within the bound, with its mean and variance b²/3; ten equal shares.
  @Test
  func uniform() {
    let count = 100_003
    let values = Self.one(.uniform(bound: 0.25), [count]).map { Double($0) / 0.25 }
    let n = Double(count)
    #expect(values.allSatisfy { $0 >= -1 && $0 < 1 })
    expectClose(values.reduce(0, +) / n, 0, absolute: 5 * (1 / (3 * n)).squareRoot(), "mean")
    let variance = values.reduce(0) { $0 + $1 * $1 } / n
    expectClose(variance, 1.0 / 3, absolute: 5 * (4 / (45 * n)).squareRoot(), "variance")
    for tenth in 0..<10 {
      let low = -1 + 0.2 * Double(tenth)
      let share = Double(values.filter { $0 >= low && $0 < low + 0.2 }.count) / n
      expectClose(share, 0.1, absolute: 5 * (0.09 / n).squareRoot(), "from \(low)")
    }
  }

  @Test
  func constantsAndDiagonals() {
    #expect(Self.one(.constant(1.5), [3, 2]) == [Float](repeating: 1.5, count: 6))
    #expect(Self.one(.diagonal(1, elsewhere: 1e-6), [2, 3]) == [1, 1e-6, 1e-6, 1e-6, 1, 1e-6])
    #expect(Self.one(.diagonal(1, elsewhere: 0), [3, 2]) == [1, 0, 0, 1, 0, 0])
  }

  /// The padding token's row is zero; the others are as without it. A row outside the matrix is none.
  @Test
  func zeroRow() {
    let plain = Self.one(.normal(deviation: 1), [5, 7])
    for row in 0..<5 {
      var expected = plain
      for c in 0..<7 { expected[row * 7 + c] = 0 }
      #expect(Self.one(.normal(deviation: 1, zeroRow: row), [5, 7]) == expected)
    }
    #expect(Self.one(.normal(deviation: 1, zeroRow: 5), [5, 7]) == plain)
  }

  /// The same values wherever a parameter lies, whatever lies beside it, frozen or trained.
  @Test
  func functionOfSeedAndName() {
    func specification(_ name: String, _ trained: Bool = true) -> ParameterSpecification {
      ParameterSpecification(name, [5, 3], .normal(deviation: 1), isTrainable: trained)
    }
    let names = ["a.weight", "b.weight", "c.weight", "ab.weight"]
    let first = Self.values(names.map { specification($0) })
    let second = Self.values(names.reversed().map { specification($0, $0 != "b.weight") })
    #expect(first == second)
    #expect(Self.values([specification("b.weight")])["b.weight"] == first["b.weight"])
    #expect(Set(names.compactMap { first[$0] }).count == 4, "every name has values of its own")
    #expect(Self.values([specification("b.weight")], seed: 2)["b.weight"] != first["b.weight"])
  }

  /// A vector's values are the beginning of a longer one's, so no count is a special case.
  @Test(arguments: [1, 2, 3, 4, 5, 7, 64])
  func counts(_ count: Int) {
    for initializer in [Initializer.normal(deviation: 2), .uniform(bound: 3)] {
      #expect(Self.one(initializer, [count]) == Array(Self.one(initializer, [101]).prefix(count)))
    }
  }

  /// Every pair of the 201 tensors of a real model's names differs: names that are alike are the danger of a hash.
  @Test
  func realNames() {
    var names: [String] = []
    for layer in 0..<24 {
      for part in ["query", "key", "value"] {
        for kind in ["weight", "lora_A.weight", "lora_B.weight"] {
          names.append("bert.encoder.layer.\(layer).attention.self.\(part).\(kind)")
        }
      }
    }
    let values = Self.values(
      names.map { ParameterSpecification($0, [2, 4], .uniform(bound: 1), isTrainable: true) })
    #expect(Set(values.values).count == names.count)
  }
}
