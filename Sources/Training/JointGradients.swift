internal import BERT
internal import Glibc
internal import Synchronization
internal import Tensors

/// The gradients of the encoder's matrices, which a rank's workers compute together: at the end of each layer they meet,
/// and each computes a part of every matrix over the reviews of all of them.
///
/// So a rank has one gradient of each matrix, whatever its threads, and nobody adds workers' up. The first product of a
/// step overwrites what was there before it, so nobody has to clear it either. A part is written by one worker alone, in
/// the order of workers, so the sums are the same from run to run.
final class JointGradients: @unchecked Sendable {
  /// Where the matrices lie in the trainable block, in order.
  let ranges: [Range<Int>]
  private let gradients: UnsafeMutablePointer<Float>
  private let count: Int
  /// `[workers]`.
  private let hands: UnsafeMutablePointer<Hand>
  /// How often workers came to meetings, and left them, since the start.
  private let arrived = Atomic<Int>(0)
  private let left = Atomic<Int>(0)

  /// What a worker brings to a meeting. The most that a layer has is six.
  private struct Hand {
    var products: [Product] = []
    /// Whether it has no more passes.
    var isEmpty = false
    /// How many meetings it was at.
    var meetings = 0
    /// `[ranges]`: whether its part of a matrix was written in the step under way; its own alone.
    var isWritten: [Bool]
  }

  private struct Product {
    let dy: Operand
    let x: Operand
    let weight: Parameter
  }

  /// Gradients of the matrices of an encoder.
  /// - Parameters:
  ///   - encoder: Its projections; what is trained of their weights is what is computed together.
  ///   - gradients: The trainable block's, where the sums go.
  ///   - workerCount: How many workers meet.
  /// - Returns: nil where no matrix is trained.
  init?(_ encoder: BERTModel, _ gradients: UnsafeMutableBufferPointer<Float>, workerCount: Int) {
    ranges = JointGradients.ranges(of: encoder)
    guard let gradients = gradients.baseAddress, !ranges.isEmpty else { return nil }
    self.gradients = gradients
    count = workerCount
    hands = .allocate(capacity: workerCount)
    for worker in 0..<workerCount {
      (hands + worker).initialize(to: Hand(isWritten: [Bool](repeating: false, count: ranges.count)))
      hands[worker].products.reserveCapacity(8)
    }
  }

  /// Where an encoder's trained matrices lie in the trainable block, in order.
  static func ranges(of encoder: BERTModel) -> [Range<Int>] {
    encoder.layers.flatMap(\.projections).map(\.weight).filter(\.isTrainable)
      .map { $0.offset..<$0.offset + $0.count }.sorted { $0.lowerBound < $1.lowerBound }
  }

  deinit {
    hands.deinitialize(count: count)
    hands.deallocate()
  }

  /// A worker begins its passes; on its thread.
  /// - Parameters:
  ///   - worker: Which one.
  ///   - isFirst: Whether a step begins with them, so that earlier gradients are not added to.
  func begin(_ worker: Int, isFirst: Bool) {
    hands[worker].isEmpty = false
    guard isFirst else { return }
    for index in ranges.indices { hands[worker].isWritten[index] = false }
  }

  /// A worker hands a product in.
  func add(_ dy: Operand, _ x: Operand, of weight: Parameter, by worker: Int) -> Bool {
    guard first(in: weight.offset..<weight.offset + weight.count) != nil else { return false }
    let product = Product(dy: dy, x: x, weight: weight)
    if count == 1 { compute(product, part: 0) } else { hands[worker].products.append(product) }
    return true
  }

  /// A worker meets the others: returns when what all have handed in is computed.
  func meet(_ worker: Int) {
    if count == 1 { return }
    meetOnce(worker)
    hands[worker].products.removeAll(keepingCapacity: true)
  }

  /// A worker has no more passes: it comes to the meetings of those that have.
  /// - Parameter completes: Whether the step is over: what nobody had a product for is then zero.
  func finish(_ worker: Int, completes: Bool) {
    if count > 1 {
      hands[worker].isEmpty = true
      while !meetOnce(worker) {}
    }
    guard completes else { return }
    for index in ranges.indices where !hands[worker].isWritten[index] {
      let range = ranges[index]
      let part = part(worker, of: range.count)
      (gradients + range.lowerBound + part.lowerBound).update(repeating: 0, count: part.count)
    }
  }

  /// - Returns: Whether nobody has any more passes.
  @discardableResult
  private func meetOnce(_ worker: Int) -> Bool {
    hands[worker].meetings += 1
    let all = hands[worker].meetings * count
    arrived.add(1, ordering: .acquiringAndReleasing)
    wait(until: arrived, reaches: all)
    var isOver = true
    for other in 0..<count {
      if !hands[other].isEmpty { isOver = false }
      for index in hands[other].products.indices { compute(hands[other].products[index], part: worker) }
    }
    left.add(1, ordering: .acquiringAndReleasing)
    wait(until: left, reaches: all)
    return isOver
  }

  /// Others work as long as this worker did, so it looks again at once; where threads share a core it makes way.
  private func wait(until counter: borrowing Atomic<Int>, reaches all: Int) {
    var looks = 0
    while counter.load(ordering: .acquiring) < all {
      looks += 1
      if looks > 2000 { sched_yield() }
    }
  }

  /// A worker's part of a product: some rows of the gradient, or some columns where those are more.
  private func compute(_ product: Product, part worker: Int) {
    let weight = product.weight
    let whole = weight.offset..<weight.offset + weight.count
    guard let first = first(in: whole) else { return }
    let beta: Float = hands[worker].isWritten[first] ? 1 : 0
    var index = first
    while index < ranges.count, ranges[index].lowerBound < whole.upperBound {
      hands[worker].isWritten[index] = true
      index += 1
    }
    let dWeight = Matrix(gradients + weight.offset, rows: weight.rows, columns: weight.columns)
    if weight.rows >= weight.columns {
      let part = part(worker, of: weight.rows)
      multiplyTransposed(product.dy.columns(part), product.x, into: dWeight.rows(part), beta: beta)
    } else {
      let part = part(worker, of: weight.columns)
      multiplyTransposed(product.dy, product.x.columns(part), into: dWeight.columns(part), beta: beta)
    }
  }

  /// A worker's part of so many rows or columns, in whole vectors.
  private func part(_ worker: Int, of total: Int) -> Range<Int> {
    func bound(_ worker: Int) -> Int { worker == count ? total : total * worker / count & ~15 }
    return bound(worker)..<bound(worker + 1)
  }

  /// The first matrix that lies within a range.
  private func first(in range: Range<Int>) -> Int? {
    var (low, high) = (0, ranges.count)
    while low < high {
      let middle = (low + high) / 2
      if ranges[middle].lowerBound < range.lowerBound { low = middle + 1 } else { high = middle }
    }
    return low < ranges.count && ranges[low].upperBound <= range.upperBound ? low : nil
  }
}

/// A worker's way to the gradients that all compute together.
final class JointGradientsOfWorker: WeightGradients {
  private unowned let joint: JointGradients
  private let worker: Int

  init(_ joint: JointGradients, worker: Int) { (self.joint, self.worker) = (joint, worker) }

  func add(_ dy: Operand, _ x: Operand, of weight: Parameter) -> Bool {
    joint.add(dy, x, of: weight, by: worker)
  }

  func settle() { joint.meet(worker) }
}
