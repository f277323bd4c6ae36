internal import Randomness

/// Short Korean film reviews made up by a grammar, in two classes, for trying the program without any data.
///
/// What decides is who says what of which film and in which order: words of both polarities occur in reviews of both
/// classes, negated, contrasted, quoted, compared. A model that looks at words alone is clearly worse than one that reads.
package enum DemoCorpus {
  /// A made-up review.
  package struct Review: Sendable, Equatable {
    /// What it says.
    package let text: String
    /// 1 when the film is praised, 0 when it is not.
    package let label: Int32
  }

  /// Training and test reviews; no text occurs twice, and each class has half of each part.
  ///
  /// - Parameters:
  ///   - seed: Other seeds give other reviews.
  ///   - trainCount: How many to train on.
  ///   - testCount: How many to test on.
  /// - Returns: The two parts, in shuffled order of classes.
  package static func generate(
    seed: UInt32 = 1, trainCount: Int = 2000, testCount: Int = 500
  ) -> (train: [Review], test: [Review]) {
    var seen = Set<String>()
    let train = reviews(seed: seed, site: 0, count: trainCount, seen: &seen)
    let test = reviews(seed: seed, site: 1, count: testCount, seen: &seen)
    return (train, test)
  }

  /// Longer texts without labels by the same grammar, for pre-training; no text occurs twice.
  ///
  /// - Parameters:
  ///   - seed: Other seeds give other texts.
  ///   - count: How many.
  ///   - excluded: Reviews whose texts must not be among them: those of the test part.
  /// - Returns: The texts.
  package static func unlabelled(seed: UInt32 = 1, count: Int, excluding excluded: [Review] = []) -> [String] {
    let generator = Philox(seed: seed, purpose: .demo, site: 2)
    var seen = Set(excluded.map(\.text))
    return (0..<count).map { index in
      distinct(&seen, generator, text: index) { draws in
        let polarity: Polarity = draws.happens(percent: 50) ? .positive : .negative
        var writer = ReviewWriter(draws, polarity: polarity)
        return writer.essay()
      }
    }
  }

  /// Reviews as a table with the header `id document label`, as NSMC has them.
  package static func table(_ reviews: [Review]) -> String {
    var table = "id\tdocument\tlabel\n"
    for (index, review) in reviews.enumerated() { table += "\(index + 1)\t\(review.text)\t\(review.label)\n" }
    return table
  }

  private static func reviews(seed: UInt32, site: UInt32, count: Int, seen: inout Set<String>) -> [Review] {
    let generator = Philox(seed: seed, purpose: .demo, site: site)
    return (0..<count).map { index in
      // Of each pair of reviews one praises, and a coin says which: balanced, and the same for any count.
      let coin = generator.index(below: 2, UInt32(index / 2), .max)
      let polarity: Polarity = (index + coin) % 2 == 0 ? .negative : .positive
      let text = distinct(&seen, generator, text: index) { draws in
        var writer = ReviewWriter(draws, polarity: polarity)
        return writer.review()
      }
      return Review(text: text, label: Int32(polarity.rawValue))
    }
  }

  /// Writes a text again, with other choices, until it is one that has not been seen.
  private static func distinct(
    _ seen: inout Set<String>, _ generator: Philox, text index: Int, write: (inout Draws) -> String
  ) -> String {
    var attempt = 0
    while true {
      var draws = Draws(generator, text: index, attempt: attempt)
      let text = write(&draws)
      if seen.insert(text).inserted { return text }
      attempt += 1
    }
  }
}
