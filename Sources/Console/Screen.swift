import Glibc

/// What a person sees of a run: lines, tables, warnings, and at most one live line below them.
///
/// Rank 0 has a screen; the others have `Screen.silent()`, so that the code that reports is the same on all ranks.
/// Everything is written at once, so that nothing waits in a buffer when a rank is aborted; only what a reader who has
/// stopped reading leaves no room for waits (`UnhurriedStream`).
package final class Screen {
  /// Where a piece of text goes.
  package enum Destination: Sendable {
    /// What the person reads: standard output, or standard error under `--json`.
    case people
    /// Warnings and errors: standard error.
    case complaints
    /// What a program reads: standard output.
    case machine
    /// A live line, where people read; it may be left out.
    case live
  }

  /// What the stream that people read can do.
  package let terminal: Terminal
  /// Whether only warnings, errors and results are shown.
  package let isQuiet: Bool
  let clock: () -> Double
  private let write: ((Destination, String) -> Void)?
  private var live: (text: String, owner: ObjectIdentifier)?

  /// The screen of rank 0.
  ///
  /// - Parameters:
  ///   - quiet: Only warnings, errors and results (`--quiet`).
  ///   - json: People's output goes to standard error, standard output belongs to the JSON (`--json`).
  package convenience init(quiet: Bool = false, json: Bool = false) {
    let people = json ? UnhurriedStream.errors : UnhurriedStream.output
    let terminal = Terminal(descriptor: json ? STDERR_FILENO : STDOUT_FILENO)
    self.init(terminal: terminal, isQuiet: quiet, clock: Screen.monotonicSeconds) { destination, text in
      switch destination {
      case .people: people.write(text)
      case .live: people.write(text, isPassing: true)
      case .complaints: UnhurriedStream.errors.write(text)
      case .machine: UnhurriedStream.output.write(text)
      }
    }
  }

  /// A screen on which a test can look.
  ///
  /// - Parameters:
  ///   - terminal: What it can do.
  ///   - isQuiet: Whether only warnings, errors and results are shown.
  ///   - clock: Seconds since any fixed moment.
  ///   - write: Takes what is written; nil for a screen that nobody sees.
  package init(
    terminal: Terminal, isQuiet: Bool = false, clock: @escaping () -> Double,
    write: ((Destination, String) -> Void)?
  ) {
    self.terminal = terminal
    self.isQuiet = isQuiet
    self.clock = clock
    self.write = write
  }

  /// The screen of a rank that has nothing to say.
  package static func silent() -> Screen {
    Screen(terminal: Terminal(isInteractive: false), isQuiet: true, clock: { 0 }, write: nil)
  }

  /// Shows a line of the account of a run; not under `--quiet`.
  package func line(_ text: String = "") {
    if !isQuiet { emit(.people, text + "\n") }
  }

  /// Shows a table of the account of a run, with a heading above it; not under `--quiet`.
  package func table(_ table: Table, heading: String? = nil) {
    if !isQuiet { emit(.people, rendered(table, heading)) }
  }

  /// Shows a line that was asked for, also under `--quiet`.
  package func result(_ text: String) { emit(.people, text + "\n") }

  /// Shows a table that was asked for, also under `--quiet`.
  package func result(_ table: Table, heading: String? = nil) { emit(.people, rendered(table, heading)) }

  /// Warns in one sentence, on standard error, also under `--quiet`.
  package func warning(_ sentence: String) {
    emit(.complaints, "\(terminal.styled("warning:", .warning)) \(sentence)\n")
  }

  /// Says in one sentence why the program ends, on standard error.
  package func error(_ sentence: String) {
    emit(.complaints, "\(terminal.styled("error:", .error)) \(sentence)\n")
  }

  /// Writes the machine-readable summary to standard output.
  package func json(_ text: String) { emit(.machine, text + "\n") }

  /// A progress line for a phase.
  ///
  /// - Parameters:
  ///   - name: What is being done: `epoch 1/4`.
  ///   - total: How much there is to do.
  ///   - start: What was already done before, in a resumed run; it does not count for the rate.
  ///   - unit: What is counted, in the plural.
  /// - Returns: The line; it goes away with `finish` or when it is let go.
  package func progress(
    _ name: String, total: Int, from start: Int = 0, unit: String = "reviews"
  ) -> ProgressBar {
    ProgressBar(screen: self, name: name, total: total, from: start, unit: unit)
  }

  // MARK: The live line

  var showsProgress: Bool { write != nil && !isQuiet }

  /// Draws the live line over the one before and leaves the cursor at its beginning: what another process writes to the
  /// same terminal (mpirun, a rank that fails) then starts at the left.
  func showLive(_ text: String, of owner: ObjectIdentifier) {
    live = (text, owner)
    write?(.live, "\r\(text)\u{1B}[K\r")
  }

  /// Takes the live line away if it is this owner's.
  func hideLive(of owner: ObjectIdentifier) {
    guard live?.owner == owner else { return }
    live = nil
    write?(.people, "\r\u{1B}[K")
  }

  private func rendered(_ table: Table, _ heading: String?) -> String {
    let text = table.text(width: terminal.isInteractive ? terminal.width : nil)
    return heading.map { terminal.styled($0, .bold) + "\n" + text } ?? text
  }

  private func emit(_ destination: Destination, _ text: String) {
    guard let write else { return }
    guard let live else { return write(destination, text) }
    if destination == .people {
      write(.people, "\r\u{1B}[K\(text)\(live.text)\u{1B}[K\r")
    } else {
      write(.people, "\r\u{1B}[K")
      write(destination, text)
      write(.people, "\(live.text)\u{1B}[K\r")
    }
  }

  // MARK: The system

  private static func monotonicSeconds() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
  }
}
