/// An error that a person can cause or has to act on: one clear sentence and the exit status of the program.
///
/// The sentence says what is wrong, where (file, line, tensor), what was expected and what to do.
package struct Failure: Error, CustomStringConvertible, Sendable, Equatable {
  /// What kind of failure it is; the raw value is the program's exit status (`sysexits.h` and the README's table).
  package enum Kind: Int32, Sendable {
    /// Wrong options.
    case usage = 64
    /// Bad content in an input file.
    case badContent = 65
    /// An input that is missing or unreadable.
    case noInput = 66
    /// A write that failed; nothing that stood before is lost.
    case cannotWrite = 74
    /// Stopped by a signal, a time limit or the stall watchdog.
    case stopped = 75
    /// The loss or a gradient is not finite.
    case notFinite = 76
    /// Ranks, or the run directory and the command line, disagree about the configuration.
    case disagreement = 78
    /// Anything else.
    case other = 1
  }

  /// What kind of failure it is.
  package let kind: Kind
  /// One sentence for the person at the terminal.
  package let message: String

  /// A failure of a kind, with its sentence.
  package init(_ kind: Kind, _ message: String) {
    self.kind = kind
    self.message = message
  }

  /// The status to exit with.
  package var exitStatus: Int32 { kind.rawValue }
  /// The sentence.
  package var description: String { message }
}
