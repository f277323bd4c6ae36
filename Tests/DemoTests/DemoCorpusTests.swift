import Demo
import Testing

@Suite struct DemoCorpusTests {
  static let corpus = DemoCorpus.generate()

  @Test func hasTheSizesAskedForAndBalancedClasses() {
    let (train, test) = Self.corpus
    #expect(train.count == 2000 && test.count == 500)
    #expect(train.count { $0.label == 1 } == 1000 && train.count { $0.label == 0 } == 1000)
    #expect(test.count { $0.label == 1 } == 250)
    let small = DemoCorpus.generate(seed: 5, trainCount: 7, testCount: 0)
    #expect(small.train.count == 7 && small.test.isEmpty)
  }

  @Test func noTextOccursTwice() {
    let texts = (Self.corpus.train + Self.corpus.test).map(\.text)
    #expect(Set(texts).count == texts.count)
  }

  @Test func isAFunctionOfTheSeed() {
    let again = DemoCorpus.generate()
    let isSame = again.train == Self.corpus.train && again.test == Self.corpus.test
    #expect(isSame)
    let other = DemoCorpus.generate(seed: 2)
    #expect(Set(other.train.map(\.text)).intersection(Self.corpus.train.map(\.text)).count < 200)
    // Larger parts begin with the smaller ones.
    let larger = DemoCorpus.generate(trainCount: 2500).train
    let same = zip(larger, Self.corpus.train).count { $0 == $1 }
    #expect(same == 2000)
  }

  /// The checked-in demo base was made from these texts; they must not change unnoticed.
  @Test func theFirstTextsAreKnown() {
    let known = ["후반이 생각보다 섬세했음.", "각본이 재미없었습니다. 물론 음악은 인상적이긴 했지만.", "결말이 의외로 완벽했습니다."]
    #expect(Self.corpus.train.prefix(3).map(\.text) == known)
    #expect(Self.corpus.train.prefix(3).map(\.label) == [1, 0, 1])
  }

  @Test func classesAreShuffled() {
    let labels = Self.corpus.train.map(\.label)
    let changes = zip(labels, labels.dropFirst()).count { $0 != $1 }
    // Always within a pair and every other time between pairs: 1,000 + 500 ± 16; five deviations.
    #expect(abs(changes - 1500) < 80)
  }

  @Test func textsAreCleanSingleLines() {
    for review in Self.corpus.train {
      #expect(!review.text.contains { "\t\n\r<>{}".contains($0) } && !review.text.contains("  "))
      #expect(review.text.first != " " && review.text.last != " ")
      #expect(review.text.count >= 5 && review.text.count <= 120)
    }
  }

  @Test func tableHasTheHeaderOfNSMC() {
    let reviews = Array(Self.corpus.train.prefix(2))
    let lines = DemoCorpus.table(reviews).split(separator: "\n", omittingEmptySubsequences: false)
    #expect(lines.count == 4 && lines[0] == "id\tdocument\tlabel" && lines[3] == "")
    #expect(lines[1] == "1\t\(reviews[0].text)\t\(reviews[0].label)")
  }

  @Test func unlabelledTextsAreOthers() {
    let texts = DemoCorpus.unlabelled(count: 3000, excluding: Self.corpus.test)
    #expect(Set(texts).count == 3000)
    #expect(Set(texts).isDisjoint(with: Self.corpus.test.map(\.text)))
    let isSame = texts == DemoCorpus.unlabelled(count: 3000, excluding: Self.corpus.test)
    #expect(isSame)
    #expect(texts.count { $0.contains("추천") } > 100 && texts.count { $0.contains("별점") } > 100)
    #expect(!Self.corpus.train.contains { $0.text.contains("추천") || $0.text.contains("별점") })
  }
}

/// What a reader of single words, or of bags of words, could do with the corpus.
@Suite struct DemoDifficultyTests {
  static let corpus = DemoCorpus.generate()

  static func words(_ text: String) -> Set<Substring> { Set(text.split { " .!?~".contains($0) }) }

  /// The best rule of the form "praise if and only if this word occurs (or does not)", chosen on the training part.
  @Test func noSingleWordDecides() {
    var counts: [Substring: [Int]] = [:]
    for review in Self.corpus.train {
      for word in Self.words(review.text) { counts[word, default: [0, 0]][Int(review.label)] += 1 }
    }
    let best = counts.values.map { 1000 + abs($0[1] - $0[0]) }.max() ?? 0
    #expect(best < 1400, "the best single-word rule is right \(best) times of 2,000")
  }

  /// A naive Bayes classifier of bags of words stays far below the 90 % that a small BERT reaches from scratch.
  @Test func wordsAloneAreNotEnough() {
    var counts: [Substring: [Double]] = [:]
    for review in Self.corpus.train {
      for word in Self.words(review.text) { counts[word, default: [1, 1]][Int(review.label)] += 1 }
    }
    let correct = Self.corpus.test.count { review in
      let evidence = Self.words(review.text).compactMap { counts[$0] }.reduce(1) { $0 * ($1[1] / $1[0]) }
      return (evidence > 1) == (review.label == 1)
    }
    #expect(correct < 375, "naive Bayes is right \(correct) times of 500")
    #expect(correct > 275, "naive Bayes is right \(correct) times of 500: words should help a little")
  }
}
