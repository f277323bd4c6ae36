import Failures

/// Which of two texts gives way when a pair is too long for a sequence; the names are Hugging Face's.
package enum Truncation: String, Codable, Sendable, CaseIterable {
  /// The longer one; where both are long they share the room evenly.
  case longestFirst = "longest_first"
  /// Only the first.
  case onlyFirst = "only_first"
  /// Only the second.
  case onlySecond = "only_second"

  /// How many tokens of each text stay.
  ///
  /// - Parameters:
  ///   - first: Tokens of the first text.
  ///   - second: Tokens of the second text.
  ///   - room: How many fit together.
  /// - Returns: The lengths that stay, at most `room` together.
  /// - Throws: `Failure` (bad content) where the one text that may give way is too short for that.
  func lengths(_ first: Int, _ second: Int, room: Int) throws -> (first: Int, second: Int) {
    let excess = first + second - room
    guard excess > 0 else { return (first, second) }
    switch self {
    case .longestFirst:
      let shared = Self.share(shorter: min(first, second), room: room)
      return first > second ? (shared.longer, shared.shorter) : (shared.shorter, shared.longer)
    case .onlyFirst where first > excess:
      return (first - excess, second)
    case .onlySecond where second > excess:
      return (first, second - excess)
    case .onlyFirst, .onlySecond:
      throw Failure(
        .badContent,
        "a pair of texts has \(first) and \(second) tokens where \(room) fit, and with \(rawValue) only "
          + "\(self == .onlyFirst ? "the first" : "the second") may be cut, which is too short for that; "
          + "use longest_first or a larger maximum length")
    }
  }

  /// Shares room between two texts that do not both fit.
  private static func share(shorter: Int, room: Int) -> (shorter: Int, longer: Int) {
    let longer = max(shorter, room - shorter)
    return shorter + longer > room ? (room / 2, room / 2 + room % 2) : (shorter, longer)
  }
}

extension WordPieceTokenizer {
  /// Appends `[CLS] first [SEP] second [SEP]`, cut from the right to fit, and the segment of each token.
  ///
  /// - Parameters:
  ///   - first: UTF-8 of the first text.
  ///   - second: UTF-8 of the second text.
  ///   - maxLength: The most tokens, special ones included; the three are there even if it is less than 3.
  ///   - truncation: Which text gives way.
  ///   - ids: Where the tokens go.
  ///   - tokenTypeIDs: Where segments go: 0 up to the first `[SEP]`, 1 after it.
  /// - Throws: `Failure` (bad content) where only one text may give way and is too short; nothing is appended.
  package func encode(
    _ first: Span<UInt8>, _ second: Span<UInt8>, maxLength: Int, truncation: Truncation = .longestFirst,
    to ids: inout [Int32], tokenTypeIDs: inout [Int32]
  ) throws {
    let start = ids.count
    ids.append(classifierID)
    appendTokens(of: first, to: &ids)
    let firstLength = ids.count - start - 1
    appendTokens(of: second, to: &ids)
    let secondLength = ids.count - start - 1 - firstLength
    let kept: (first: Int, second: Int)
    do {
      kept = try truncation.lengths(firstLength, secondLength, room: max(maxLength, 3) - 3)
    } catch {
      ids.removeLast(ids.count - start)
      throw error
    }
    ids.removeLast(secondLength - kept.second)
    let border = start + 1 + kept.first
    ids.replaceSubrange(border..<(start + 1 + firstLength), with: CollectionOfOne(separatorID))
    ids.append(separatorID)
    tokenTypeIDs.append(contentsOf: repeatElement(0, count: kept.first + 2))
    tokenTypeIDs.append(contentsOf: repeatElement(1, count: kept.second + 1))
  }

  /// The ids and segments of `[CLS] first [SEP] second [SEP]`, cut from the right to fit.
  ///
  /// - Throws: `Failure` (bad content) where only one text may give way and is too short.
  package func encode(
    _ first: String, _ second: String, maxLength: Int = .max, truncation: Truncation = .longestFirst
  ) throws -> (ids: [Int32], tokenTypeIDs: [Int32]) {
    var ids: [Int32] = []
    var types: [Int32] = []
    try encode(
      Array(first.utf8).span, Array(second.utf8).span, maxLength: maxLength, truncation: truncation, to: &ids,
      tokenTypeIDs: &types)
    return (ids, types)
  }
}
