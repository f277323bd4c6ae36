import Console
import Testing

@Suite struct TableTests {
  private var methods: Table {
    var table = Table(["method", "trainable", "F1", "time"])
    table.add("full", "100.00 %", ".871", "01:15")
    table.add("lora | q,v", "0.33 %", "-", "1:02:03")
    table.add("어댑터")
    return table
  }

  @Test func textAlignsNumbersAtTheRight() {
    #expect(
      methods.text() == """
        method      trainable    F1     time
        ----------  ---------  ----  -------
        full         100.00 %  .871    01:15
        lora | q,v     0.33 %     -  1:02:03
        어댑터

        """)
  }

  @Test func markdownEscapesAndAligns() {
    #expect(
      methods.markdown() == """
        | method      | trainable |   F1 |    time |
        | ----------- | --------: | ---: | ------: |
        | full        |  100.00 % | .871 |   01:15 |
        | lora \\| q,v |    0.33 % |    - | 1:02:03 |
        | 어댑터      |           |      |         |

        """)
  }

  @Test func withoutHeadingsThereIsNoRule() {
    var options = Table(["", "", ""])
    options.add("method", "lora", "")
    options.add("learning rate", "1e-3", "the default of lora")
    #expect(options.text() == "method         lora\nlearning rate  1e-3  the default of lora\n")
  }

  @Test func narrowTerminalCutsTextAndNoNumbers() {
    var table = Table(["review", "p"])
    table.add("정말 재미있는 영화였어요", ".987")
    #expect(table.text(width: 16) == "review         p\n----------  ----\n정말 재미…  .987\n")
    // Eight columns of text are the least that is left, even where that is too wide.
    #expect(table.text(width: 3) == "review       p\n--------  ----\n정말 재…  .987\n")
  }

  @Test(arguments: [
    ("-3", "10"), (".5", "1e-5"), ("± .003", "+.1"), ("[.868, .874]", "≥ 3"), ("nan", "-inf"), ("–", "7"),
  ])
  func numbersStandAtTheRight(first: String, second: String) {
    var table = Table(["a heading that is wide"])
    table.add(first)
    table.add(second)
    let lines = table.text().split(separator: "\n")
    #expect(lines.last == second.padded(toColumns: 22, trailing: true)[...])
  }

  @Test(arguments: [("full", "3"), (".hidden", "4"), ("", "-")])
  func textStandsAtTheLeft(first: String, second: String) {
    var table = Table(["a heading that is wide"])
    table.add(first)
    table.add(second)
    #expect(table.text().split(separator: "\n").last == second[...])
  }

  @Test func alignmentCanBeSaid() {
    var table = Table([Table.Column("rank", .leading), Table.Column("host", .trailing)])
    table.add("3", "a")
    #expect(table.text() == "rank  host\n----  ----\n3        a\n")
  }

  @Test func cellsCannotMoveTheCursor() {
    var table = Table(["a", "b"])
    table.add("x\ny", "\u{1B}[2J")
    #expect(table.text().hasSuffix("x y  \u{FFFD}[2J\n"))
  }
}
