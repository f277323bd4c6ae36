package import Collectives
package import FineTuning
internal import Tensors

/// An optimiser step on this rank: its passes, the sums over all ranks, the update. The same on every rank.
package final class StepPasses {
  /// What a step adds up to, the same on every rank.
  package struct Sums {
    /// The sum of losses.
    package var loss: Double
    /// How many reviews.
    package var reviews: Int
    /// How many tokens.
    package var tokens: Int
    /// Over how many losses a mean is taken; at least 1.
    package var targets: Int
    /// The global norm of the mean gradient.
    package var norm: Double
    /// Whether any rank has something that all must attend to before the next step.
    package var needsAttention: Bool
  }

  private let replica: Replica
  private let optimizer: Optimizer
  private let exchange: GradientExchange
  private let method: any FineTuningMethod
  private let communicator: Communicator
  private let clock: StepClock
  private let lookedUp: LookedUpRows
  private let reviewsPerPass: Int
  private let isDense: Bool
  /// Under `--deterministic`.
  private let sharded: ShardedGradients?
  /// What goes on beside forward; nil where it would be no quicker so.
  private let deferred: DeferredUpdate?
  /// Where the gradients of the step under way can be other than zero, and of how many losses they are.
  private var touched = Stretches()
  private var touchedRows: RowSet
  private var targetCount = 0
  /// What is added up over ranks: losses, one for each shard where there are some, then how many reviews, tokens and
  /// targets, and whether anybody wants attention.
  private var sums: [Double] = []
  /// What went wrong while gradients were sent.
  private var failure: (any Error)?

  /// - Parameters:
  ///   - replica: The model.
  ///   - optimizer: Its optimiser, which steps along what `exchange` leaves to this rank.
  ///   - exchange: The sums over ranks.
  ///   - method: How the base is fine-tuned.
  ///   - communicator: All ranks.
  ///   - clock: Told what the time goes into.
  ///   - reviewsPerPass: How many reviews all ranks compute at once; more are accumulated.
  ///   - isDeterministic: Whether sums have the same bits at any number of ranks.
  ///   - isDense: Whether rows that no token of a step has are summed and stepped along too, for tests.
  package init(
    _ replica: Replica, _ optimizer: Optimizer, _ exchange: GradientExchange, _ method: any FineTuningMethod,
    _ communicator: Communicator, _ clock: StepClock, reviewsPerPass: Int, isDeterministic: Bool = false,
    isDense: Bool = false
  ) {
    (self.replica, self.optimizer, self.exchange, self.method) = (replica, optimizer, exchange, method)
    (self.communicator, self.clock) = (communicator, clock)
    (self.reviewsPerPass, self.isDense) = (reviewsPerPass, isDense)
    lookedUp = LookedUpRows(replica.store.table)
    touchedRows = lookedUp.noRows
    sharded = isDeterministic ? ShardedGradients(replica) : nil
    let defers =
      communicator.size == 1 && replica.workers.count > 1 && !isDeterministic && !replica.overwritten.isEmpty
    deferred = defers ? DeferredUpdate(optimizer, replica) : nil
    let watch = communicator.watch
    replica.progress = { watch.beat() }
    replica.completed = { [unowned self] stage in send(stage) }
    guard let deferred else { return }
    replica.reached = { halfLayer, worker in
      if halfLayer == .max { deferred.finish(worker) } else { deferred.reach(halfLayer, by: worker) }
    }
  }

  /// Computes a step's gradients and adds them up over all ranks; `update` or `leaveOut` follows.
  /// - Parameters:
  ///   - reviews: The reviews of all ranks.
  ///   - data: Where they are.
  ///   - step: The optimiser step, from 0.
  ///   - attention: Asked before the sums whether this rank wants everybody's attention.
  /// - Returns: The sums.
  /// - Throws: `Failure` when ranks cannot talk.
  package func run(
    _ reviews: [Int], of data: EncodedReviews, step: Int, attention: () -> Bool = { false }
  ) throws -> Sums {
    communicator.watch.enter(.computing, step: step + 1)
    clock.enter(.compute)
    if isDense {
      touched = lookedUp.everything
    } else {
      lookedUp.find(&touched, of: reviews[...], in: data, rows: &touchedRows)
    }
    // Until it is known over how many losses the mean is: a term of its own is for reviews.
    targetCount = reviews.count
    let own = try compute(reviews, of: data, step: step)
    communicator.watch.enter(.summing, step: step + 1)
    // The sums of a few numbers come first: they take as long as the last rank needs to get there, which tells waiting
    // from moving gradients at no cost.
    clock.enter(.waiting)
    // Each shard's loss comes from one rank and zeros from the others, so its sum is exact; the shards are then added
    // in one order.
    let count = sums.count
    sums.append(Double(own.reviews))
    sums.append(Double(own.tokens))
    sums.append(Double(own.targets))
    sums.append(attention() ? 1 : 0)
    try sums.withUnsafeMutableBufferPointer { try communicator.allReduceSum($0) }
    targetCount = max(1, Int(sums[count + 2]))
    clock.enter(.communication)
    let norm = try sumGradients(step)
    precondition(Int(sums[count]) == reviews.count, "every review of a step is computed exactly once")
    return Sums(
      loss: sums[..<count].reduce(0, +), reviews: Int(sums[count]), tokens: Int(sums[count + 1]),
      targets: targetCount, norm: norm, needsAttention: sums[count + 3] > 0)
  }

  /// This rank's passes; gradients that are complete are on their way already. Losses are all that `sums` has then.
  private func compute(_ reviews: [Int], of data: EncodedReviews, step: Int) throws -> Worker.Tally {
    let (rank, size) = (communicator.rank, communicator.size)
    sums.removeAll(keepingCapacity: true)
    if let sharded {
      for _ in 0..<ShardedGradients.shardCount(of: reviews.count) { sums.append(0) }
      return sums.withUnsafeMutableBufferPointer {
        sharded.addGradients(reviews[...], of: data, step: step, rank: rank, size: size, losses: $0)
      }
    }
    var total = Worker.Tally()
    guard let gradients = replica.gradients.baseAddress else {
      sums.append(0)
      return total
    }
    // One rank adds it for all.
    if communicator.isFirst { addRegularization(step) }
    exchange.begin(gradients, touched: touched)
    for first in stride(from: 0, to: reviews.count, by: reviewsPerPass) {
      let end = min(first + reviewsPerPass, reviews.count)
      total += replica.addGradients(
        reviews[first..<end], of: data, step: step, touched: touched, rank: rank, size: size,
        begins: first == 0, completes: end == reviews.count)
      deferred?.settle()
    }
    sums.append(total.loss)
    if let failure {
      self.failure = nil
      throw failure
    }
    return total
  }

  /// Gradients that are complete up to a stage go on their way.
  private func send(_ stage: Int) {
    guard failure == nil else { return }
    do { try exchange.complete(stage) } catch { failure = error }
  }

  private func addRegularization(_ step: Int) {
    guard let gradients = replica.gradients.baseAddress else { return }
    method.addRegularizationGradient(to: gradients, of: replica.store, reviewCount: targetCount, step: step)
  }

  /// - Returns: The global norm.
  private func sumGradients(_ step: Int) throws -> Double {
    if let sharded {
      try sharded.sum(on: communicator)
      clock.enter(.optimizer)
      addRegularization(step)
    } else {
      try exchange.finish()
      if let norm = try exchange.norm(count: targetCount) {
        clock.enter(.optimizer)
        return norm
      }
      clock.enter(.optimizer)
    }
    guard let gradients = replica.gradients.baseAddress else { return 0 }
    return optimizer.norm(
      of: gradients, count: targetCount, touched: touched, pool: replica.pool,
      squaresOfOverwritten: sharded == nil ? replica.squaresOfOverwritten : nil)
  }

  /// Steps along the gradients that `run` computed, and has all ranks get the same parameters.
  /// - Parameters:
  ///   - norm: The norm that `run` returned.
  ///   - learningRate: The rate of this step.
  ///   - defers: Whether another step follows before anybody else reads parameters or moments, so that some of them may
  ///     wait for its forward; `settle` ends that.
  /// - Throws: `Failure` when ranks cannot talk.
  package func update(norm: Double, learningRate: Double, defers: Bool = false) throws {
    guard let gradients = replica.gradients.baseAddress else { return }
    if defers, let deferred {
      return deferred.putOff(
        optimizer.stepBesideOverwritten(
          gradients, count: targetCount, norm: norm, learningRate: learningRate, touched: touched, replica.pool))
    }
    optimizer.step(
      gradients, count: targetCount, norm: norm, learningRate: learningRate, touched: touched, pool: replica.pool)
    guard exchange.isSharded else { return }
    clock.enter(.communication)
    try exchange.share(replica.store.trainable)
    // The optimiser rounds what it steps along; the rest has come from other ranks.
    let store = replica.store
    replica.pool.runRanges(store.table.trainableCount, with: store) { $0.refreshRounded($1) }
  }

  /// Brings all parameters and moments up to date.
  package func settle() { deferred?.settle(replica.pool) }

  /// Forgets the gradients that `run` computed.
  package func leaveOut() {
    guard let gradients = replica.gradients.baseAddress else { return }
    // All else is zero, and writing that would make memory of it.
    touched.forEach(in: 0..<touched.count) { setNumbers(gradients + $0.lowerBound, $0.count, to: 0) }
  }
}
