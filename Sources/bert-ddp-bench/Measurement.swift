import Collectives
import Console
import Kernels
import Training

/// What the steps of a method came to.
struct Measurement {
  /// What a part of the step takes, as shares of its time that add up to 1, over all ranks and threads.
  struct Shares: Encodable {
    /// Matrix products outside attention.
    let products: Double
    /// Attention, its small products included.
    let attention: Double
    /// All else in passes: normalisation, activations, dropout, embeddings, and threads that have no pass left.
    let elementwise: Double
    /// The norm and the optimiser's step, what of it goes on inside passes included.
    let optimizer: Double
    /// Moving gradients and parameters once all ranks are there.
    let communication: Double
    /// Waiting for the last rank.
    let waiting: Double
  }

  /// Sums over the measured steps.
  struct Sums {
    var seconds: [Double] = []
    /// What the machine's sgemm gave before each of them, in operations a second.
    var peaks: [Double] = []
    var tokens = 0
    var reviews = 0
    /// Floating-point operations that the method needs.
    var operations = 0.0
  }

  let method: String
  let trainableCount: Int
  let tokensPerSecond: Double
  let reviewsPerSecond: Double
  let medianStepSeconds: Double
  /// Operations that the method needs, over the time of the steps.
  let operationsPerSecond: Double
  /// What the machine's sgemm gave between the steps, the median, in operations a second.
  let peak: Double
  /// Operations that products outside attention did, over the time they took on all threads of all ranks.
  let productOperationsPerSecond: Double
  let shares: Shares
  let bytesPerStep: Int
  let nodeMemoryBytes: Int
  var evaluationReviewsPerSecond: Double?

  /// Adds up over ranks; collective.
  init(
    _ method: String, _ bench: Bench, trainableCount: Int, _ sums: Sums, _ spent: Snapshot, nodeMemory: Int,
    _ communicator: Communicator
  ) throws {
    let threads = Double(bench.threads)
    let phases = spent.phases
    let inPasses = spent.optimizer / threads
    var seconds = [
      spent.products / threads, spent.attention / threads, phases[.compute] - inPasses,
      phases[.optimizer] + inPasses,
      phases[.communication], phases[.waiting], spent.operations,
    ]
    try seconds.withUnsafeMutableBufferPointer { try communicator.allReduceSum($0) }
    let total = seconds[2...5].reduce(0, +)
    shares = Shares(
      products: seconds[0] / total, attention: seconds[1] / total,
      elementwise: (seconds[2] - seconds[0] - seconds[1]) / total, optimizer: seconds[3] / total,
      communication: seconds[4] / total, waiting: seconds[5] / total)
    let elapsed = try communicator.maximum(of: sums.seconds.reduce(0, +))
    self.method = method
    self.trainableCount = trainableCount
    tokensPerSecond = Double(sums.tokens) / elapsed
    reviewsPerSecond = Double(sums.reviews) / elapsed
    medianStepSeconds = median(sums.seconds)
    operationsPerSecond = sums.operations / elapsed
    peak = median(sums.peaks)
    productOperationsPerSecond = seconds[6] / (seconds[0] / Double(communicator.size))
    bytesPerStep = spent.collectives[.allReduceFloats].bytes / max(1, sums.seconds.count)
    nodeMemoryBytes = nodeMemory
  }

  /// The row of the first table.
  var cells: [String] {
    return [
      method, Format.rate(tokensPerSecond), Format.rate(reviewsPerSecond),
      Format.fixed(medianStepSeconds * 1e3, digits: 1), Format.fixed(operationsPerSecond / 1e9, digits: 1),
      Format.percent(operationsPerSecond / peak, digits: 1), Format.bytes(bytesPerStep), Format.bytes(nodeMemoryBytes),
      evaluationReviewsPerSecond.map { Format.rate($0) } ?? "–",
    ]
  }

  /// The row of the second table.
  var shareCells: [String] {
    let parts = [
      shares.products, shares.attention, shares.elementwise, shares.optimizer, shares.communication, shares.waiting,
    ]
    return [method] + parts.map { Format.percent($0, digits: 1) } + [
      Format.percent(productOperationsPerSecond / peak, digits: 1)
    ]
  }
}

/// One line of JSON; names as the peers print them.
struct MeasurementLine: Encodable {
  let measurement: Measurement
  let size: String
  let worldSize: Int
  let threads: Int
  /// The best that sgemm gave in many rounds before all steps, in operations a second.
  let bestPeak: Double

  private enum CodingKeys: String, CodingKey {
    case method, size, threads, gflops
    case worldSize = "world_size", trainable = "trainable_parameters", tokens = "tokens_per_second"
    case reviews = "reviews_per_second", step = "median_step_seconds", peak = "sgemm_peak_gflops"
    case bestPeak = "sgemm_best_gflops"
    case roofline = "share_of_peak", products = "products_share_of_peak", shares = "shares_of_step"
    case waiting = "wait_share", bytes = "all_reduce_bytes_per_step", memory = "node_memory_bytes"
    case evaluation = "evaluation_reviews_per_second"
  }

  func encode(to encoder: any Encoder) throws {
    let m = measurement
    var c = encoder.container(keyedBy: CodingKeys.self)
    try c.encode(m.method, forKey: .method)
    try c.encode(size, forKey: .size)
    try c.encode(worldSize, forKey: .worldSize)
    try c.encode(threads, forKey: .threads)
    try c.encode(m.trainableCount, forKey: .trainable)
    try c.encode(m.tokensPerSecond, forKey: .tokens)
    try c.encode(m.reviewsPerSecond, forKey: .reviews)
    try c.encode(m.medianStepSeconds, forKey: .step)
    try c.encode(m.operationsPerSecond / 1e9, forKey: .gflops)
    try c.encode(m.peak / 1e9, forKey: .peak)
    try c.encode(bestPeak / 1e9, forKey: .bestPeak)
    try c.encode(m.operationsPerSecond / m.peak, forKey: .roofline)
    try c.encode(m.productOperationsPerSecond / m.peak, forKey: .products)
    try c.encode(m.shares, forKey: .shares)
    try c.encode(m.shares.waiting, forKey: .waiting)
    try c.encode(m.bytesPerStep, forKey: .bytes)
    try c.encode(m.nodeMemoryBytes, forKey: .memory)
    try c.encodeIfPresent(m.evaluationReviewsPerSecond, forKey: .evaluation)
  }
}
