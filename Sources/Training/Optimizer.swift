internal import Glibc
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
    /// Decoupled weight decay, on all but biases and normalisations.
    package var weightDecay = 0.0
    /// The largest global gradient norm; nil leaves gradients as they are.
    package var maxGradientNorm: Double? = 1

    /// The defaults.
    package init() {}
  }

  let store: ParameterStore
  private let settings: Settings
  /// First moments, in the layout of the trainable block.
  package let firstMoments: UnsafeMutableBufferPointer<Float>
  /// Second moments, in the layout of the trainable block.
  package let secondMoments: UnsafeMutableBufferPointer<Float>
  /// How many steps were done.
  package var stepCount = 0

  let lookedUp: LookedUpRows
  /// What the next step overwrites of the gradients, so that they need not be cleared.
  private let overwritten: [Range<Int>]
  /// How ranks share the block out; nil when each steps along everything.
  let tiles: BlockTiles?
  /// This rank's tiles.
  private let owned: Stretches?
  /// What gradients have reached since the start, and which rows of the looked-up table are in it. All else has moments
  /// of zero and, without weight decay, stays exactly as it is in every step.
  private var reached = Stretches()
  private var reachedRows: RowSet
  /// What a step touches, or steps along, beside what steps overwrite.
  private var others = Stretches()
  /// `[pieces]`: sums of squares, for the norm.
  private let squares: UnsafeMutableBufferPointer<Double>

  /// An optimiser at its start: moments zero.
  /// - Parameters:
  ///   - store: The parameters.
  ///   - settings: The constants.
  ///   - tiles: How ranks share the block out: it steps along its own tiles and the looked-up table, and has moments of
  ///     nothing else; nil for everything.
  ///   - overwritten: What steps leave of the gradients as it is, in order: the next one overwrites it. All else they
  ///     leave at zero.
  /// - Throws: `Failure(.other)` where the system has no more memory.
  package init(
    _ store: ParameterStore, _ settings: Settings, tiles: BlockTiles? = nil, overwritten: [Range<Int>] = []
  ) throws {
    self.store = store
    self.tiles = tiles
    self.overwritten = overwritten
    owned = tiles?.owned
    self.settings = settings
    firstMoments = try zeroedFloats(store.table.trainableCount, isSparse: tiles != nil)
    secondMoments = try zeroedFloats(store.table.trainableCount, isSparse: tiles != nil)
    lookedUp = LookedUpRows(store.table)
    reachedRows = lookedUp.noRows
    squares = .allocate(capacity: Optimizer.pieceCount(store.table.trainableCount))
    if settings.weightDecay != 0 {
      for row in 0..<lookedUp.rowCount { reachedRows.insert(row) }
    }
    findReached()
  }

  deinit {
    free(firstMoments.baseAddress)
    free(secondMoments.baseAddress)
    squares.deallocate()
  }

  /// Takes up a run after `stepCount` steps, when its moments have been read.
  package func resume(after stepCount: Int) {
    self.stepCount = stepCount
    guard let m = firstMoments.baseAddress, let v = secondMoments.baseAddress else { return }
    for row in 0..<lookedUp.rowCount where !reachedRows.contains(row) && lookedUp.isReached(row, by: m, v) {
      reachedRows.insert(row)
    }
    findReached()
  }

  private func findReached() { lookedUp.find(&reached, ofRows: reachedRows, beside: owned) }

  private func reach(_ touched: Stretches) {
    var grows = false
    lookedUp.forEachRow(of: touched) { if reachedRows.insert($0) { grows = true } }
    if grows { findReached() }
  }

  /// The global norm of the mean gradient.
  /// - Parameters:
  ///   - gradients: The sum over `count` reviews, in the layout of the trainable block.
  ///   - count: How many reviews it is the sum of.
  ///   - touched: Where gradients are other than zero; everywhere when left out.
  ///   - pool: The threads that share the block; the calling one alone when left out.
  ///   - squaresOfOverwritten: The sum of the squares of what steps overwrite of the gradients, where that is known.
  /// - Returns: The Euclidean norm, the same at any number of threads that share the block.
  package func norm(
    of gradients: UnsafePointer<Float>, count: Int, touched: Stretches? = nil, pool: WorkerPool? = nil,
    squaresOfOverwritten: Double? = nil
  ) -> Double {
    if let squaresOfOverwritten, !overwritten.isEmpty {
      (touched ?? lookedUp.everything).find(
        &others, without: overwritten, keepingRoomFor: mostOthers)
      let norm = norm(of: gradients, count: 1, touched: others, pool: pool)
      return (norm * norm + squaresOfOverwritten).squareRoot() / Double(count)
    }
    let touched = touched ?? lookedUp.everything
    let pieces = Optimizer.pieceCount(touched.count)
    if let pool {
      pool.runRanges(pieces, with: (self, touched, gradients)) { values, range in
        let (optimizer, touched, gradients) = values
        optimizer.addSquares(ofPieces: range, touched, gradients)
      }
    } else {
      addSquares(ofPieces: 0..<pieces, touched, gradients)
    }
    return squares[..<pieces].reduce(0, +).squareRoot() / Double(count)
  }

  private func addSquares(ofPieces pieces: Range<Int>, _ touched: Stretches, _ gradients: UnsafePointer<Float>) {
    for piece in pieces {
      let start = piece * Optimizer.normPiece
      squares[piece] = 0
      touched.forEach(in: start..<min(start + Optimizer.normPiece, touched.count)) {
        squares[piece] += sumOfSquares(gradients + $0.lowerBound, $0.count)
      }
    }
  }

  private static func pieceCount(_ count: Int) -> Int { (count + normPiece - 1) / normPiece }

  /// How many numbers are added up before sums of pieces are: what makes a norm independent of threads.
  private static let normPiece = 1 << 16

  /// One step's numbers, the same for all parameters.
  struct Update {
    /// The sum over reviews, in the layout of the trainable block; read until all of the update is done.
    let gradients: UnsafeMutablePointer<Float>
    let learningRate: Double
    fileprivate let constants: AdamWStep
  }

  /// One step; the gradients of what is stepped along are zero afterwards, but for what the next step overwrites.
  /// - Parameters:
  ///   - gradients: The sum over `count` reviews.
  ///   - count: How many reviews it is the sum of.
  ///   - norm: The global norm of the mean gradient.
  ///   - learningRate: The rate of this step.
  ///   - touched: Where gradients are other than zero; everywhere when left out.
  ///   - pool: The threads that share the block; the calling one alone when left out.
  package func step(
    _ gradients: UnsafeMutablePointer<Float>, count: Int, norm: Double, learningRate: Double,
    touched: Stretches? = nil, pool: WorkerPool? = nil
  ) {
    let update = begin(gradients, count: count, norm: norm, learningRate: learningRate, touched: touched)
    apply(update, along: reached, pool)
  }

  /// How many stretches there are at most beside what steps overwrite: runs of touched rows, what lies around and between
  /// overwritten matrices, and the ends.
  private var mostOthers: Int { lookedUp.rowCount / 2 + overwritten.count + 4 }

  /// A step of everything but what steps overwrite of the gradients, which is left to the caller; parameters as `step` has
  /// them.
  /// - Returns: What `apply` takes for the rest, which has to be done before its gradients change.
  func stepBesideOverwritten(
    _ gradients: UnsafeMutablePointer<Float>, count: Int, norm: Double, learningRate: Double,
    touched: Stretches, _ pool: WorkerPool
  ) -> Update {
    let update = begin(gradients, count: count, norm: norm, learningRate: learningRate, touched: touched)
    reached.find(&others, without: overwritten, keepingRoomFor: mostOthers)
    apply(update, along: others, pool)
    return update
  }

  private func begin(
    _ gradients: UnsafeMutablePointer<Float>, count: Int, norm: Double, learningRate: Double, touched: Stretches?
  ) -> Update {
    stepCount += 1
    reach(touched ?? lookedUp.everything)
    var scale = 1 / Double(count)
    if let limit = settings.maxGradientNorm { scale *= min(1, limit / (norm + 1e-6)) }
    let constants = AdamWStep(
      beta1: settings.beta1, beta2: settings.beta2, epsilon: settings.epsilon, step: stepCount,
      gradientScale: scale)
    return Update(gradients: gradients, learningRate: learningRate, constants: constants)
  }

  private func apply(_ update: Update, along stretches: Stretches, _ pool: WorkerPool?) {
    guard let pool else { return apply(update, to: 0..<stretches.count, of: stretches) }
    pool.runRanges(stretches.count, with: (self, update, stretches)) { values, range in
      let (optimizer, update, stretches) = values
      optimizer.apply(update, to: range, of: stretches)
    }
  }

  /// How many numbers are stepped along before their rounded copies are written, from the nearest cache.
  private static let pieceLength = 2048

  /// The step within a part of some stretches laid end to end.
  func apply(_ update: Update, to part: Range<Int>, of stretches: Stretches) {
    guard let m = firstMoments.baseAddress, let v = secondMoments.baseAddress else { return }
    let groups = store.table.groups
    var (group, kept) = (0, 0)
    stretches.forEach(in: part) { stretch in
      var start = stretch.lowerBound
      // All lists are in order, and groups cover the block.
      while start < stretch.upperBound {
        while groups[group].range.upperBound <= start { group += 1 }
        while kept < overwritten.count, overwritten[kept].upperBound <= start { kept += 1 }
        var end = min(stretch.upperBound, groups[group].range.upperBound, start + Optimizer.pieceLength)
        let clears = kept == overwritten.count || start < overwritten[kept].lowerBound
        if kept < overwritten.count {
          end = min(end, clears ? overwritten[kept].lowerBound : overwritten[kept].upperBound)
        }
        adamWUpdate(
          values: store.trainable + start, gradients: update.gradients + start, firstMoments: m + start,
          secondMoments: v + start, count: end - start,
          learningRate: Float(update.learningRate * Double(groups[group].learningRateScale)),
          weightDecay: groups[group].decays ? Float(settings.weightDecay) : 0, step: update.constants,
          clearsGradients: clears)
        store.refreshRounded(start..<end, of: groups[group])
        start = end
      }
    }
  }
}

extension Optimizer.Settings {
  /// Those of a run.
  init(_ run: TrainingConfiguration) {
    (beta1, beta2, epsilon) = (run.adamBeta1, run.adamBeta2, run.adamEpsilon)
    weightDecay = run.weightDecay
    maxGradientNorm = run.maxGradNorm > 0 ? run.maxGradNorm : nil
  }
}
