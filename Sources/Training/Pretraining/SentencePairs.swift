internal import Datasets
internal import Failures
internal import Randomness
internal import Tokenization

/// Pairs of segments for next-sentence prediction, other ones in each epoch: a pure function of seed and epoch.
///
/// A document is a run of lines between blank ones, a sentence a line. Documents are cut once into chunks of sentences
/// that fill a text; a chunk is then cut in two at random, or its beginning is paired with the beginning of a sentence of
/// another document.
/// - SeeAlso: Devlin et al.: *BERT*, 2019, §3.1 and appendix A.2.
struct SentencePairs {
  /// Token ids of all sentences end to end, without special tokens, and where each begins.
  private let ids: [Int32]
  private let starts: [Int]
  /// Sentences of each document, and of each chunk.
  private let documents: [Range<Int>]
  private let chunks: [(sentences: Range<Int>, document: Int)]
  private let room: Int
  private let frame: (classifier: Int32, separator: Int32)
  private let generator: Philox

  /// - Parameters:
  ///   - lines: The lines, each with its special tokens around it.
  ///   - tokenizer: Whose special tokens these are.
  ///   - maxLength: The longest text, in tokens.
  ///   - seed: The run's seed.
  ///   - name: What the file is called.
  /// - Throws: `Failure` when there are not two documents.
  init(
    _ lines: EncodedReviews, _ tokenizer: WordPieceTokenizer, maxLength: Int, seed: UInt32, _ name: String
  ) throws {
    guard maxLength >= 5 else {
      throw Failure(.usage, "--max-length is \(maxLength), and a pair of sentences needs 5 or more.")
    }
    var (ids, starts): ([Int32], [Int]) = ([], [0])
    var documents: [Range<Int>] = []
    var first = 0
    for line in 0..<lines.count {
      let own = lines.ids[lines.offsets[line] + 1..<lines.offsets[line + 1] - 1]
      if own.isEmpty {
        if first < starts.count - 1 { documents.append(first..<starts.count - 1) }
        first = starts.count - 1
      } else {
        ids += own
        starts.append(ids.count)
      }
    }
    if first < starts.count - 1 { documents.append(first..<starts.count - 1) }
    guard documents.count >= 2 else {
      throw Failure(
        .badContent,
        "\(name) has \(documents.count) documents, and --next-sentence needs two or more; separate them by blank lines."
      )
    }
    room = maxLength - 3
    (self.ids, self.starts, self.documents) = (ids, starts, documents)
    chunks = SentencePairs.cut(documents, starts, room)
    frame = (tokenizer.classifierID, tokenizer.separatorID)
    generator = Philox(seed: seed, purpose: .sentencePairs)
  }

  /// As many sentences at a time as fill a text.
  private static func cut(
    _ documents: [Range<Int>], _ starts: [Int], _ room: Int
  ) -> [(sentences: Range<Int>, document: Int)] {
    var chunks: [(sentences: Range<Int>, document: Int)] = []
    for (number, document) in documents.enumerated() {
      var first = document.lowerBound
      for sentence in document where starts[sentence + 1] - starts[first] >= room || sentence + 1 == document.upperBound
      {
        chunks.append((first..<sentence + 1, number))
        first = sentence + 1
      }
    }
    return chunks
  }

  /// The examples of an epoch, in the order of the file; label 1 where the second segment does not follow.
  func examples(epoch: Int) -> EncodedReviews {
    var (texts, seconds, labels): ([[Int32]], [Int32], [Int32]) = ([], [], [])
    for (number, chunk) in chunks.enumerated() {
      let draw = { (use: UInt32, bound: Int) in
        generator.index(below: bound, UInt32(truncatingIfNeeded: number), UInt32(epoch), use)
      }
      let sentences = chunk.sentences
      let split = sentences.count == 1 ? 1 : 1 + draw(0, sentences.count - 1)
      let isRandom = sentences.count == 1 || draw(1, 2) == 0
      var a = self[sentences.lowerBound..<sentences.lowerBound + split]
      var b = self[sentences.lowerBound + split..<sentences.upperBound]
      if isRandom {
        let other = documents[(chunk.document + 1 + draw(2, documents.count - 1)) % documents.count]
        let start = other.lowerBound + draw(3, other.count)
        b = self[start..<other.upperBound]
      }
      shorten(&a, &b)
      texts.append([frame.classifier] + a + [frame.separator] + b + [frame.separator])
      seconds.append(Int32(a.count + 2))
      labels.append(isRandom ? 1 : 0)
    }
    return EncodedReviews(reviews: texts, secondSegmentStarts: seconds, labels: labels)
  }

  private subscript(sentences: Range<Int>) -> ArraySlice<Int32> {
    ids[starts[sentences.lowerBound]..<starts[sentences.upperBound]]
  }

  /// Makes two segments fit: the longer one gives way, the first segment's beginning and the second one's end.
  private func shorten(_ a: inout ArraySlice<Int32>, _ b: inout ArraySlice<Int32>) {
    let shorter = min(a.count, b.count)
    // At least one token of each, and what the shorter one leaves for the longer.
    let limit = max(room - shorter, room / 2)
    if a.count + b.count > room {
      if a.count >= b.count {
        a = a.suffix(min(a.count, limit))
        b = b.prefix(room - a.count)
      } else {
        b = b.prefix(min(b.count, limit))
        a = a.suffix(room - b.count)
      }
    }
  }
}
