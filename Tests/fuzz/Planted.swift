import Glibc

/// Faults that a fuzzer must find, so that it is known to find any: "launch/fuzz" begins with them.
///
/// Each shows on inputs that begin with ``word``, which chance does not hit: coverage leads there letter by letter.
enum Planted: String, CaseIterable {
  /// A trap.
  case crash
  /// More memory than an input is worth.
  case memory
  /// No end.
  case loop
  /// An error that is no `Failure`.
  case error

  private static let word = Array("fault".utf8)

  private struct Unexpected: Error {}

  /// A parser that understands everything but for the word.
  func run(_ bytes: [UInt8]) throws {
    guard bytes.count >= Self.word.count else { return }
    for (letter, byte) in zip(Self.word, bytes) where letter != byte { return }
    switch self {
    case .crash: precondition(bytes.isEmpty, "a planted crash")
    case .memory: withExtendedLifetime([UInt8](repeating: 1, count: 2 * bytes.count + Session.constant + 1)) {}
    case .loop: while getpid() > 0 {}
    case .error: throw Unexpected()
    }
  }
}
