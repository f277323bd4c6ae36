internal import Failures
package import FineTuning
package import Interchange
internal import Kernels

// The same facts under the library's names and under those here.

extension AdapterConfiguration {
  /// A bottleneck adapter of AdapterHub's library as one here.
  /// - Throws: `Failure(.badContent)` at what is not computed here.
  package init(_ other: AdapterHubBottleneck) throws {
    self.init()
    afterAttention = other.hasAttentionAdapter
    afterFeedForward = other.hasOutputAdapter
    originalNormBefore = other.appliesNormBefore
    originalNormAfter = other.appliesNormAfter
    normBefore = other.hasNormBefore
    normAfter = other.hasNormAfter
    addsResidualBeforeNorm = other.addsResidualBeforeNorm
    isParallel = other.isParallel
    dropout = Float(other.dropout)
    leaveOut = other.leaveOut
    reduction = Reduction(other.reduction.factor, byLayer: other.reduction.layers)
    activation = try AdapterConfiguration.activation(other.nonLinearity)
    residual =
      switch other.residual {
      case .beforeNorm: .blockOutput
      case .afterAddition: .sum
      case .afterNorm: .coreInput
      }
    switch other.scaling {
    case .fixed(let factor): scaling = .constant(Float(factor))
    case .learned: scaling = .learned
    case .channel:
      throw Failure(
        .badContent,
        "scaling is \"channel\", a factor for each channel, which is not computed here; numbers and \"learned\" are.")
    }
    // How weights start says nothing of those that are there.
    initialization = Initialization(rawValue: other.initialization) ?? .bert
    if let block = other.invertible {
      invertibleReduction = block.reductionFactor
      let own = try AdapterConfiguration.activation(block.nonLinearity)
      if own != activation { invertibleActivation = own }
    }
    try validate()
  }

  private static func activation(_ name: String) throws -> Activation {
    guard let known = Activation(configurationName: name) else {
      throw Failure(.badContent, "non_linearity is \"\(name)\", expected \(Activation.namesText).")
    }
    return known
  }
}

extension AdapterHubBottleneck {
  /// An adapter here as one of the library.
  package init(_ other: AdapterConfiguration) {
    self.init(
      hasAttentionAdapter: other.afterAttention, hasOutputAdapter: other.afterFeedForward,
      reduction: AdapterHubReduction(other.reduction.standard, layers: other.reduction.byLayer),
      nonLinearity: other.activation.rawValue)
    appliesNormBefore = other.originalNormBefore
    appliesNormAfter = other.originalNormAfter
    hasNormBefore = other.normBefore
    hasNormAfter = other.normAfter
    addsResidualBeforeNorm = other.addsResidualBeforeNorm
    isParallel = other.isParallel
    dropout = decimal(other.dropout)
    leaveOut = other.leaveOut
    residual =
      switch other.residual {
      case .blockOutput: .beforeNorm
      case .sum: .afterAddition
      case .coreInput: .afterNorm
      }
    scaling =
      switch other.scaling {
      case .constant(let factor): .fixed(decimal(factor))
      case .learned: .learned
      }
    initialization = other.initialization.rawValue
    invertible = other.invertibleReduction.map {
      AdapterHubInvertible(
        reductionFactor: $0, nonLinearity: (other.invertibleActivation ?? other.activation).rawValue)
    }
  }
}

extension FusionConfiguration {
  /// A fusion of the library as one here.
  /// - Throws: `Failure(.badContent)` at what is not computed here.
  package init(_ other: AdapterHubFusionConfiguration) throws {
    self.init()
    for (key, isThere) in [("query", other.hasQuery), ("key", other.hasKey)] where !isThere {
      throw Failure(.badContent, "the fusion has no \(key) matrix; fusions without one are not computed here.")
    }
    for (key, isAsked) in [("temperature", other.usesTemperature), ("residual_before", other.addsResidualBefore)]
    where isAsked {
      throw Failure(.badContent, "the fusion has \(key), which is not computed here; train one without it.")
    }
    hasValue = other.hasValue
    startsAtIdentity = other.startsAtIdentity
    queryBeforeNorm = other.queriesBeforeNorm
    dropout = other.dropout.map { Float($0) }
  }
}

extension AdapterHubFusionConfiguration {
  /// A fusion here as one of the library.
  package init(adapters: [String], _ other: FusionConfiguration) {
    self.init(adapters: adapters)
    hasValue = other.hasValue
    isRegularized = other.hasValue
    startsAtIdentity = other.startsAtIdentity
    queriesBeforeNorm = other.queryBeforeNorm
    dropout = other.dropout.map { decimal($0) }
  }
}

/// The number that a person would write: 0.1, not 0.10000000149.
func decimal(_ number: Float) -> Double { Double("\(number)") ?? Double(number) }
