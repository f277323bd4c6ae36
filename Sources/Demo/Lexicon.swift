/// What a review says of its film.
enum Polarity: Int, CaseIterable, Sendable {
  case negative = 0
  case positive = 1

  var opposite: Polarity { self == .negative ? .positive : .negative }
}

/// A judging predicate in the four forms that endings attach to.
struct Predicate: Sendable {
  /// Before `지`, `고`, `긴`: 지루하.
  let stem: String
  /// Before past endings: 지루했.
  let past: String
  /// Before a noun: 지루한.
  let adnominal: String
  /// Before `줄`, `틈`: 지루할.
  let prospective: String

  /// Before `고`, `는`, `길래` of reported speech: 지루하다, but 감동적이라.
  var quoted: String { stem + (stem.hasSuffix("적이") ? "라" : "다") }

  init(_ stem: String, _ past: String, _ adnominal: String, _ prospective: String) {
    self.stem = stem
    self.past = past
    self.adnominal = adnominal
    self.prospective = prospective
  }

  /// A predicate in 하다: 지루.
  static func ha(_ root: String) -> Predicate {
    Predicate(root + "하", root + "했", root + "한", root + "할")
  }

  /// A predicate in 적이다: 감동.
  static func jeok(_ root: String) -> Predicate {
    Predicate(root + "적이", root + "적이었", root + "적인", root + "적일")
  }

  /// A predicate in 스럽다: 자연.
  static func seureop(_ root: String) -> Predicate {
    Predicate(root + "스럽", root + "스러웠", root + "스러운", root + "스러울")
  }

  /// A predicate in 있다 or 없다: 재미있.
  static func it(_ root: String) -> Predicate {
    Predicate(root, root + "었", root + "는", root + "을")
  }
}

/// The words that reviews are made of.
enum Lexicon {
  static func predicates(_ polarity: Polarity) -> [Predicate] {
    polarity == .positive ? positivePredicates : negativePredicates
  }

  /// Clauses that judge by what happened; past endings attach.
  static func tails(_ polarity: Polarity) -> [String] {
    polarity == .positive
      ? ["눈물이 났", "시간이 금방 갔", "또 보고 싶었", "자리를 못 떴", "박수를 쳤", "돈이 안 아까웠"]
      : ["하품만 났", "중간에 나갔", "시계만 봤", "잠이 들었", "괜히 봤", "돈이 아까웠"]
  }

  /// What a film offers.
  static func nouns(_ polarity: Polarity) -> [String] {
    polarity == .positive ? ["재미", "감동", "웃음", "긴장감", "여운"] : ["잠", "하품", "짜증", "허세", "두통"]
  }

  private static let positivePredicates: [Predicate] = [
    .it("재미있"), Predicate("좋", "좋았", "좋은", "좋을"), Predicate("멋지", "멋졌", "멋진", "멋질"),
    Predicate("흥미롭", "흥미로웠", "흥미로운", "흥미로울"), Predicate("아름답", "아름다웠", "아름다운", "아름다울"),
    Predicate("뛰어나", "뛰어났", "뛰어난", "뛰어날"), .jeok("감동"), .jeok("인상"), .jeok("매력"), .ha("훌륭"), .ha("신선"),
    .ha("완벽"), .ha("탄탄"), .ha("유쾌"), .ha("섬세"), .seureop("자연"),
  ]

  private static let negativePredicates: [Predicate] = [
    .it("재미없"), Predicate("나쁘", "나빴", "나쁜", "나쁠"), Predicate("지겹", "지겨웠", "지겨운", "지겨울"),
    Predicate("어설프", "어설펐", "어설픈", "어설플"), Predicate("아쉽", "아쉬웠", "아쉬운", "아쉬울"), .it("형편없"), .ha("지루"),
    .ha("어색"), .ha("유치"), .ha("엉성"), .ha("뻔"), .ha("허술"), .ha("답답"), .ha("산만"), .ha("식상"), .seureop("억지"),
  ]

  /// What can be judged.
  static let topics = [
    "이야기", "줄거리", "연기", "연출", "결말", "전개", "대사", "음악", "영상", "배우들", "초반", "후반", "액션", "장면", "분위기",
    "설정", "편집", "각본",
  ]

  /// Words for the film.
  static let films = ["영화", "작품", "각본", "이야기"]
  /// The film under review, in comparisons.
  static let these = ["이번 편", "이 영화"]
  /// What it is compared with.
  static let others = ["전편", "원작", "예고편"]
  /// Degrees; they say nothing about which way.
  static let adverbs = ["정말", "너무", "진짜", "꽤", "아주", "무척", "상당히", "생각보다", "의외로", "참"]
  /// Before 안 and 않.
  static let notAtAll = ["전혀", "하나도", "별로"]
  /// Between opposites.
  static let buts = ["하지만", "그런데", "그러나", "다만"]
  /// What follows a past stem; a review keeps to one of them.
  static let endings = ["다", "어요", "음", "네요", "습니다"]
  /// After a sentence inside a review; a space follows.
  static let stops = [".", ".", "", "...", "!", " ㅋㅋ", " ㅎㅎ"]
  /// At the end of a review.
  static let closings = ["", "", "", ".", ".", "!", "!!", "...", "~", " ㅋㅋ", " ㅋㅋㅋ", " ㅠㅠ", " ㅎㅎ"]

  /// Sentences that judge nothing; past endings attach.
  static let fillers = [
    "주말에 친구랑 봤", "어제 극장에서 봤", "개봉 날 보러 갔", "집에서 혼자 봤", "가족들과 함께 봤", "별 기대 없이 봤", "시간이 남아서 봤",
    "포스터만 보고 골랐", "비 오는 날 봤", "동생이 보자고 했", "표를 미리 샀", "두 시간쯤 걸렸",
  ]
}
