extension EncoderLayer {
  /// Whether anything in the layer is trained.
  var isTrainable: Bool { output.isTrainable || backwardReach(needsInput: false) != .output }

  /// How far backward has to go into a layer, from its output on; each case includes those before it.
  package enum Reach: Int, Comparable {
    /// The end of the feed-forward block.
    case output
    /// The second projection of the feed-forward block.
    case outputDense
    /// The first one.
    case intermediateDense
    /// The end of the attention block.
    case attentionOutput
    /// The projection after attention.
    case attentionDense
    /// Attention, its query, key and value.
    case attention

    /// Less far.
    package static func < (a: Reach, b: Reach) -> Bool { a.rawValue < b.rawValue }
  }

  /// How far backward has to go.
  /// - Parameter needsInput: Whether anything below the layer is trained.
  /// - Returns: The part nearest to the input that has to be passed.
  package func backwardReach(needsInput: Bool) -> Reach {
    let attention = [query, key, value].contains { $0.isTrainable } || attentionPrefix?.isTrainable == true
    if needsInput || attention { return .attention }
    if attentionDense.isTrainable { return .attentionDense }
    if attentionOutput.isTrainable { return .attentionOutput }
    if intermediateDense.isTrainable { return .intermediateDense }
    return outputDense.isTrainable ? .outputDense : .output
  }
}
