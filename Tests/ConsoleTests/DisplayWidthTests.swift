import Console
import Testing

@Suite struct DisplayWidthTests {
  @Test(arguments: [
    ("", 0), ("epoch 1/4", 9), ("영화", 4), ("재밌다!", 7), ("한a글", 5), ("\u{1112}\u{1161}\u{11AB}", 2),
    ("e\u{301}", 1),
    ("가\u{302E}", 2), ("ㅋㅋㅋ", 6), ("！", 2), ("漢字", 4), ("カタ", 4), ("😀", 2), ("👨‍👩‍👧", 2), ("🇰🇷", 2), ("❤️", 2),
    ("é", 1), ("…", 1),
    ("a\u{200B}b", 2), ("\u{1B}", 0), ("€", 1),
  ])
  func columns(text: String, expected: Int) {
    #expect(text.displayWidth == expected)
  }

  @Test(arguments: [
    ("abcdef", 6, "abcdef"), ("abcdef", 5, "abcd…"), ("영화리뷰", 7, "영화리…"), ("영화리뷰", 6, "영화…"), ("영화", 2, "…"),
    ("영화", 1, "…"), ("영화", 0, ""), ("", 0, ""),
  ])
  func truncated(text: String, columns: Int, expected: String) {
    #expect(text.truncated(toColumns: columns) == expected)
    #expect(text.truncated(toColumns: columns).displayWidth <= columns)
  }

  @Test func paddedByColumnsNotCharacters() {
    #expect("영화".padded(toColumns: 6) == "영화  ")
    #expect("영화".padded(toColumns: 6, trailing: true) == "  영화")
    #expect("영화".padded(toColumns: 3) == "영화")
  }

  @Test(arguments: [
    ("영화 리뷰", "영화 리뷰"), ("a\tb\r\nc", "a b  c"), ("\u{1B}[2J", "\u{FFFD}[2J"), ("a\u{202E}b", "a\u{FFFD}b"),
    ("\u{9B}2J", "\u{FFFD}2J"), ("👨‍👩‍👧", "👨‍👩‍👧"),
  ])
  func printable(text: String, expected: String) {
    #expect(text.printable == expected)
  }
}
