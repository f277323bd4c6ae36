internal import Failures
internal import Glibc

/// System calls that fail as a bad disk makes them fail: from `install` on, in this process and those that it starts.
///
/// The kernel answers them by a filter (seccomp); no file system and no library is touched, and no right is needed.
package struct FailingCalls: Equatable, Sendable {
  /// The calls that can be made to fail.
  package enum Call: String, CaseIterable, Sendable {
    /// `pwrite` of at least 4 KiB.
    case write
    /// `fsync`.
    case synchronize
    /// `rename`.
    case rename
    /// `fallocate`, by which space is set aside.
    case reserve
    /// `pread`.
    case read

    #if arch(x86_64)
      var numbers: [UInt32] {
        switch self {
        case .write: [18]
        case .synchronize: [74, 75]
        case .rename: [82, 264, 316]
        case .reserve: [285]
        case .read: [17]
        }
      }
    #else
      var numbers: [UInt32] {
        switch self {
        case .write: [68]
        case .synchronize: [82, 83]
        case .rename: [38, 276]
        case .reserve: [47]
        case .read: [67]
        }
      }
    #endif
  }

  /// What fails.
  package let call: Call
  /// What it says, as in `errno`.
  package let code: Int32

  /// Calls that fail with an `errno`.
  package init(_ call: Call, with code: Int32) { (self.call, self.code) = (call, code) }

  /// Makes them fail.
  /// - Throws: `Failure` where the kernel does not let a process do so.
  package func install() throws {
    // Instructions of the packet filter: 16 bits of code, how many to skip if so and if not (8 each), 32 bits of value.
    func instruction(_ code: UInt64, _ value: UInt64, skipping: UInt64 = 0) -> UInt64 {
      code | skipping << 16 | value << 32
    }
    let (load, ifEqual, ifAtLeast, answer): (UInt64, UInt64, UInt64, UInt64) = (0x20, 0x15, 0x35, 0x06)
    var program = [instruction(load, 0)]
    let numbers = call.numbers
    for (index, number) in numbers.enumerated() {
      // To the part after "let it pass".
      program.append(instruction(ifEqual, UInt64(number), skipping: UInt64(numbers.count - index)))
    }
    program.append(instruction(answer, 0x7FFF_0000))
    if call == .write {
      // The third argument, how many bytes.
      program.append(instruction(load, 32))
      program.append(instruction(ifAtLeast, 4096, skipping: 1))
      program.append(instruction(answer, 0x7FFF_0000))
    }
    program.append(instruction(answer, 0x0005_0000 | UInt64(UInt32(bitPattern: code) & 0xFFFF)))
    let isInstalled = program.withUnsafeBufferPointer { program in
      // struct sock_fprog: a count, a pointer.
      var header = (UInt(program.count), UInt(bitPattern: program.baseAddress))
      return withUnsafePointer(to: &header) {
        control(38, 1, 0, 0, 0) == 0 && control(22, 2, UInt(bitPattern: $0), 0, 0) == 0
      }
    }
    guard isInstalled else { throw Failure(.other, "this system does not let a process filter its calls") }
  }
}

/// `prctl`, whose arguments after the first the header leaves open.
@_silgen_name("prctl")
private func control(_ option: CInt, _ a: UInt, _ b: UInt, _ c: UInt, _ d: UInt) -> CInt
