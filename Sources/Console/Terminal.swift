import Glibc

/// What the stream that a person reads can do: redraw a line, show colour, and how wide it is.
package struct Terminal: Sendable {
  /// Whether a line can be redrawn: a terminal that is not `TERM=dumb`.
  package let isInteractive: Bool
  /// Whether colour may be used: an interactive terminal without `NO_COLOR`.
  package let usesColor: Bool

  private let device: TerminalDevice?
  private let assumedWidth: Int

  /// The number of columns, asked anew each time, since a window can be resized; 80 where nobody knows.
  package var width: Int { device?.width ?? assumedWidth }

  /// A terminal with given abilities, for tests; where it is not interactive it is plain text.
  package init(isInteractive: Bool, usesColor: Bool = false, width: Int = 80) {
    self.isInteractive = isInteractive
    self.usesColor = isInteractive && usesColor
    device = nil
    assumedWidth = width
  }

  /// What a stream of this process can do.
  ///
  /// - Parameters:
  ///   - descriptor: 1 for standard output, 2 for standard error.
  ///   - environment: The value of an environment variable.
  package init(
    descriptor: CInt, environment: (String) -> String? = Terminal.environmentVariable
  ) {
    let device = TerminalDevice(descriptor: descriptor, environment: environment)
    let isCapable = !["", "dumb"].contains(environment("TERM") ?? "")
    // A build server may offer a terminal that nobody looks at; its log is what is read.
    let isWatched = (environment("CI") ?? "").isEmpty
    isInteractive = device != nil && isCapable && isWatched
    usesColor = isInteractive && (environment("NO_COLOR") ?? "").isEmpty
    self.device = isInteractive ? device : nil
    assumedWidth = environment("COLUMNS").flatMap(Int.init).flatMap { $0 > 0 ? $0 : nil } ?? 80
  }

  /// The value of a variable of this process's environment.
  package static func environmentVariable(_ name: String) -> String? {
    getenv(name).map { String(cString: $0) }
  }

  /// How a text stands out.
  package enum Style: String, Sendable {
    /// Headings and what is to be found at a glance.
    case bold = "1"
    /// The label of a warning.
    case warning = "1;33"
    /// The label of an error.
    case error = "1;31"
    /// What is done of a bar.
    case progress = "32"
  }

  /// The text in a style, where the terminal has colour; as it is otherwise.
  package func styled(_ text: String, _ style: Style) -> String {
    usesColor ? "\u{1B}[\(style.rawValue)m\(text)\u{1B}[0m" : text
  }
}
