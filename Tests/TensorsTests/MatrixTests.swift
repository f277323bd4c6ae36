import Tensors
import Testing

@Suite
struct MatrixTests {
  /// 6 × 8 numbers that say where they stand: 10 · row + column.
  static func withMatrix(_ body: (Matrix) -> Void) {
    let memory = UnsafeMutablePointer<Float>.allocate(capacity: 48)
    defer { memory.deallocate() }
    for i in 0..<48 { memory.advanced(by: i).initialize(to: Float(10 * (i / 8) + i % 8)) }
    body(Matrix(memory, rows: 6, columns: 8))
  }

  static func values(_ matrix: Matrix) -> [[Float]] {
    (0..<matrix.rows).map { r in (0..<matrix.columns).map { matrix.row(r)[$0] } }
  }

  @Test
  func slices() {
    Self.withMatrix { m in
      #expect(m.stride == 8)
      let columns = m.columns(2..<5)
      #expect(columns.rows == 6 && columns.columns == 3 && columns.stride == 8)
      #expect(Self.values(columns)[4] == [42, 43, 44])
      let both = m.rows(1..<4).columns(3..<6).columns(1..<3).rows(1..<3)
      #expect(Self.values(both) == [[24, 25], [34, 35]])
      #expect(Self.values(m.columns(3..<6).rows(5..<6)) == [[53, 54, 55]])
      let none = m.rows(6..<6)
      #expect(none.rows == 0 && m.columns(8..<8).columns == 0)
    }
  }

  @Test
  func fillsOnlyItself() {
    Self.withMatrix { m in
      m.rows(1..<3).columns(2..<4).fill(-1)
      let expected = (0..<6).map { r in
        (0..<8).map { (1..<3).contains(r) && (2..<4).contains($0) ? -1 : Float(10 * r + $0) }
      }
      #expect(Self.values(m) == expected)
    }
  }

  @Test
  func copies() {
    Self.withMatrix { m in
      m.rows(0..<2).columns(0..<3).copy(from: m.rows(4..<6).columns(5..<8))
      #expect(Self.values(m)[0] == [45, 46, 47, 3, 4, 5, 6, 7])
      #expect(Self.values(m)[1] == [55, 56, 57, 13, 14, 15, 16, 17])
      #expect(Self.values(m)[2] == (0..<8).map { Float(20 + $0) })
    }
  }

  @Test
  func outsideIsRefused() async {
    await #expect(processExitsWith: .failure) { MatrixTests.withMatrix { _ = $0.rows(3..<7) } }
    await #expect(processExitsWith: .failure) { MatrixTests.withMatrix { _ = $0.columns(-1..<2) } }
    await #expect(processExitsWith: .failure) {
      MatrixTests.withMatrix { _ = $0.columns(2..<4).columns(1..<3) }
    }
    await #expect(processExitsWith: .failure) { MatrixTests.withMatrix { $0.copy(from: $0.columns(0..<4)) } }
  }
}

@Suite
struct ParameterStoreTests {
  /// Views and elements of both blocks are the memory at their offsets, by parameter and by name.
  @Test
  func views() {
    let table = ParameterTable([
      ParameterSpecification("a", [2, 3], .constant(0), isTrainable: false),
      ParameterSpecification("b", [4], .constant(0), isTrainable: true),
      ParameterSpecification("c", [2, 2], .constant(0), isTrainable: false),
      ParameterSpecification("d", [3, 1], .constant(0), isTrainable: true),
    ])
    let frozen = UnsafeMutablePointer<Float>.allocate(capacity: table.frozenCount)
    let trainable = UnsafeMutablePointer<Float>.allocate(capacity: table.trainableCount)
    defer {
      frozen.deallocate()
      trainable.deallocate()
    }
    for i in 0..<table.frozenCount { frozen[i] = Float(i) }
    for i in 0..<table.trainableCount { trainable[i] = Float(100 + i) }
    let store = ParameterStore(table: table, frozen: frozen, trainable: trainable)
    #expect(MatrixTests.values(store["a"]) == [[0, 1, 2], [3, 4, 5]])
    #expect(MatrixTests.values(store["c"]) == [[6, 7], [8, 9]])
    #expect(MatrixTests.values(store[table["b"]]) == [[100, 101, 102, 103]])
    #expect(MatrixTests.values(store["d"]) == [[104], [105], [106]])
    #expect(Array(store.elements("c")) == [6, 7, 8, 9])
    store.elements("d")[2] = 7
    #expect(trainable[6] == 7)
  }
}
