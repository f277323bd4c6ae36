/// The demo's own WordPiece vocabulary: made from the grammar, so that no text it can write has an unknown word.
///
/// It depends on no seed. Words come whole and every syllable that the grammar can write comes both as the beginning of a
/// word and as a continuation, so misspellings and forgotten spaces are covered too.
package enum DemoVocabulary {
  /// The entries in order; an entry's place is its identifier.
  package static let entries: [String] = {
    var entries: [String] = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    var known = Set(entries)
    func add(_ candidates: [String]) {
      for entry in candidates where known.insert(entry).inserted { entries.append(entry) }
    }
    let syllables = grammarScalars
    add(punctuation)
    add(syllables)
    add(syllables.map { "##" + $0 })
    add(roots + words)
    add(["ㅋㅋ", "ㅋㅋㅋ", "ㅎㅎ", "ㅠㅠ", "##ㅋㅋ", "##ㅋㅋㅋ", "##ㅎㅎ", "##ㅠㅠ"])
    add(continuations)
    return entries
  }()

  /// The content of a `vocab.txt`: one entry per line.
  package static var fileContent: String { entries.joined(separator: "\n") + "\n" }

  private static let punctuation = [".", "!", "?", "~"]

  /// What stands in front of endings: the beginning that all forms of a predicate share, or else each form.
  private static var roots: [String] {
    Polarity.allCases.flatMap(Lexicon.predicates).flatMap { predicate -> [String] in
      let forms = [predicate.stem, predicate.past, predicate.adnominal, predicate.prospective]
      let shared = forms.reduce(predicate.stem) { $0.commonPrefix(with: $1) }
      return shared.count > 1 ? [shared] : forms
    }
  }

  /// Words of more than one syllable that the grammar writes with spaces around them.
  private static var words: [String] {
    phrases.flatMap { $0.split(separator: " ").map(String.init) }.filter { word in
      word.count > 1 && word.unicodeScalars.allSatisfy(\.properties.isAlphabetic)
    }
  }

  /// Everything that the grammar writes as it stands.
  private static var phrases: [String] {
    let judging = Polarity.allCases.flatMap { Lexicon.nouns($0) + Lexicon.tails($0) }
    return Lexicon.topics + Lexicon.films + Lexicon.these + Lexicon.others + Lexicon.adverbs
      + Lexicon.notAtAll
      + judging + Lexicon.buts + Lexicon.fillers
      + (Template.judgements + Template.verdicts).flatMap(\.literals)
  }

  /// Endings of more than one syllable.
  private static var continuations: [String] {
    let endings =
      Lexicon.endings + ["지만", "는데", "지는", "다고", "다는", "다길래", "긴", "적이", "적인", "스러", "부터", "까지", "보다"]
    return endings.filter { $0.count > 1 }.map { "##" + $0 }
  }

  /// Every letter that the grammar can write, in code-point order.
  private static var grammarScalars: [String] {
    var scalars = Set<Unicode.Scalar>()
    let predicates = Polarity.allCases.flatMap(Lexicon.predicates).flatMap {
      [$0.stem, $0.past, $0.adnominal, $0.prospective, $0.quoted]
    }
    let particles = Hangul.particles.values.flatMap { [$0.closed, $0.open] }
    let texts = predicates + particles + phrases + Lexicon.endings + Lexicon.stops + Lexicon.closings
    for scalar in texts.joined().unicodeScalars where scalar.properties.isAlphabetic {
      scalars.insert(scalar)
      if let misspelled = Hangul.misspelled(scalar) { scalars.insert(misspelled) }
    }
    return scalars.sorted().map { String($0) }
  }
}

extension Template {
  /// The words between the slots.
  var literals: [String] {
    pieces.compactMap { if case .literal(let text) = $0 { text } else { nil } }
  }
}

extension String {
  /// The beginning that two strings share.
  fileprivate func commonPrefix(with other: String) -> String {
    String(zip(self, other).prefix { $0 == $1 }.map(\.0))
  }
}
