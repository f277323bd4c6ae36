package import Metrics

/// The figures of an evaluation, by what the model is trained for.
package enum EvaluationFigures: Encodable, Sendable {
  /// Classes.
  case classification(EvaluationSummary)
  /// Hidden tokens.
  case maskedLanguage(MaskedLanguageSummary)

  /// The mean loss.
  package var loss: Double {
    switch self {
    case .classification(let summary): summary.loss
    case .maskedLanguage(let summary): summary.loss
    }
  }

  /// The figures as they are.
  package func encode(to encoder: any Encoder) throws {
    switch self {
    case .classification(let summary): try summary.encode(to: encoder)
    case .maskedLanguage(let summary): try summary.encode(to: encoder)
    }
  }
}
