import Console
import Glibc
import Testing

/// A pseudo-terminal of a given width.
private final class PseudoTerminal {
  let main: CInt
  let terminal: CInt

  init?(columns: UInt16) {
    // The ioctls behind unlockpt and ptsname, which Swift's Glibc does not show.
    let unlock: UInt = 0x4004_5431
    let getNumber: UInt = 0x8004_5430
    main = open("/dev/ptmx", O_RDWR | O_NOCTTY)
    var zero: CInt = 0
    var number: CInt = 0
    guard main >= 0, ioctl(main, unlock, &zero) == 0, ioctl(main, getNumber, &number) == 0 else { return nil }
    terminal = open("/dev/pts/\(number)", O_RDWR | O_NOCTTY)
    guard terminal >= 0 else { return nil }
    resize(columns: columns)
  }

  func resize(columns: UInt16) {
    var size = winsize(ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0)
    _ = ioctl(main, UInt(TIOCSWINSZ), &size)
  }

  deinit {
    close(terminal)
    close(main)
  }
}

@Suite struct TerminalTests {
  private func terminal(_ descriptor: CInt, _ environment: [String: String]) -> Terminal {
    Terminal(descriptor: descriptor) { environment[$0] }
  }

  @Test func aTerminalKnowsItsWidthAlsoAfterAResize() throws {
    let device = try #require(PseudoTerminal(columns: 91))
    let terminal = terminal(device.terminal, ["TERM": "xterm", "COLUMNS": "33"])
    #expect(terminal.isInteractive)
    #expect(terminal.usesColor)
    #expect(terminal.width == 91)
    device.resize(columns: 47)
    #expect(terminal.width == 47)
    device.resize(columns: 0)
    #expect(terminal.width == 33, "a terminal that does not know its width leaves it to COLUMNS")
  }

  @Test(arguments: [
    (["TERM": "xterm"], true, true), (["TERM": "xterm", "NO_COLOR": "1"], true, false),
    (["TERM": "xterm", "NO_COLOR": ""], true, true), (["TERM": "dumb"], false, false), ([:], false, false),
    (["TERM": "xterm", "CI": "true"], false, false),
    // A rank whose launcher is not among its ancestors: its own pseudo-terminal says nothing.
    (["TERM": "xterm", "OMPI_COMM_WORLD_RANK": "0"], false, false),
    (["TERM": "xterm", "PMIX_RANK": "0"], false, false),
  ])
  func abilities(environment: [String: String], interactive: Bool, color: Bool) throws {
    let device = try #require(PseudoTerminal(columns: 91))
    let terminal = terminal(device.terminal, environment)
    #expect(terminal.isInteractive == interactive)
    #expect(terminal.usesColor == color)
  }

  @Test func aPipeIsNoTerminal() throws {
    var ends: [CInt] = [0, 0]
    try #require(pipe(&ends) == 0)
    defer { ends.forEach { close($0) } }
    let terminal = terminal(ends[1], ["TERM": "xterm"])
    #expect(!terminal.isInteractive)
    #expect(terminal.width == 80)
    #expect(terminal.styled("x", .bold) == "x")
  }
}

@Suite struct OutputRelayTests {
  private static let processes: [pid_t: OutputRelay.Entry] = [
    40: .init(line: "40 (bert-ddp) S 30 40 30 0"), 30: .init(line: "30 (sh) S 20 1"),
    20: .init(line: "20 (mpirun) S 10 1"), 10: .init(line: "10 (bash) S 1 1"),
    41: .init(line: "41 (bert-ddp) S 31 1"), 31: .init(line: "31 (orted) S 1 1"),
    50: .init(line: "50 (loop) S 50 1"),
  ].compactMapValues { $0 }

  @Test(arguments: [(40, 20), (41, nil), (20, nil), (50, nil), (99, nil)] as [(pid_t, pid_t?)])
  func theNearestLauncherAbove(process: pid_t, expected: pid_t?) {
    #expect(OutputRelay.find(above: process) { Self.processes[$0] } == expected)
  }

  @Test func namesMayHoldAnything() throws {
    let entry = try #require(OutputRelay.Entry(line: "7 (a) (b c) R 3 7 7"))
    #expect(entry.name == "a) (b c")
    #expect(entry.parent == 3)
    for line in ["", "7", "7 (a", "7 )a( S 1", "7 (a) S", "7 (a) S x"] {
      #expect(OutputRelay.Entry(line: line) == nil)
    }
  }

  @Test func thisProcessHasAParent() {
    #expect(OutputRelay.Entry(process: getpid())?.parent == getppid())
    #expect(OutputRelay.Entry(process: -1) == nil)
  }
}
