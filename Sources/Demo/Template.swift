/// A pattern of reviews: words with slots.
///
/// `<P.past>` is a predicate of the polarity that the review has, `<X.past>` one of the other; `{이}` is the particle's
/// form that fits what stands before it.
struct Template: Sendable {
  /// A piece of a pattern.
  enum Piece: Sendable {
    case literal(String)
    case slot(String)
    case particle(String)
  }

  /// How often it is chosen, relative to others.
  let weight: Int
  /// The polarity to which it is restricted.
  let only: Polarity?
  let pieces: [Piece]

  init(_ weight: Int, _ pattern: String, only: Polarity? = nil) {
    self.weight = weight
    self.only = only
    var pieces: [Piece] = []
    var rest = Substring(pattern)
    while let open = rest.first {
      let isSlot = open == "<"
      if isSlot || open == "{" {
        let close = rest.firstIndex(of: isSlot ? ">" : "}") ?? rest.endIndex
        let name = String(rest[..<close].dropFirst())
        pieces.append(isSlot ? .slot(name) : .particle(name))
        rest = rest[close...].dropFirst()
      } else {
        let literal = rest.prefix { $0 != "<" && $0 != "{" }
        pieces.append(.literal(String(literal)))
        rest = rest.dropFirst(literal.count)
      }
    }
    self.pieces = pieces
  }
}

extension Template {
  /// One way only: what is said of the film is what the words say.
  static let plain: [Template] = [
    Template(14, "<topic>{이} <adverb><P.past><end>"),
    Template(8, "<topic>{이} <P.past>고 <topic>도 <P.past><end>"),
    Template(8, "<adverb><P.adnominal> <film>{였}<end>"),
    Template(4, "<P.stem>고 <P.adnominal> <film>{였}<end>"),
    Template(3, "<P.adnominal> <topic>에 <P.adnominal> <topic>"),
    Template(3, "<topic>부터 <topic>까지 <adverb><P.past><end>"),
    Template(6, "<P.tail><end>"),
  ]

  /// The opposite of what the words say; some the other way round, with nearly the same words.
  static let negated: [Template] = [
    Template(7, "<topic>{이} <notAtAll><X.stem>지 않았<end>"),
    Template(7, "<topic>{이} <notAtAll>안 <X.past><end>"),
    Template(6, "<X.adnominal> <film>{은} 아니었<end>"),
    Template(3, "<X.prospective> 줄 알았는데 아니었<end>"),
    Template(3, "<P.prospective> 줄 알았는데 역시 그랬<end>"),
    Template(2, "<X.prospective> 틈이 없었<end>"),
    Template(1, "<X.quoted>고는 할 수 없었<end>"),
    Template(1, "<P.stem>지 않은 <topic>{이} 없었<end>"),
    Template(1, "누가 <X.quoted>고 했나요?"),
    Template(1, "이게 어떻게 <X.adnominal> <film>인가요?"),
    Template(1, "퍽이나 <X.adnominal> <film>{였}<end>", only: .negative),
    Template(2, "와 정말 <X.adnominal> <film>{였}<end> <P.tail><end>", only: .negative),
    Template(2, "정말 <X.adnominal> <film>인 줄 알았는데 <P.tail><end>", only: .positive),
  ]

  /// Both ways; one clause decides, and it is not always the last.
  static let contrasted: [Template] = [
    Template(6, "<topic>{은} <X.past><end><stop><but> <topic>{은} <P.past><end>"),
    Template(4, "<topic>{은} <X.past>지만 <topic>{은} <P.past><end>"),
    Template(3, "<topic>{은} <X.past>는데 <topic>{이} <adverb><P.past><end>"),
    Template(5, "<topic>{이} <P.past><end><stop>물론 <topic>{은} <X.stem>긴 했지만"),
    Template(1, "<topic>{은} <P.past><end><stop><but> <topic>{은} <X.past><end><stop>그래도 결국 <P.past><end>"),
    Template(3, "처음에는 <X.past>는데 갈수록 <adverb><P.past><end>"),
    Template(2, "갈수록 <P.past><end><stop>처음에는 <X.past>는데"),
  ]

  /// Both ways; who or what is meant decides.
  static let bound: [Template] = [
    Template(4, "<X.adnominal> <film>{이} 아니라 <P.adnominal> <film>{였}<end>"),
    Template(3, "전편은 <X.past>는데 이번 편은 <P.past><end>"),
    Template(3, "이번 편은 <P.past>는데 전편은 <X.past><end>"),
    Template(2, "<other>보다 <this>{이} <adverb>나았<end>", only: .positive),
    Template(2, "<this>보다 <other>{이} <adverb>나았<end>", only: .negative),
    Template(2, "남들은 <X.quoted>는데 내게는 <P.past><end>"),
    Template(2, "내게는 <P.past>는데 남들은 <X.quoted>고 했<end>"),
    Template(2, "<P.noun>{을} 원하면 보고 <X.noun>{을} 원하면 보지 마세요"),
    Template(2, "<X.noun>{을} 원하면 보지 말고 <P.noun>{을} 원하면 보세요"),
    Template(3, "<X.noun>{은} 없고 <P.noun>만 있었<end>"),
    Template(2, "<P.noun>{은} 있고 <X.noun>{은} 없었<end>"),
  ]

  /// All patterns of judgements.
  static let judgements = plain + negated + contrasted + bound

  /// What sums up; only in texts without labels, where it ties words to what the whole says.
  static let verdicts: [Template] = [
    Template(1, "그래서 추천했<end>", only: .positive), Template(1, "그래서 추천을 못 했<end>", only: .negative),
    Template(1, "별점은 다섯 개를 줬<end>", only: .positive), Template(1, "별점은 한 개를 줬<end>", only: .negative),
    Template(1, "결국 잘 봤<end>", only: .positive), Template(1, "결국 잘못 봤<end>", only: .negative),
  ]
}

extension [Template] {
  /// One of the templates for a polarity, by weight.
  func pick(_ draws: inout Draws, _ polarity: Polarity) -> Template {
    let candidates = filter { $0.only == nil || $0.only == polarity }
    var ticket = draws.index(below: candidates.reduce(0) { $0 + $1.weight })
    for candidate in candidates {
      ticket -= candidate.weight
      if ticket < 0 { return candidate }
    }
    preconditionFailure("weights do not add up")
  }
}
