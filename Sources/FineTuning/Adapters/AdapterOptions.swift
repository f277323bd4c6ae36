internal import Failures
internal import Kernels

extension FineTuningOptions {
  /// What a new adapter is called unless a person says otherwise.
  package static let newAdapter = "task"

  /// The adapters of the methods that have some: those given, or one new one.
  func adapterSetup() throws -> AdapterSetup {
    let name = FineTuningOptions.newAdapter
    return try adapters ?? AdapterSetup([name: adapter()], .single(name))
  }

  /// The adapters that are trained.
  var trained: [String] { adapters == nil ? [FineTuningOptions.newAdapter] : trainedAdapters }

  /// The adapter that a person asks for: a named configuration, changed where they say so.
  /// - Throws: `Failure` that names the option.
  package func adapter() throws -> AdapterConfiguration {
    guard var configuration = AdapterConfiguration(preset: adapterConfiguration) else {
      throw Failure(
        .usage,
        "--adapter-config is \"\(adapterConfiguration)\", expected one of \(AdapterConfiguration.presetNames)."
      )
    }
    if let factor = adapterReductionFactor {
      guard factor.isFinite, factor > 0 else {
        throw Failure(
          .usage, "--adapter-reduction-factor is \(factor), expected a number above 0, such as 16.")
      }
      configuration.reduction = AdapterConfiguration.Reduction(factor)
    }
    if let name = adapterActivation {
      guard let activation = Activation(configurationName: name) else {
        throw Failure(
          .usage, "--adapter-activation is \"\(name)\", expected relu, gelu, gelu_new, swish or tanh.")
      }
      configuration.activation = activation
    }
    configuration.leaveOut = adapterLeaveOut
    return configuration
  }
}
