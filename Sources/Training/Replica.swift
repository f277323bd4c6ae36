package import BERT
package import Collectives
package import Datasets
internal import Failures
package import FineTuning
internal import Kernels
package import Tensors

/// A rank's replica of the model: parameters, workers, and the passes of a step and of an evaluation.
package final class Replica {
  /// The numbers of the model.
  package let store: ParameterStore
  /// This rank's threads.
  package let pool: WorkerPool
  /// The threads' models.
  package let workers: [Worker]
  /// The most tokens of a pass; longer reviews are passes of their own.
  package let tokensPerPass: Int

  /// Told from any worker that a pass is done.
  package var progress: (@Sendable () -> Void)?
  /// Told on the calling thread, between layers, that `gradients` will not change any more up to a stage, but for the
  /// rows of the looked-up table; -1 for none yet.
  package var completed: ((_ stage: Int) -> Void)?
  /// Told by each worker, on its thread, how far its forward pass has come, in halves of layers (`Workspace.reached`),
  /// and that it has no more passes: `Int.max`.
  package var reached: ((_ halfLayer: Int, _ worker: Int) -> Void)?
  /// What a review costs.
  package let reviewCost: ReviewCost
  /// When backward completes which gradients.
  package let stages: BackwardStages

  private var share: ShareOut
  private let sums: WorkerSums
  private let joint: JointGradients?
  private let folds: SharedFolds?
  /// Whether a step's first and last reviews are among those of the passes under way.
  private var begins = true
  private var completes = true
  /// Whether no other ranks' gradients will be added.
  private var isAlone = true

  /// A replica over a store.
  /// - Parameters:
  ///   - method: How the base is fine-tuned.
  ///   - configuration: The base's shape.
  ///   - store: The two parameter blocks.
  ///   - pool: This rank's threads.
  ///   - seed: The run's seed, for dropout.
  ///   - maxLength: The longest review, in tokens.
  ///   - trains: Whether gradients will be asked for.
  ///   - frozen: Where training passes keep what frozen layers make of reviews; nil where they compute it every time.
  ///   - stepShare: What this rank has of a step, where its workers may share what a step needs once; nil where every pass is
  ///     to be computed as if it were alone.
  /// - Throws: `Failure(.other)` where the system gives no more memory.
  package init(
    _ method: any FineTuningMethod, _ configuration: BERTConfiguration, _ store: ParameterStore,
    _ pool: WorkerPool, seed: UInt32, maxLength: Int, trains: Bool = true, frozen: FrozenOutputs? = nil,
    stepShare: StepShare? = nil
  ) throws {
    useOneBLASThread()
    let tokensPerPass = Replica.tokensPerPass(maxLength: maxLength)
    self.store = store
    self.pool = pool
    self.tokensPerPass = tokensPerPass
    workers = try (0..<pool.count).map { index in
      try Worker(
        method, configuration, store, seed: seed, tokensPerPass: tokensPerPass, trains: trains, isFirst: index == 0,
        frozen: frozen)
    }
    reviewCost = Replica.cost(configuration)
    share = ShareOut(cost: reviewCost)
    stages = BackwardStages(configuration, store.table)
    joint = trains ? JointGradients(workers[0].model.encoder, workers[0].gradients, workerCount: workers.count) : nil
    folds = trains ? stepShare.flatMap { [workers] in SharedFolds(workers.map(\.model), $0) } : nil
    let together = (joint?.ranges ?? []) + (folds?.ranges ?? [])
    sums = WorkerSums(
      workers.map(\.gradients), stages, besides: LookedUpRows(store.table).range,
      except: together.sorted { $0.lowerBound < $1.lowerBound })
    for (index, worker) in workers.enumerated() {
      if let joint { try worker.addsGradients(to: joint, as: index, of: workers.count) }
      // What a worker has handed in is computed by all when they are at the next meeting, a layer further down.
      let lag = joint != nil && workers.count > 1 ? 1 : 0
      worker.completed = { [unowned self] stage in complete(stage - lag, by: index) }
      worker.workspace.reached = { [unowned self] halfLayer in reached?(halfLayer, index) }
    }
  }

  /// What a rank has of a step, on average.
  package struct StepShare: Sendable {
    /// How many tokens.
    package let tokens: Int
    /// How many rows that the head reads.
    package let reviews: Int

    /// A share.
    package init(tokens: Int, reviews: Int) { (self.tokens, self.reviews) = (tokens, reviews) }

    /// The share of a rank, among so many, of steps of so many reviews of some data.
    package init(reviews: Int, of data: EncodedReviews, ranks: Int) {
      self.init(reviews: reviews, meanTokens: Double(data.tokenCount) / Double(max(1, data.count)), ranks: ranks)
    }

    /// The same of reviews of so many tokens on average.
    package init(reviews: Int, meanTokens: Double, ranks: Int) {
      self.init(tokens: Int(Double(reviews) * meanTokens / Double(ranks)), reviews: reviews / ranks)
    }

    /// How many rows the ends of a layer's blocks have, of so many layers: the last one computes what the head reads.
    func rows(layer: Int, of count: Int) -> Int { layer == count - 1 ? reviews : tokens }
  }

  /// What a review costs; a decoder is as much as so many more weights in each layer, for each hidden token.
  private static func cost(_ shape: BERTConfiguration) -> ReviewCost {
    let layers = ReviewCost(hiddenSize: shape.hiddenSize, intermediateSize: shape.intermediateSize)
    guard shape.task.decodesByEmbeddings else { return layers }
    // The usual share does for an estimate.
    let decoded = Int(PretrainingOptions().maskedShare * Double(shape.vocabularySize))
    return ReviewCost(linearCost: layers.linearCost + decoded / (2 * shape.layerCount))
  }

  /// The most tokens of a pass, unless a review alone has more.
  package static func tokensPerPass(maxLength: Int) -> Int { max(1024, maxLength) }

  /// How many numbers the gradients of a rank have: a thread each all that is reached, but of the encoder's matrices the
  /// rank once; with shards the rank once, and everything for each shard that it keeps.
  /// - Parameters:
  ///   - model: The model.
  ///   - reached: How many trained numbers get gradients other than zero.
  ///   - trained: How many there are.
  ///   - threads: Threads of the rank.
  ///   - shardBuffers: Shards' gradients that a rank keeps at once (`ShardedGradients`); nil without shards.
  ///   - share: What a rank has of a step.
  /// - Returns: How many numbers the gradients of all threads have, and how many there are beside where threads fold
  ///   together (`SharedFolds`).
  package static func gradientCount(
    of model: any TaskModel, reached: Int, of trained: Int, threads: Int, shardBuffers: Int?, share: StepShare
  ) -> (gradients: Int, folds: Int) {
    if let shardBuffers { return (reached + shardBuffers * trained, 0) }
    let folds = SharedFolds.sizes(model, share, workers: threads)
    let together = JointGradients.ranges(of: model.encoder).reduce(folds.together) { $0 + $1.count }
    return (threads * reached - (threads - 1) * together, folds.kept)
  }

  /// `[layers]`: where a layer's trained matrices lie in the trainable block.
  var matricesOfLayers: [Stretches] {
    workers[0].model.encoder.layers.map { layer in
      var stretches = Stretches()
      for range in JointGradients.ranges(of: layer) { stretches.append(range) }
      return stretches
    }
  }

  /// Whether all gradients of a worker's passes go where it is told (`Worker.addsGradients(to:)`).
  var computesApart: Bool { folds == nil }

  /// What a step's first pass overwrites of `gradients`; the rest has to be zero before a step.
  package var overwritten: [Range<Int>] { joint?.ranges ?? [] }

  /// The sum of the squares of what a step overwrites of `gradients`, after its last pass where a rank is alone.
  package var squaresOfOverwritten: Double { joint?.squares ?? 0 }

  /// The sum of this rank's gradients after `addGradients`, in the layout of the trainable block.
  package var gradients: UnsafeMutableBufferPointer<Float> { workers[0].gradients }

  /// Adds the gradients of this rank's share of some reviews; the sum lies in `gradients`.
  /// - Parameters:
  ///   - reviews: The reviews of all ranks.
  ///   - data: Where they are.
  ///   - step: The optimiser step, for dropout.
  ///   - touched: Where their gradients can be other than zero; everywhere when left out.
  ///   - rank: This rank.
  ///   - size: How many ranks share the reviews.
  ///   - begins: Whether these are a step's first reviews. Parameters stay as they are until its last ones are done.
  ///   - completes: Whether no more reviews follow, so that `completed` is told of what is.
  /// - Returns: What this rank computed.
  package func addGradients(
    _ reviews: ArraySlice<Int>, of data: EncodedReviews, step: Int, touched: Stretches? = nil, rank: Int, size: Int,
    begins: Bool = true, completes: Bool = true
  ) -> Worker.Tally {
    share.share(reviews, over: size * pool.count) { data.tokenCount($0) }
    (self.begins, self.completes, isAlone) = (begins, completes, size == 1)
    sums.begin()
    folds?.begin()
    if begins { folds?.fold(store, pool) }
    // Workers only read what is shared out, each its own part.
    pool.run(with: (self, share, data, step, rank)) { values, worker in
      let (replica, share, data, step, rank) = values
      let part = rank * replica.workers.count + worker
      replica.addGradients(share.microBatches(ofPart: part, maxTokens: replica.tokensPerPass), of: data, step, worker)
    }
    sums.finish(touched, pool)
    return workers.reduce(into: Worker.Tally()) { $0 += $1.takeTally() }
  }

  /// A worker's passes.
  private func addGradients(_ passes: ShareOut.MicroBatches, of data: EncodedReviews, _ step: Int, _ worker: Int) {
    joint?.begin(worker, isFirst: begins)
    var passes = passes
    var next = passes.next()
    while let pass = next {
      next = passes.next()
      joint?.beginPass(worker, isLast: isAlone && completes && next == nil)
      workers[worker].addGradients(pass, of: data, step: step, completes: completes && next == nil)
      progress?()
    }
    reached?(.max, worker)
    joint?.finish(worker, completes: completes, countsSquares: isAlone)
    complete(sums.stageCount - 1, by: worker, isOver: true)
  }

  /// A worker's passes will not change the gradients up to a stage any more.
  private func complete(_ stage: Int, by worker: Int, isOver: Bool = false) {
    var stage = stage
    if completes, let folds, let rank = gradients.baseAddress, let own = workers[worker].gradients.baseAddress {
      stage = folds.complete(stage, by: worker, waits: isOver, store, into: rank, own: own)
    }
    sums.complete(stage, by: worker)
    if worker == 0, completes { completed?(sums.lastSummed) }
  }

  /// What the model says of every review: logits in classification.
  ///
  /// Reviews are cut into passes that depend on the data alone, and ranks take whole passes, so the numbers are the
  /// same, bit for bit, at any number of ranks.
  /// - Parameters:
  ///   - data: The reviews.
  ///   - communicator: The ranks that share the passes.
  ///   - isCancelled: Asked between passes whether to leave it.
  ///   - progress: Told how many of this rank's tokens are done, and how many it has.
  /// - Returns: `[count, outputCount]` on rank 0; nil elsewhere.
  /// - Throws: `Failure` when ranks cannot talk; of kind `stopped` on all ranks when any of them has left it.
  package func evaluate(
    _ data: EncodedReviews, _ communicator: Communicator, isCancelled: () -> Bool = { false },
    progress: (Int, Int) -> Void = { _, _ in }
  ) throws -> [Float]? {
    let columns = workers[0].model.outputCount
    let passes = Replica.passes(data, tokensPerPass: tokensPerPass)
    let own = passes.indices.filter { $0 % communicator.size == communicator.rank }
    var output = [Float](repeating: 0, count: data.count * columns)
    output.withUnsafeMutableBufferPointer { buffer in
      guard let start = buffer.baseAddress else { return }
      nonisolated(unsafe) let target = start
      nonisolated(unsafe) let workers = workers
      var done = 0
      let tokens = own.map { passes[$0].reduce(0) { $0 + data.tokenCount($1) } }
      let total = tokens.reduce(0, +)
      for first in stride(from: 0, to: own.count, by: workers.count) where !isCancelled() {
        pool.run { worker in
          guard first + worker < own.count else { return }
          workers[worker].evaluate(passes[own[first + worker]], of: data, into: target)
        }
        for index in first..<min(first + workers.count, own.count) { done += tokens[index] }
        progress(done, total)
        self.progress?()
      }
    }
    guard try communicator.maximum(of: isCancelled() ? 1 : 0) == 0 else {
      throw Failure(.stopped, "the evaluation was stopped; start it again.")
    }
    let reviews = own.flatMap { passes[$0] }
    let ownOutput = reviews.flatMap { output[$0 * columns..<($0 + 1) * columns] }
    let gathered = try communicator.gather(ownOutput)
    guard communicator.isFirst else { return nil }
    for (rank, values) in gathered.enumerated() {
      let reviews = passes.indices.filter { $0 % communicator.size == rank }.flatMap { passes[$0] }
      for (row, review) in reviews.enumerated() {
        for c in 0..<columns { output[review * columns + c] = values[row * columns + c] }
      }
    }
    return output
  }

  /// The reviews by falling length, cut into passes of at most `tokensPerPass` tokens.
  private static func passes(_ data: EncodedReviews, tokensPerPass: Int) -> [[Int]] {
    let order = (0..<data.count).sorted {
      (data.tokenCount($1), $0) < (data.tokenCount($0), $1)
    }
    var passes: [[Int]] = []
    var tokens = tokensPerPass
    for review in order {
      if tokens + data.tokenCount(review) > tokensPerPass {
        passes.append([])
        tokens = 0
      }
      passes[passes.count - 1].append(review)
      tokens += data.tokenCount(review)
    }
    return passes
  }
}
