import Failures
import Foundation
import Testing
import Tokenization

/// The five special tokens, with ids 0 to 4 in this order.
let specialTokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]

/// A tokenizer over the special tokens and, from id 5, some more.
func tokenizer(
  _ tokens: [String], _ settings: TokenizerSettings = TokenizerSettings(lowercase: false)
) throws -> WordPieceTokenizer {
  try WordPieceTokenizer(vocabulary(specialTokens + tokens), settings)
}

/// A vocabulary of the given lines.
func vocabulary(_ lines: [String]) throws -> Vocabulary {
  try Vocabulary(Array((lines.joined(separator: "\n") + "\n").utf8), file: "vocab.txt")
}

/// The words of a text, their code points joined.
func words(_ text: String, _ settings: TokenizerSettings) -> [String] {
  words(Array(text.utf8), WordSplitter(settings))
}

/// The words of some bytes.
func words(_ bytes: [UInt8], _ splitter: WordSplitter) -> [String] {
  var words: [String] = []
  splitter.forEachWord(of: bytes.span) { scalars in
    var word = String.UnicodeScalarView()
    for place in scalars.indices {
      if let scalar = Unicode.Scalar(scalars[place]) { word.append(scalar) }
    }
    words.append(String(word))
  }
  return words
}

/// Code points of strings, because `==` takes different spellings of a character for equal.
func codePoints(_ strings: [String]) -> [[UInt32]] { strings.map { $0.unicodeScalars.map(\.value) } }

/// Expects a failure of a kind whose sentence contains some words.
func expectFailure(
  _ kind: Failure.Kind, _ fragments: String..., sourceLocation: SourceLocation = #_sourceLocation,
  _ body: () throws -> Void
) {
  do {
    try body()
    Issue.record("nothing was thrown", sourceLocation: sourceLocation)
  } catch let failure as Failure {
    #expect(failure.kind == kind, sourceLocation: sourceLocation)
    for fragment in fragments {
      #expect(failure.message.contains(fragment), "\(failure.message)", sourceLocation: sourceLocation)
    }
  } catch {
    Issue.record(error, sourceLocation: sourceLocation)
  }
}

/// A value written as JSON and read again.
func roundTrip<Value: Codable>(_ value: Value) throws -> Value {
  try JSONDecoder().decode(Value.self, from: JSONEncoder().encode(value))
}
