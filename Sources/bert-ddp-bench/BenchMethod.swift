import FineTuning
import Kernels

/// A method as `--methods` names it, with the options that the peer of `launch/bench` has.
struct BenchMethod {
  /// The method.
  let method: any FineTuningMethod

  /// - Parameters:
  ///   - name: A registered method, or `pfeiffer` for `adapter`.
  ///   - loraRank: LoRA's inner dimension.
  /// - Throws: `Failure` when there is no such method.
  init(_ name: String, loraRank: Int) throws {
    var options = FineTuningOptions()
    options.loraRank = loraRank
    // A task adapter that is trained with the fusion, over a frozen language adapter without its invertible block.
    var language = AdapterConfiguration.pfeiffer
    (language.reduction, language.activation) = (AdapterConfiguration.Reduction(2), .gelu)
    if name == "fusion" {
      options.adapters = try AdapterSetup(["ko": language, "task": .pfeiffer], .fuse(["ko", "task"]))
      options.trainedAdapters = ["task"]
    }
    method = try FineTuningMethods.method(named: name == "pfeiffer" ? "adapter" : name, options)
  }
}
