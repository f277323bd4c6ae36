internal import BERT

/// Everything is trained.
package struct FullFineTuning: FineTuningMethod {
  /// Full fine-tuning.
  package init() {}
  /// What `--method` calls it.
  package let name = "full"
  /// The rate of Devlin et al., 2019, appendix A.3, that the paper used.
  package let defaultLearningRate = 2e-5
  /// All of it.
  package func trains(_ name: String) -> Bool { true }
}

/// Only the classifier is trained, on what the frozen base makes of a review.
package struct LinearProbe: FineTuningMethod {
  /// Linear probing.
  package init() {}
  /// What `--method` calls it.
  package let name = "linear-probe"
  /// A classifier on fixed features bears large steps.
  package let defaultLearningRate = 1e-3
}

/// Only biases and the classifier are trained.
/// - SeeAlso: Ben Zaken, Goldberg, Ravfogel: *BitFit*, ACL 2022, §3.
package struct BitFit: FineTuningMethod {
  /// BitFit.
  package init() {}
  /// What `--method` calls it.
  package let name = "bitfit"
  /// Above the paper's range (appendix A), whose upper end, 1e-3, costs two points on small bases.
  package let defaultLearningRate = 3e-3
  /// Biases, those of normalisations too, and the classifier.
  package func trains(_ name: String) -> Bool {
    name.hasSuffix(".bias") || HeadDesign.owns(name)
  }
}
