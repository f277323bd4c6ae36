import Tensors
import Testing

/// Transposed copies of frozen matrices: where they lie, and what they hold.
@Suite struct TransposedCopiesTests {
  private static func specification(
    _ name: String, _ shape: [Int], isTrainable: Bool = false, precision: Precision = .fp32, keeps: Bool = true
  ) -> ParameterSpecification {
    var specification = ParameterSpecification(
      name, shape, .uniform(bound: 1), isTrainable: isTrainable, isLookedUp: false)
    specification.precision = precision
    specification.keepsTranspose = keeps
    return specification
  }

  private static let specifications = [
    specification("plain", [5, 7], keeps: false), specification("query", [20, 7]), specification("key", [3, 7]),
    specification("trained", [4, 7], isTrainable: true), specification("value", [6, 7]),
    specification("wide", [2, 40]), specification("rounded", [18, 33], precision: .bf16),
    specification("rounded beside", [1, 33], precision: .bf16), specification("floats beside", [2, 33]),
    specification("bias", [7]),
  ]

  @Test(arguments: specifications.map(\.name))
  func copiesHoldTheTranspose(_ name: String) throws {
    let table = ParameterTable(Self.specifications)
    let floats = UnsafeMutablePointer<Float>.allocate(capacity: table.frozenCount + table.trainableCount)
    let rounded = UnsafeMutablePointer<BFloat16>.allocate(capacity: table.roundedCount + table.trainableCount)
    let copies = UnsafeMutableRawPointer.allocate(byteCount: table.transposeBytes + 64, alignment: 64)
    defer {
      floats.deallocate()
      rounded.deallocate()
      copies.deallocate()
    }
    copies.initializeMemory(as: UInt8.self, repeating: 0xAB, count: table.transposeBytes + 64)
    let store = ParameterStore(
      table: table, frozen: floats, trainable: floats + table.frozenCount,
      rounded: RoundedBlocks(frozen: rounded, trainable: rounded + table.roundedCount), transposes: copies)
    for entry in table.entries { store.initialize(entry, seed: 3) }
    store.writeTransposes()
    let parameter = table[name]
    let hasCopy = !["plain", "trained", "bias"].contains(name)
    #expect((parameter.transpose != nil) == hasCopy)
    if parameter.precision == .bf16 {
      let copy = try #require(store.roundedTransposed(parameter))
      #expect(store.transposed(parameter) == nil)
      expectTranspose(copy, of: store.rounded(parameter))
    } else if hasCopy {
      expectTranspose(try #require(store.transposed(parameter)), of: store[parameter])
    } else {
      #expect(store.transposed(parameter) == nil)
    }
    let after = UnsafeRawBufferPointer(start: copies + table.transposeBytes, count: 64)
    #expect(after.allSatisfy { $0 == 0xAB }, "nothing is written behind them")
  }

  private func expectTranspose<Element: Equatable>(_ copy: MatrixView<Element>, of matrix: MatrixView<Element>) {
    #expect(copy.rows == matrix.columns && copy.columns == matrix.rows)
    for row in 0..<matrix.rows {
      for column in 0..<matrix.columns { #expect(copy.row(column)[row] == matrix.row(row)[column]) }
    }
  }

  /// Matrices of one input, one after another, are the columns of one copy; others have copies of their own.
  @Test func neighboursLieSideBySide() throws {
    let table = ParameterTable(Self.specifications)
    let query = try #require(table["query"].transpose)
    #expect(table["key"].transpose == Transpose(offset: query.offset + 4 * 20, stride: query.stride))
    #expect(query.stride >= 23 && query.stride % 16 == 0)
    let first = try #require(table["rounded"].transpose)
    #expect(table["rounded beside"].transpose == Transpose(offset: first.offset + 2 * 18, stride: first.stride))
    let starts = ["query", "value", "wide", "rounded", "floats beside"].compactMap { table[$0].transpose?.offset }
    #expect(starts.count == 5 && starts == starts.sorted() && starts.allSatisfy { $0 % 64 == 0 })
  }

  @Test func whereNothingIsFrozenThereAreNone() {
    let table = ParameterTable([Self.specification("a", [4, 4], isTrainable: true)])
    #expect(table.transposeBytes == 0)
  }
}
