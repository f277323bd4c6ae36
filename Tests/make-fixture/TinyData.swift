import Demo
import FoundationEssentials

/// Labelled reviews from the demo's grammar, as tables and as JSON lines.
enum TinyData {
  /// The reviews.
  static let corpus = DemoCorpus.generate(seed: 7, trainCount: 150, testCount: 61)

  /// Writes `train` and `test` as `.tsv` and `.jsonl`, and pairs of reviews with three classes.
  static func writeAll(in directory: String) throws {
    for (name, reviews) in [("train", corpus.train), ("test", corpus.test)] {
      try write(DemoCorpus.table(reviews), to: "\(directory)/\(name).tsv")
      try write(try jsonLines(reviews), to: "\(directory)/\(name).jsonl")
      try write(pairs(reviews), to: "\(directory)/\(name) pairs.tsv")
    }
  }

  private struct Line: Encodable {
    let id: Int
    let document: String
    let label: Int32
  }

  private static func jsonLines(_ reviews: [DemoCorpus.Review]) throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = .sortedKeys
    return try reviews.enumerated().map { index, review in
      let line = Line(id: index + 1, document: review.text, label: review.label)
      return String(decoding: try encoder.encode(line), as: UTF8.self) + "\n"
    }.joined()
  }

  /// Each review with the one after it; the class is how many of the two praise.
  private static func pairs(_ reviews: [DemoCorpus.Review]) -> String {
    zip(reviews, reviews.dropFirst()).reduce(into: "first\tsecond\tpraises\n") { table, pair in
      table += "\(pair.0.text)\t\(pair.1.text)\t\(pair.0.label + pair.1.label)\n"
    }
  }

  private static func write(_ text: String, to path: String) throws {
    try Data(text.utf8).write(to: URL(filePath: path))
  }
}
