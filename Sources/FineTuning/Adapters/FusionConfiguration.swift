internal import Failures

/// How fused adapters are mixed: AdapterHub's `AdapterFusionConfig`, with its keys.
/// - SeeAlso: Pfeiffer et al.: *AdapterFusion*, 2021, §3.
package struct FusionConfiguration: Sendable, Equatable {
  /// Whether a mixed output goes through a value matrix (`"dynamic"`; not in `"static"`).
  package var hasValue = true
  /// Whether the value matrix starts as the identity, nearly.
  package var startsAtIdentity = true
  /// Whether the query is the block's output before it is normalised.
  package var queryBeforeNorm = false
  /// Dropout on the scores; the base's dropout on attention probabilities when nil or 0, as in the library.
  package var dropout: Float?

  /// The library's default, `"dynamic"`.
  package init() {}

  /// Without a value matrix.
  package static let fixed: FusionConfiguration = {
    var configuration = FusionConfiguration()
    configuration.hasValue = false
    configuration.startsAtIdentity = false
    return configuration
  }()

  /// The configuration in a few words, such as `dynamic`.
  package var summary: String {
    var parts = [hasValue ? "dynamic" : "static"]
    if hasValue, !startsAtIdentity { parts.append("values from random") }
    if queryBeforeNorm { parts.append("query before normalisation") }
    if let dropout, dropout > 0 { parts.append("dropout \(dropout)") }
    return parts.joined(separator: ", ")
  }
}

extension FusionConfiguration: Codable {
  private enum CodingKeys: String, CodingKey {
    case hasValue = "value", startsAtIdentity = "value_initialized", queryBeforeNorm = "query_before_ln"
    case dropout = "dropout_prob", query, key, temperature, residualBefore = "residual_before"
    case valueBeforeSoftmax = "value_before_softmax", regularization
  }

  /// Reads the library's object, or the names `"dynamic"` and `"static"`.
  /// - Throws: `Failure` that names the key when it asks for what we do not have.
  package init(from decoder: any Decoder) throws {
    if let name = try? decoder.singleValueContainer().decode(String.self) {
      switch name {
      case "dynamic": self.init()
      case "static": self = .fixed
      default: throw Failure(.badContent, "the fusion is \"\(name)\", expected dynamic or static.")
      }
      return
    }
    self.init()
    let keys = try decoder.container(keyedBy: CodingKeys.self)
    for key in [CodingKeys.query, .key] where try keys.decodeIfPresent(Bool.self, forKey: key) == false {
      throw Failure(.badContent, "the fusion has no \(key.rawValue) matrix, which we do not compute.")
    }
    for key in [CodingKeys.temperature, .residualBefore]
    where try keys.decodeIfPresent(Bool.self, forKey: key) == true {
      throw Failure(
        .badContent, "the fusion has \(key.rawValue), which we do not compute; train one without it.")
    }
    hasValue = try keys.decodeIfPresent(Bool.self, forKey: .hasValue) ?? hasValue
    startsAtIdentity = try keys.decodeIfPresent(Bool.self, forKey: .startsAtIdentity) ?? startsAtIdentity
    queryBeforeNorm = try keys.decodeIfPresent(Bool.self, forKey: .queryBeforeNorm) ?? queryBeforeNorm
    dropout = try keys.decodeIfPresent(Float.self, forKey: .dropout)
    if let dropout, !(0..<1).contains(dropout) {
      throw Failure(.badContent, "dropout_prob is \(dropout), expected a probability from 0 to below 1.")
    }
  }

  /// Writes the library's object.
  package func encode(to encoder: any Encoder) throws {
    var keys = encoder.container(keyedBy: CodingKeys.self)
    try keys.encode(hasValue, forKey: .hasValue)
    try keys.encode(startsAtIdentity, forKey: .startsAtIdentity)
    try keys.encode(queryBeforeNorm, forKey: .queryBeforeNorm)
    try keys.encode(dropout, forKey: .dropout)
    for key in [CodingKeys.query, .key, .valueBeforeSoftmax] { try keys.encode(true, forKey: key) }
    for key in [CodingKeys.temperature, .residualBefore] { try keys.encode(false, forKey: key) }
    try keys.encode(hasValue, forKey: .regularization)
  }
}
