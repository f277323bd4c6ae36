/// What the doctor says of one thing.
package struct Finding: Codable, Sendable, Equatable {
  /// How bad it is.
  package enum Level: String, Codable, Sendable {
    /// As it should be.
    case ok
    /// Works, and could be better.
    case note
    /// Makes runs slow, wrong or impossible.
    case problem
  }

  /// What was looked at: `cores`, `BLAS`.
  package let subject: String
  /// How bad it is.
  package let level: Level
  /// What was found, in a sentence.
  package let found: String
  /// The command that cures it; nil when there is nothing to cure.
  package let cure: String?

  /// The same, said of one of several nodes.
  package func of(_ place: String) -> Finding {
    Finding(subject: "\(subject), \(place)", level: level, found: found, cure: cure)
  }

  static func ok(_ subject: String, _ found: String) -> Finding {
    Finding(subject: subject, level: .ok, found: found, cure: nil)
  }
  static func note(_ subject: String, _ found: String, cure: String? = nil) -> Finding {
    Finding(subject: subject, level: .note, found: found, cure: cure)
  }
  static func problem(_ subject: String, _ found: String, cure: String) -> Finding {
    Finding(subject: subject, level: .problem, found: found, cure: cure)
  }
}
