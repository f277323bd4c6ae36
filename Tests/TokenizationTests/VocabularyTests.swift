import Failures
import Testing
import Tokenization

/// Reading a vocab.txt.
@Suite struct VocabularyTests {
  func read(_ text: String) throws -> Vocabulary { try Vocabulary(Array(text.utf8), file: "some/vocab.txt") }

  @Test func idsAreLineNumbers() throws {
    let words = try read("[PAD]\n가\n##나\n")
    #expect(words.count == 3)
    #expect(words.token(1) == "가")
    #expect(words.id(of: "##나") == 2)
    #expect(words.id(of: "나") == nil)
    #expect(words.token(3) == nil)
    #expect(words.token(-1) == nil)
  }

  @Test func roundTrip() throws {
    let text = "[PAD]\n\u{85}\n\u{2028}\n\u{A0}\n\n a \n\u{1F600}\n"
    let words = try read(text)
    #expect(words.count == 7)
    #expect(words.bytes == Array(text.utf8))
    #expect(words.token(4) == "")
    #expect(words.token(5) == " a ")
    #expect(try Vocabulary(words.bytes, file: "") == words)
  }

  @Test func theLastNewlineMayBeMissing() throws {
    #expect(try read("a\nb").bytes == Array("a\nb\n".utf8))
    #expect(try read("a\nb") == read("a\nb\n"))
    #expect(try read("a\nb\n\n").count == 3)
    #expect(try read("\n").count == 1)
  }

  @Test func aFileOfWindowsLinesIsTolerated() throws {
    #expect(try read("a\r\nb\r\n") == read("a\nb\n"))
    #expect(try read("a\r\nb\r") == read("a\nb\n"))
    #expect(try read("a\rb\r\nc\r\n").token(0) == "a\rb")
    // One line without: then it is part of the tokens.
    #expect(try read("a\r\nb\n").token(0) == "a\r")
    // The last line may not end at all.
    #expect(try read("a\r\nb") == read("a\nb\n"))
    #expect(try read("a\rb").token(0) == "a\rb")
  }

  @Test func emptyLinesAtTheEnd() throws {
    #expect(try read("a\nb\n\n\n").countOfNamed == 2)
    #expect(try read("a\n\nb\n").countOfNamed == 3)
    #expect(try read("\n").countOfNamed == 0)
  }

  @Test func equalTokens() throws {
    let words = try read("a\nb\na\n\n\n")
    #expect(words.id(of: "a") == 2)
    #expect(words.token(0) == "a")
    #expect(words.id(of: "") == 4)
    #expect(try read("\u{E9}\ne\u{301}\n").id(of: "\u{E9}") == 0)
  }

  @Test func continuations() throws {
    let words = try read("a\n##a\n##\n#\n###\n")
    #expect((0..<5).map { words.isContinuation($0) } == [false, true, false, false, true])
  }

  @Test func manyTokens() throws {
    let words = try read((0..<3000).map { "t\($0)\n" }.joined())
    #expect((0..<3000).allSatisfy { words.id(of: "t\($0)") == Int32($0) })
    #expect(words.id(of: "t3000") == nil)
  }

  @Test func appending() throws {
    let words = try read("a\n").appending(["b", "c d"])
    #expect(words.bytes == Array("a\nb\nc d\n".utf8))
    expectFailure(.badContent, "newline") { _ = try words.appending(["x\ny"]) }
  }

  @Test func badFiles() throws {
    expectFailure(.badContent, "some/vocab.txt", "empty") { _ = try read("") }
    expectFailure(.badContent, "v, line 2", "UTF-8") {
      _ = try Vocabulary([0x61, 0x0A, 0x62, 0xFF, 0x0A, 0xFF], file: "v")
    }
    let newlines = [UInt8](repeating: 0x0A, count: Vocabulary.largestCount + 1)
    expectFailure(.badContent, "1048577", "1048576") { _ = try Vocabulary(newlines, file: "v") }
    #expect(try Vocabulary(Array(newlines.dropLast()), file: "v").count == Vocabulary.largestCount)
  }
}
