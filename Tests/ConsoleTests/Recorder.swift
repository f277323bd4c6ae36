import Console

/// A screen's output and its clock, in a test's hands.
final class Recorder {
  var now = 100.0
  var text = ""
  var complaints = ""
  var machine = ""
  var writeCount = 0

  func screen(interactive: Bool, color: Bool = false, width: Int = 80, quiet: Bool = false) -> Screen {
    Screen(
      terminal: Terminal(isInteractive: interactive, usesColor: color, width: width), isQuiet: quiet,
      clock: { self.now }
    ) { destination, text in
      self.writeCount += 1
      switch destination {
      case .people, .live: self.text += text
      case .complaints: self.complaints += text
      case .machine: self.machine += text
      }
    }
  }

  /// What was written since the last look.
  func take() -> String {
    defer { text = "" }
    return text
  }
}
