import Failures
import Tensors
import Testing

@Suite
struct ActivationArenaTests {
  static func address<T>(_ pointer: UnsafeMutablePointer<T>) -> Int { Int(bitPattern: pointer) }

  @Test
  func blocksAreAlignedAndApart() throws {
    let arena = try ActivationArena(capacity: 1 << 16)
    var end = 0
    for count in [1, 3, 16, 17, 0, 100, 1000] {
      let floats = arena.allocate(Float.self, count)
      #expect(Self.address(floats) % 64 == 0 && Self.address(floats) >= end, "\(count) floats")
      end = Self.address(floats + count)
      let bytes = arena.allocate(UInt8.self, count)
      #expect(Self.address(bytes) % 64 == 0 && Self.address(bytes) >= end, "\(count) bytes")
      end = Self.address(bytes + count)
    }
    let matrix = arena.matrix(5, 7)
    #expect(Self.address(matrix.base) % 64 == 0 && Self.address(matrix.base) >= end)
    #expect(matrix.rows == 5 && matrix.columns == 7 && matrix.stride == 7)
  }

  /// The whole capacity can be used, and it is at least what was asked for.
  @Test(arguments: [0, 1, 4096, 4097, 100_000])
  func capacity(_ bytes: Int) throws {
    let arena = try ActivationArena(capacity: bytes)
    #expect(arena.capacity >= bytes)
    let all = arena.allocate(UInt8.self, bytes)
    for i in 0..<bytes { all[i] = UInt8(truncatingIfNeeded: i) }
    #expect((0..<bytes).allSatisfy { all[$0] == UInt8(truncatingIfNeeded: $0) })
    #expect(arena.peak == bytes)
  }

  /// Reserving costs nothing: what is reserved beyond a machine's memory is not taken from it.
  @Test
  func reservationIsNotTouched() throws {
    let arena = try ActivationArena(capacity: 1 << 34)
    let far = arena.allocate(UInt8.self, 1 << 33)
    far[1 << 32] = 7
    #expect(far[1 << 32] == 7 && arena.peak == 1 << 33)
  }

  @Test
  func marks() throws {
    let arena = try ActivationArena(capacity: 1 << 16)
    let first = arena.allocate(Float.self, 10)
    first.update(repeating: 3, count: 10)
    let mark = arena.mark
    let second = arena.allocate(Float.self, 100)
    let peak = arena.peak
    arena.rewind(to: mark)
    #expect(arena.allocate(Float.self, 50) == second, "memory is used again")
    #expect(arena.peak == peak, "the peak stays")
    arena.reset()
    #expect(arena.allocate(Float.self, 1) == first)
    #expect(first[0] == 3, "without poison nothing is written")
    #expect(arena.peak == peak && peak == 64 + 400)
  }

  /// With poison, all that is given back is not-a-number at once, and nothing else is.
  @Test
  func poison() throws {
    let arena = try ActivationArena(capacity: 1 << 16)
    arena.poisons = true
    let kept = arena.allocate(Float.self, 5)
    kept.update(repeating: 1, count: 5)
    let mark = arena.mark
    let given = arena.allocate(Float.self, 33)
    let last = arena.allocate(Float.self, 3)
    given.update(repeating: 2, count: 33)
    last.update(repeating: 2, count: 3)
    arena.rewind(to: mark)
    #expect((0..<33).allSatisfy { given[$0].isNaN } && (0..<3).allSatisfy { last[$0].isNaN })
    #expect((0..<5).allSatisfy { kept[$0] == 1 })
    arena.reset()
    #expect((0..<5).allSatisfy { kept[$0].isNaN })
  }

  @Test
  func moreThanThereIsOfAddresses() {
    let failure = #expect(throws: Failure.self) { try ActivationArena(capacity: 1 << 60) }
    #expect(failure?.message.contains("1099511627776 MiB") == true)
  }

  @Test
  func misuseIsRefused() async {
    await #expect(processExitsWith: .failure) {
      let arena = try ActivationArena(capacity: 4096)
      _ = arena.allocate(Float.self, 1025)
    }
    await #expect(processExitsWith: .failure) {
      let arena = try ActivationArena(capacity: 4096)
      _ = arena.allocate(Float.self, 8)
      let mark = arena.mark
      arena.reset()
      arena.rewind(to: mark)
    }
  }
}
