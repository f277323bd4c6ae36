import Console
import Testing

@Suite struct ScreenTests {
  private var table: Table {
    var table = Table(["split", "F1"])
    table.add("test", ".871")
    return table
  }

  @Test func quietShowsResultsWarningsAndErrorsOnly() {
    let recorder = Recorder()
    let screen = recorder.screen(interactive: false, quiet: true)
    screen.line("an account")
    screen.table(table)
    #expect(recorder.take() == "")
    screen.result("the result")
    screen.result(table, heading: "Test")
    #expect(recorder.take() == "the result\nTest\nsplit    F1\n-----  ----\ntest   .871\n")
    screen.warning("w")
    screen.error("e")
    screen.json("{}")
    #expect(recorder.complaints == "warning: w\nerror: e\n")
    #expect(recorder.machine == "{}\n")
  }

  @Test func colorOnlyWhereTheTerminalHasIt() {
    let recorder = Recorder()
    recorder.screen(interactive: true, color: true).warning("w")
    recorder.screen(interactive: false, color: true).warning("w")
    #expect(recorder.complaints == "\u{1B}[1;33mwarning:\u{1B}[0m w\nwarning: w\n")
  }

  @Test func tablesFitTheTerminalAndAreWholeInALog() {
    var wide = Table(["text"])
    wide.add("a sentence of some length")
    let recorder = Recorder()
    recorder.screen(interactive: true, width: 10).table(wide)
    #expect(recorder.take() == "text\n----------\na sentenc…\n")
    recorder.screen(interactive: false, width: 10).table(wide)
    #expect(recorder.take().hasSuffix("\na sentence of some length\n"))
  }

  @Test func aSilentScreenTakesEverything() {
    let screen = Screen.silent()
    screen.line("x")
    screen.result(table)
    screen.warning("x")
    screen.json("{}")
    #expect(!screen.terminal.isInteractive)
  }
}
