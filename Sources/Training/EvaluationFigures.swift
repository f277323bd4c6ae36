package import Console
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

  /// The share that is right.
  package var accuracy: Double {
    switch self {
    case .classification(let summary): summary.accuracy
    case .maskedLanguage(let summary): summary.accuracy
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

extension MaskedLanguageSummary {
  /// The figures as a table of one row.
  package var table: Table {
    var table = Table(
      ["hidden tokens", "loss", "perplexity", "accuracy"]
        + (nextSentenceAccuracy == nil ? [] : ["next-sentence accuracy"]))
    var row = [
      Format.count(maskedTokens), Format.figure(loss, digits: 4), Format.fixed(perplexity, digits: 2),
      Format.figure(accuracy),
    ]
    if let nextSentenceAccuracy { row.append(Format.figure(nextSentenceAccuracy)) }
    table.add(row)
    return table
  }
}
