internal import Failures
internal import Kernels

extension FineTuningOptions {
  /// What a new adapter is called unless a person says otherwise.
  package static let newAdapter = "task"

  /// The adapters of the methods that have some: those given, or one new one.
  /// - Parameter fuses: Whether the method fuses adapters.
  /// - Returns: Adapters and their composition.
  /// - Throws: `Failure` when there is nothing to fuse, or a fusion and a method that trains none.
  func adapterSetup(fuses: Bool) throws -> AdapterSetup {
    let name = FineTuningOptions.newAdapter
    guard let adapters else {
      guard !fuses else {
        throw Failure(
          .usage, "--method fusion has no adapters to fuse; name two or more with --fuse, such as ko=PATH,task=new.")
      }
      return try AdapterSetup([name: adapter()], .single(name))
    }
    guard fuses || adapters.composition.fusions.isEmpty else {
      throw Failure(
        .usage, "--method adapter cannot train \(adapters.composition); choose --method fusion, or leave out --fuse.")
    }
    return adapters
  }

  /// The adapters that are trained.
  var trained: [String] { adapters == nil ? [FineTuningOptions.newAdapter] : trainedAdapters }

  /// The adapter that a person asks for: a named configuration, changed where they say so.
  /// - Throws: `Failure` that names the option.
  package func adapter() throws -> AdapterConfiguration {
    var configuration = try AdapterConfiguration(written: adapterConfiguration)
    if let reduction = adapterReductionFactor {
      // Far below any bottleneck that fits into memory; what the base's hidden size makes of it is checked there.
      for factor in reduction.factors where !(factor.isFinite && factor >= 0.001) {
        throw Failure(
          .usage,
          "--adapter-reduction-factor is \(factor), expected a number from 0.001 on, such as 16; below 1 the bottleneck is wider than the base."
        )
      }
      // Layers that are not named keep the configuration's own.
      configuration.reduction = AdapterConfiguration.Reduction(
        reduction.standard ?? configuration.reduction.standard, byLayer: reduction.byLayer)
    }
    if let name = adapterActivation {
      guard let activation = Activation(configurationName: name) else {
        throw Failure(
          .usage, "--adapter-activation is \"\(name)\", expected \(Activation.namesText).")
      }
      configuration.activation = activation
    }
    configuration.leaveOut = adapterLeaveOut
    return configuration
  }
}
