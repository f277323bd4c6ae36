package import BERT
package import FineTuning
internal import Glibc
internal import Kernels
internal import ScalingModel
internal import Tensors
package import Training

/// What a step takes on this machine: a few steps of the very method and shape that is planned, over made-up numbers.
///
/// As many threads work as the node's ranks will have together, on as many cores as there are, so that what they take
/// from each other (caches, memory, clock) is in the measurement.
package struct Calibration: Sendable {
  /// Seconds a token of one thread, while the others work.
  package let secondsPerToken: Double
  /// Seconds of a step of one thread whatever its reviews.
  package let secondsPerStep: Double
  /// Seconds of the optimiser's step of a rank with one thread.
  package let optimizerSeconds: Double
  /// Bytes of activations that a thread holds for each token of a pass.
  package let arenaBytesPerToken: Double
  /// Bytes of activations that a thread holds while it evaluates, in the pass with the longest reviews.
  package let evaluationArenaBytes: Int
  /// Billions of floating-point operations a second of one thread in these steps, in products alone.
  package let gigaflops: Double
  /// The same of a large square product.
  package let sgemmGigaflops: Double

  /// Measures; takes a few seconds and about the memory of a rank for each thread.
  /// - Parameters:
  ///   - method: The method.
  ///   - configuration: The base's shape.
  ///   - threads: How many threads work at once.
  ///   - reviewsPerThread: Reviews that a thread has in a step.
  ///   - reviews: Their lengths.
  ///   - isOneRank: Whether the threads are one rank's, which share what a step needs once.
  /// - Throws: `Failure` when the method's options do not fit the base, or the system gives no memory or threads.
  package init(
    _ method: any FineTuningMethod, _ configuration: BERTConfiguration, threads: Int, reviewsPerThread: Int,
    reviews: ReviewLengths, isOneRank: Bool
  ) throws {
    let table = try method.table(for: configuration)
    let numbers = MadeUpNumbers(table)
    let pool = try WorkerPool(count: threads)
    defer { pool.close() }
    let count = max(1, reviewsPerThread) * threads
    let lengths = (0..<8 * count).map { reviews.tokens[$0 % reviews.tokens.count] }
    let data = MadeUpNumbers.reviews(lengths, vocabulary: configuration.vocabularySize)
    let replica = try Replica(
      method, configuration, numbers.store, pool, seed: 1, maxLength: reviews.maxLength,
      stepShare: isOneRank ? Replica.StepShare(reviews: count, of: data, ranks: 1) : nil)
    let operations = try OperationCount(method, configuration)
    var steps: [(seconds: Double, tokens: Int)] = []
    // A step of all reviews, then one of half of them: two unknowns need two measurements.
    let start = monotonicSeconds()
    var best: [Int: (seconds: Double, tokens: Int, rate: Double)] = [:]
    var step = 0
    repeat {
      for size in [count, max(threads, count / 2)] {
        let first = step % 4 * count
        let chosen = Array(first..<first + size)
        let began = monotonicSeconds()
        _ = replica.addGradients(chosen[...], of: data, step: step, rank: 0, size: 1)
        let seconds = monotonicSeconds() - began
        let tokens = chosen.reduce(0) { $0 + data.tokenCount($1) }
        steps.append((seconds, tokens))
        let needed = chosen.reduce(0) { $0 + operations.operations(tokens: data.tokenCount($1)) }
        let rate = needed / seconds / Double(threads)
        if step > 0, rate > best[size]?.rate ?? 0 { best[size] = (seconds, tokens, rate) }
      }
      step += 1
    } while step < 3 || (step < 12 && monotonicSeconds() - start < 4)
    let largest = TokenLoads(lengths, cost: reviews.cost).largest(batch: count, workers: threads, steps: 0..<4)
    arenaBytesPerToken = Double(replica.workers.map(\.workspace.peak).max() ?? 0) / Double(max(1, largest))
    let whole = best[count] ?? (steps[0].seconds, steps[0].tokens, 0)
    let half = best[max(threads, count / 2)] ?? whole
    let slope = (whole.seconds - half.seconds) / Double(max(1, whole.tokens - half.tokens)) * Double(threads)
    let mean = whole.seconds / Double(max(1, whole.tokens)) * Double(threads)
    // Noise may make the smaller step look dearer a token than it is, or cheaper.
    secondsPerToken = whole.tokens > half.tokens ? min(mean, max(0.7 * mean, slope)) : mean
    secondsPerStep = max(0, whole.seconds - secondsPerToken * Double(whole.tokens) / Double(threads))
    gigaflops = whole.rate / 1e9
    evaluationArenaBytes = try Calibration.evaluation(
      method, configuration, numbers, lengths.sorted(by: >), maxLength: reviews.maxLength)
    optimizerSeconds = try Calibration.optimizerStep(replica)
    sgemmGigaflops = Calibration.sgemm()
  }

  /// A pass forward over as many of the reviews as fit into one.
  private static func evaluation(
    _ method: any FineTuningMethod, _ configuration: BERTConfiguration, _ numbers: MadeUpNumbers, _ lengths: [Int],
    maxLength: Int
  ) throws -> Int {
    let pool = try WorkerPool(count: 1)
    defer { pool.close() }
    let replica = try Replica(method, configuration, numbers.store, pool, seed: 1, maxLength: maxLength, trains: false)
    var tokens = 0
    let fitting = lengths.prefix {
      tokens += $0
      return tokens <= replica.tokensPerPass
    }
    let data = MadeUpNumbers.reviews(Array(fitting), vocabulary: configuration.vocabularySize)
    let worker = replica.workers[0]
    var output = [Float](repeating: 0, count: data.count * worker.model.outputCount)
    output.withUnsafeMutableBufferPointer { output in
      guard let start = output.baseAddress else { return }
      worker.evaluate(0..<data.count, of: data, into: start)
    }
    return worker.workspace.peak
  }

  private static func optimizerStep(_ replica: Replica) throws -> Double {
    guard let gradients = replica.gradients.baseAddress else { return 0 }
    let optimizer = try Optimizer(replica.store, Optimizer.Settings(), overwritten: replica.overwritten)
    var best = Double.infinity
    for _ in 0..<3 {
      let began = monotonicSeconds()
      let norm = optimizer.norm(of: gradients, count: 1)
      optimizer.step(gradients, count: 1, norm: norm, learningRate: 1e-5)
      best = min(best, monotonicSeconds() - began)
    }
    return best
  }

  /// A large square product on one thread, the best of a few.
  private static func sgemm() -> Double {
    let n = 768
    let memory = UnsafeMutablePointer<Float>.allocate(capacity: 3 * n * n)
    defer { memory.deallocate() }
    memory.initialize(repeating: 0.5, count: 3 * n * n)
    let matrices = (0..<3).map { Matrix(memory + $0 * n * n, rows: n, columns: n) }
    var best = Double.infinity
    for _ in 0..<8 {
      let began = monotonicSeconds()
      multiply(matrices[0], .plain, matrices[1], .transposed, into: matrices[2])
      best = min(best, monotonicSeconds() - began)
    }
    return 2 * Double(n * n * n) / best / 1e9
  }
}

/// Numbers for a measurement: weights of the size that weights have, reviews of given lengths.
private final class MadeUpNumbers {
  let store: ParameterStore
  private let frozen: UnsafeMutableBufferPointer<Float>
  private let trainable: UnsafeMutableBufferPointer<Float>
  /// What is frozen in bfloat16, then the copies of what is trained so.
  private let rounded: UnsafeMutableBufferPointer<BFloat16>
  private let transposes: UnsafeMutableRawBufferPointer

  init(_ table: ParameterTable) {
    frozen = .allocate(capacity: max(1, table.frozenCount))
    trainable = .allocate(capacity: max(1, table.trainableCount))
    for block in [frozen, trainable] {
      var word: UInt32 = 1
      for index in 0..<block.count {
        word = word &* 1_664_525 &+ 1_013_904_223
        block.initializeElement(at: index, to: 0.04 * (Float(word >> 8) * 0x1p-24 - 0.5))
      }
    }
    transposes = .allocate(byteCount: max(64, table.transposeBytes), alignment: 64)
    rounded = .allocate(capacity: table.roundedCount + table.trainableCount + 1)
    for index in 0..<table.roundedCount { rounded[index] = BFloat16(0.04 * (Float(index % 997) / 997 - 0.5)) }
    guard let frozen = frozen.baseAddress, let trainable = trainable.baseAddress, let rounded = rounded.baseAddress
    else {
      preconditionFailure("a block of at least one number has an address")
    }
    store = ParameterStore(
      table: table, frozen: frozen, trainable: trainable,
      rounded: RoundedBlocks(frozen: rounded, trainable: rounded + table.roundedCount),
      transposes: transposes.baseAddress)
    store.refreshRounded()
    store.writeTransposes()
  }

  deinit {
    transposes.deallocate()
    frozen.deallocate()
    trainable.deallocate()
    rounded.deallocate()
  }

  static func reviews(_ lengths: [Int], vocabulary: Int) -> EncodedReviews {
    var word: UInt64 = 1
    let reviews = lengths.map { length in
      (0..<length).map { _ -> Int32 in
        word = word &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        // Frequent tokens are much more frequent than others.
        let u = Double(word >> 11) * 0x1p-53
        return Int32(Double(vocabulary - 1) * u * u * u)
      }
    }
    return EncodedReviews(reviews: reviews, labels: lengths.indices.map { Int32($0 % 2) })
  }
}
