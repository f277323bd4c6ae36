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
  /// - Returns: The Euclidean norm.
  package func norm(of gradients: UnsafePointer<Float>, count: Int) -> Double {
    sumOfSquares(gradients, store.table.trainableCount).squareRoot() / Double(count)
  }

  /// One step; the gradients are zero afterwards.
  /// - Parameters:
  ///   - gradients: The sum over `count` reviews.
  ///   - count: How many reviews it is the sum of.
  ///   - norm: The global norm of the mean gradient.
  ///   - learningRate: The rate of this step.
  ///   - pool: The threads that share the block; the calling one alone when left out.
  package func step(
    _ gradients: UnsafeMutablePointer<Float>, count: Int, norm: Double, learningRate: Double,
    pool: WorkerPool? = nil
  ) {
    stepCount += 1
    var scale = 1 / Double(count)
    if let limit = settings.maxGradientNorm { scale *= min(1, limit / (norm + 1e-6)) }
    let constants = AdamWStep(
      beta1: settings.beta1, beta2: settings.beta2, epsilon: settings.epsilon, step: stepCount,
      gradientScale: scale)
    let total = store.table.trainableCount
    guard let pool else {
      return update(0..<total, gradients, learningRate, constants)
    }
    nonisolated(unsafe) let gradients = gradients
    nonisolated(unsafe) let optimizer = self
    pool.runRanges(total) { _, range in optimizer.update(range, gradients, learningRate, constants) }
  }

  /// The step within a range of the trainable block.
  private func update(
    _ range: Range<Int>, _ gradients: UnsafeMutablePointer<Float>, _ learningRate: Double,
    _ constants: AdamWStep
  ) {
    guard let m = firstMoments.baseAddress, let v = secondMoments.baseAddress else { return }
    for group in store.table.groups {
      let part = group.range.clamped(to: range)
      if part.isEmpty { continue }
      let start = part.lowerBound
      adamWUpdate(
        values: store.trainable + start, gradients: gradients + start, firstMoments: m + start,
        secondMoments: v + start, count: part.count,
        learningRate: Float(learningRate * Double(group.learningRateScale)),
        weightDecay: group.decays ? Float(settings.weightDecay) : 0, step: constants)
    }
  }
}
