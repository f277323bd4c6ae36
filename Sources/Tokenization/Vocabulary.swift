import Failures

/// The tokens of a WordPiece vocabulary; a token's id is its place, from 0.
///
/// Tokens are kept as one block of UTF-8, and compared byte by byte: Swift's `String` would take "é" in its
/// two spellings for one token.
package struct Vocabulary: Sendable {
  /// The most tokens a vocabulary may have (the largest published ones have half a million).
  package static let largestCount = 1 << 20

  /// The vocabulary as a file: every token followed by a newline.
  package let bytes: [UInt8]
  /// What messages call the place it came from.
  package let file: String

  /// Where each token begins in ``bytes``, and one place more for the end.
  private let starts: [Int32]
  /// An open-addressing table of ids by token, -1 where free; of equal tokens it holds the last.
  private let index: [Int32]

  /// Reads the bytes of a vocab.txt: one token a line, split at "\n" and nothing else, since a token may be
  /// any other character (U+0085, U+2028, a no-break space).
  ///
  /// Where every line ends in "\r\n" the file is taken for one that was saved on Windows and the "\r" is not
  /// part of the tokens; otherwise it is. A missing newline at the end is supplied. A token that stands twice
  /// has the last of its ids, as in Hugging Face's loader.
  ///
  /// - Parameters:
  ///   - content: The file's bytes.
  ///   - file: What messages call the file.
  /// - Throws: `Failure` (bad content) if it is empty, not UTF-8, or has too many lines.
  package init(_ content: [UInt8], file: String) throws {
    guard !content.isEmpty else {
      throw Failure(.badContent, "\(file): the vocabulary is empty; expected one token per line")
    }
    let newline = UInt8(ascii: "\n")
    let isComplete = content.last == newline
    let lineCount = content.count { $0 == newline } + (isComplete ? 0 : 1)
    guard lineCount <= Self.largestCount, content.count < Int32.max else {
      throw Failure(
        .badContent,
        "\(file): \(lineCount) lines, expected at most \(Self.largestCount); this is not a vocabulary")
    }
    var bytes: [UInt8] = []
    bytes.reserveCapacity(content.count + 1)
    if Self.everyLineEndsWithReturn(content, lineCount: lineCount) {
      for (place, byte) in content.enumerated() {
        let next = place + 1 < content.count ? content[place + 1] : newline
        if byte != UInt8(ascii: "\r") || next != newline { bytes.append(byte) }
      }
    } else {
      bytes += content
    }
    if !isComplete { bytes.append(newline) }
    if let line = Self.firstInvalidLine(bytes) {
      throw Failure(.badContent, "\(file), line \(line): not UTF-8; save the vocabulary as UTF-8 text")
    }
    self.init(lines: bytes, count: lineCount, file: file)
  }

  /// A vocabulary of lines that are known to be right.
  private init(lines bytes: [UInt8], count: Int, file: String) {
    var starts: [Int32] = []
    starts.reserveCapacity(count + 1)
    starts.append(0)
    for (place, byte) in bytes.enumerated() where byte == UInt8(ascii: "\n") {
      starts.append(Int32(place + 1))
    }
    var size = 16
    while size < count * 2 { size *= 2 }
    var index = [Int32](repeating: -1, count: size)
    for id in 0..<count {
      let token = bytes[Int(starts[id])..<(Int(starts[id + 1]) - 1)]
      var place = Self.hash(token) & (size - 1)
      while index[place] >= 0 {
        let other = Int(index[place])
        if bytes[Int(starts[other])..<(Int(starts[other + 1]) - 1)].elementsEqual(token) { break }
        place = (place + 1) & (size - 1)
      }
      index[place] = Int32(id)
    }
    self.bytes = bytes
    self.file = file
    self.starts = starts
    self.index = index
  }

  /// How many tokens there are.
  package var count: Int { starts.count - 1 }

  /// The UTF-8 of a token whose id is in `0..<count`.
  package func bytes(of id: Int32) -> ArraySlice<UInt8> {
    bytes[Int(starts[Int(id)])..<(Int(starts[Int(id) + 1]) - 1)]
  }

  /// A token as text, or nil if there is no such id.
  package func token(_ id: Int32) -> String? {
    guard id >= 0, id < count else { return nil }
    return String(decoding: bytes(of: id), as: UTF8.self)
  }

  /// The id of a token, or nil if the vocabulary does not have it.
  package func id(of token: String) -> Int32? { id(of: Array(token.utf8)[...]) }

  /// The id of a token given in UTF-8.
  package func id(of token: ArraySlice<UInt8>) -> Int32? {
    var place = Self.hash(token) & (index.count - 1)
    while index[place] >= 0 {
      if bytes(of: index[place]).elementsEqual(token) { return index[place] }
      place = (place + 1) & (index.count - 1)
    }
    return nil
  }

  /// A token that stands twice, and the first and last of its places; nil where each stands once.
  package var firstRepeated: (token: String, first: Int32, last: Int32)? {
    for place in 0..<Int32(countOfNamed) {
      if let last = id(of: bytes(of: place)), last != place { return (token(place) ?? "", place, last) }
    }
    return nil
  }

  /// How many tokens there are without the empty ones at the end.
  package var countOfNamed: Int {
    var named = count
    while named > 0, bytes(of: Int32(named - 1)).isEmpty { named -= 1 }
    return named
  }

  /// Whether a token goes on a word: "##" and something behind it.
  package func isContinuation(_ id: Int32) -> Bool {
    let token = bytes(of: id)
    return token.count > 2 && token.starts(with: [UInt8(ascii: "#"), UInt8(ascii: "#")])
  }

  /// Makes sure that this is no vocabulary of SentencePiece: there "▁" opens a word and nothing marks a piece that goes
  /// on one, so that WordPiece would find hardly a word in it and make all others unknown.
  ///
  /// - Throws: `Failure` (bad content) that quotes one of its pieces.
  package func requireWordPieces() throws {
    let mark = Array("▁".utf8)
    var piece: Int32?
    for id in 0..<Int32(count) {
      if isContinuation(id) { return }
      let token = bytes(of: id)
      if piece == nil, token.count > mark.count, token.starts(with: mark) { piece = id }
    }
    guard let piece else { return }
    throw Failure(
      .badContent,
      "\(file), line \(piece + 1): “\(token(piece) ?? "")” is a piece of SentencePiece and no token begins with ##, "
        + "expected a vocabulary of WordPiece; use a model that has one")
  }

  /// How many tokens have letters that lower-casing changes; those in brackets, as `[CLS]`, do not count.
  var countOfCased: Int {
    var cased = 0
    for id in 0..<Int32(count) {
      let token = bytes(of: id)
      if token.first == UInt8(ascii: "["), token.last == UInt8(ascii: "]") { continue }
      let isCased = String(decoding: token, as: UTF8.self).unicodeScalars.contains {
        $0.properties.changesWhenLowercased
      }
      if isCased { cased += 1 }
    }
    return cased
  }

  /// The vocabulary with more tokens at its end.
  ///
  /// - Throws: `Failure` (bad content) where a token contains a newline or there are too many.
  package func appending(_ tokens: [String]) throws -> Vocabulary {
    if let token = tokens.first(where: { $0.utf8.contains(UInt8(ascii: "\n")) }) {
      throw Failure(.badContent, "\(file): the added token “\(token)” contains a newline; expected one line")
    }
    return try Vocabulary(bytes + tokens.flatMap { Array($0.utf8) + [UInt8(ascii: "\n")] }, file: file)
  }

  // MARK: Bytes

  /// FNV-1a.
  private static func hash(_ token: ArraySlice<UInt8>) -> Int {
    var hash: UInt64 = 0xCBF2_9CE4_8422_2325
    for byte in token { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
    return Int(truncatingIfNeeded: hash ^ hash >> 32)
  }

  /// Whether all lines end as on Windows; the last one may not end at all.
  private static func everyLineEndsWithReturn(_ content: [UInt8], lineCount: Int) -> Bool {
    var count = 0
    for place in content.indices where content[place] == UInt8(ascii: "\r") {
      if place + 1 == content.count || content[place + 1] == UInt8(ascii: "\n") { count += 1 }
    }
    let isOpen = content.last != UInt8(ascii: "\n") && content.last != UInt8(ascii: "\r")
    return lineCount > 1 ? count + (isOpen ? 1 : 0) == lineCount : count == lineCount
  }

  /// The number, from 1, of the first line that is not UTF-8.
  private static func firstInvalidLine(_ bytes: [UInt8]) -> Int? {
    if (try? UTF8Span(validating: bytes.span)) != nil { return nil }
    let lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
    return lines.firstIndex { String(validating: $0, as: UTF8.self) == nil }.map { $0 + 1 }
  }
}

extension Vocabulary: Equatable {
  /// Whether two vocabularies have the same tokens in the same places, wherever they come from.
  package static func == (one: Vocabulary, other: Vocabulary) -> Bool { one.bytes == other.bytes }
}
