/// Writes one text: fills the slots of templates, adds what judges nothing, and spoils the spelling now and then.
struct ReviewWriter {
  private var draws: Draws
  private let polarity: Polarity
  private let ending: String
  private var used: [String] = []

  init(_ draws: Draws, polarity: Polarity) {
    self.draws = draws
    self.polarity = polarity
    ending = self.draws.pick(Lexicon.endings)
  }

  /// A review with one judgement.
  mutating func review() -> String {
    var text = ""
    if draws.happens(percent: 30) { text = filler() + stop() }
    text += filled(Template.judgements.pick(&draws, polarity))
    if draws.happens(percent: 12) { text += stop(after: text) + filler() }
    return spoiled(text + closing(after: text))
  }

  /// A longer text: one to three judgements that agree, and sometimes what sums them up.
  mutating func essay() -> String {
    var sentences: [String] = []
    if draws.happens(percent: 20) { sentences.append(filler()) }
    for _ in 0...draws.index(below: 3) {
      sentences.append(filled(Template.judgements.pick(&draws, polarity)))
    }
    if draws.happens(percent: 50) { sentences.append(filled(Template.verdicts.pick(&draws, polarity))) }
    var text = ""
    for sentence in sentences { text += (text.isEmpty ? "" : stop(after: text)) + sentence }
    return spoiled(text + closing(after: text))
  }

  /// A template with its slots filled.
  private mutating func filled(_ template: Template) -> String {
    var text = ""
    for piece in template.pieces {
      switch piece {
      case .literal(let literal): text += literal
      case .particle(let name): text += Hangul.particle(name, after: text)
      case .slot(let name): text += fill(name)
      }
    }
    return text
  }

  private mutating func fill(_ slot: String) -> String {
    switch slot {
    case "topic": return unused(Lexicon.topics, \.self)
    case "film": return draws.pick(Lexicon.films)
    case "this": return draws.pick(Lexicon.these)
    case "other": return draws.pick(Lexicon.others)
    case "but": return draws.pick(Lexicon.buts)
    case "end": return ending
    case "stop": return stop()
    case "adverb": return draws.happens(percent: 60) ? draws.pick(Lexicon.adverbs) + " " : ""
    case "notAtAll": return draws.happens(percent: 40) ? draws.pick(Lexicon.notAtAll) + " " : ""
    default: return judging(slot)
    }
  }

  /// A slot that depends on the polarity: `P.` is the review's, `X.` the other.
  private mutating func judging(_ slot: String) -> String {
    let side = slot.hasPrefix("P.") ? polarity : polarity.opposite
    let form = slot.dropFirst(2)
    if form == "tail" { return draws.pick(Lexicon.tails(side)) }
    if form == "noun" { return draws.pick(Lexicon.nouns(side)) }
    let predicate = unused(Lexicon.predicates(side), \.stem)
    switch form {
    case "stem": return predicate.stem
    case "past": return predicate.past
    case "adnominal": return predicate.adnominal
    case "prospective": return predicate.prospective
    case "quoted": return predicate.quoted
    default: preconditionFailure("no slot is called \(slot)")
    }
  }

  /// An element of a list whose word this review has not used yet.
  private mutating func unused<T>(_ list: [T], _ word: KeyPath<T, String>) -> T {
    let chosen = draws.pick(list.filter { !used.contains($0[keyPath: word]) })
    used.append(chosen[keyPath: word])
    return chosen
  }

  private mutating func filler() -> String { unused(Lexicon.fillers, \.self) + ending }

  private mutating func stop(after text: String = "") -> String { mark(Lexicon.stops, after: text) + " " }

  private mutating func closing(after text: String) -> String { mark(Lexicon.closings, after: text) }

  /// A mark, unless the text already ends in one.
  private mutating func mark(_ marks: [String], after text: String) -> String {
    let mark = draws.pick(marks)
    return text.hasSuffix("?") && !mark.hasPrefix(" ") ? "" : mark
  }

  /// Misspells a syllable or forgets a space.
  private mutating func spoiled(_ text: String) -> String {
    var scalars = Array(text.unicodeScalars)
    if draws.happens(percent: 8) {
      let places = scalars.indices.filter { Hangul.misspelled(scalars[$0]) != nil }
      if !places.isEmpty {
        let place = draws.pick(places)
        scalars[place] = Hangul.misspelled(scalars[place]) ?? scalars[place]
      }
    }
    if draws.happens(percent: 8) {
      let places = scalars.indices.filter { scalars[$0] == " " }
      if !places.isEmpty { scalars.remove(at: draws.pick(places)) }
    }
    var view = String.UnicodeScalarView()
    view.append(contentsOf: scalars)
    return String(view)
  }
}
