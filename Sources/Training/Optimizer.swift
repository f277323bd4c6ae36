internal import Kernels
package import Tensors

/// AdamW over the trainable block, with clipping by the global norm: one loop, the same on every rank.
///
/// - SeeAlso: Loshchilov, Hutter, ICLR 2019; clipping as `torch.nn.utils.clip_grad_norm_`.
package final class Optimizer {
  /// The constants of AdamW.
  package struct Settings: Sendable, Equatable {
    /// Decay of the first moment.
    package var beta1 = 0.9
    /// Decay of the second moment.
    package var beta2 = 0.999
    /// Added to the root of the second moment.
    package var epsilon = 1e-8
    /// Decoupled weight decay, for matrices only.
    package var weightDecay = 0.0
    /// The largest global gradient norm; nil leaves gradients as they are.
    package var maxGradientNorm: Double? = 1

    /// The defaults.
    package init() {}
  }

  private let store: ParameterStore
  private let settings: Settings
  /// First moments, in the layout of the trainable block.
  package let firstMoments: UnsafeMutableBufferPointer<Float>
  /// Second moments, in the layout of the trainable block.
  package let secondMoments: UnsafeMutableBufferPointer<Float>
  /// How many steps were done.
  package var stepCount = 0

  /// An optimiser at its start: moments zero.
  package init(_ store: ParameterStore, _ settings: Settings) {
    self.store = store
    self.settings = settings
    firstMoments = .allocate(capacity: store.table.trainableCount)
    secondMoments = .allocate(capacity: store.table.trainableCount)
    firstMoments.initialize(repeating: 0)
    secondMoments.initialize(repeating: 0)
  }

  deinit {
    firstMoments.deallocate()
    secondMoments.deallocate()
  }

  /// The global norm of the mean gradient.
  /// - Parameters:
  ///   - gradients: The sum over `count` reviews, in the layout of the trainable block.
  ///   - count: How many reviews it is the sum of.
  package func norm(of gradients: UnsafePointer<Float>, count: Int) -> Double {
    sumOfSquares(gradients, store.table.trainableCount).squareRoot() / Double(count)
  }

  /// One step; the gradients are zero afterwards.
  /// - Parameters:
  ///   - gradients: The sum over `count` reviews.
  ///   - count: How many reviews it is the sum of.
  ///   - norm: The global norm of the mean gradient.
  ///   - learningRate: The rate of this step.
  package func step(_ gradients: UnsafeMutablePointer<Float>, count: Int, norm: Double, learningRate: Double) {
    stepCount += 1
    var scale = 1 / Double(count)
    if let limit = settings.maxGradientNorm { scale *= min(1, limit / (norm + 1e-6)) }
    let constants = AdamWStep(
      beta1: settings.beta1, beta2: settings.beta2, epsilon: settings.epsilon, step: stepCount,
      gradientScale: scale)
    for group in store.table.groups {
      guard
        let m = firstMoments.baseAddress?.advanced(by: group.range.lowerBound),
        let v = secondMoments.baseAddress?.advanced(by: group.range.lowerBound)
      else { continue }
      adamWUpdate(
        values: store.trainable + group.range.lowerBound, gradients: gradients + group.range.lowerBound,
        firstMoments: m, secondMoments: v, count: group.range.count,
        learningRate: Float(learningRate * Double(group.learningRateScale)),
        weightDecay: group.decays ? Float(settings.weightDecay) : 0, step: constants)
    }
  }
}
