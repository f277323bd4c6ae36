internal import BERT
internal import Kernels
internal import Synchronization
internal import Tensors

/// The gradients of the encoder's matrices, which a rank's workers compute together: at the end of each layer they meet,
/// and each computes a part of every matrix over the reviews of all of them.
///
/// So a rank has one gradient of each matrix, whatever its threads, and nobody adds workers' up. The first product of a
/// step overwrites what was there before it, so nobody has to clear it either; after the last one a part is in the
/// caches, so its squares are added up then. A part is written by one worker alone, in the order of workers, so the sums
/// are the same from run to run.
///
/// A worker leaves a meeting when it has done its part. What it handed in is read until the next meeting begins.
final class JointGradients: @unchecked Sendable {
  /// Where the matrices lie in the trainable block, in order.
  let ranges: [Range<Int>]
  private let gradients: UnsafeMutablePointer<Float>
  private let count: Int
  /// `[workers]`: what others may know of a worker, which changes while nobody reads it; and what is its own alone.
  private let hands: UnsafeMutablePointer<Hand>
  private let own: UnsafeMutablePointer<Own>
  /// How often workers came to meetings, and left them, since the start.
  private let arrived = Atomic<Int>(0)
  private let left = Atomic<Int>(0)

  /// `[workers, 2]`: what a worker hands in, to every other meeting in turn. The most that a layer has is six.
  private let products: UnsafeMutablePointer<[Product]>

  private struct Hand {
    /// Whether it has no more passes.
    var isEmpty = false
    /// Whether its pass is its last one of the step.
    var isLast = false
  }

  private struct Own {
    /// How many meetings it was at.
    var meetings = 0
    /// `[ranges]`: whether its part of a matrix was written in the step under way.
    var isWritten: [Bool]
    /// `[ranges]`: the sum of the squares of its part of a matrix; negative while that is not known.
    var squares: [Double]
  }

  private struct Product {
    let dy: Operand
    let x: Operand
    let weight: Parameter
  }

  /// Gradients of the matrices of an encoder; nil where no matrix is trained.
  /// - Parameters:
  ///   - encoder: Its projections; what is trained of their weights is what is computed together.
  ///   - gradients: The trainable block's, where the sums go.
  ///   - workerCount: How many workers meet.
  init?(_ encoder: BERTModel, _ gradients: UnsafeMutableBufferPointer<Float>, workerCount: Int) {
    ranges = JointGradients.ranges(of: encoder)
    guard let gradients = gradients.baseAddress, !ranges.isEmpty else { return nil }
    self.gradients = gradients
    count = workerCount
    hands = .allocate(capacity: workerCount)
    hands.initialize(repeating: Hand(), count: workerCount)
    own = .allocate(capacity: workerCount)
    for worker in 0..<workerCount {
      let (isWritten, squares) = (ranges.map { _ in false }, ranges.map { _ in -1.0 })
      (own + worker).initialize(to: Own(isWritten: isWritten, squares: squares))
    }
    products = .allocate(capacity: 2 * workerCount)
    products.initialize(repeating: [], count: 2 * workerCount)
    for index in 0..<2 * workerCount { products[index].reserveCapacity(8) }
  }

  /// Where an encoder's trained matrices lie in the trainable block, in order.
  static func ranges(of encoder: BERTModel) -> [Range<Int>] {
    encoder.layers.flatMap(ranges).sorted { $0.lowerBound < $1.lowerBound }
  }

  /// Where a layer's trained matrices lie in the trainable block, in order.
  static func ranges(of layer: EncoderLayer) -> [Range<Int>] {
    layer.projections.map(\.weight).filter(\.isTrainable)
      .map { $0.offset..<$0.offset + $0.count }.sorted { $0.lowerBound < $1.lowerBound }
  }

  deinit {
    hands.deallocate()
    own.deinitialize(count: count)
    own.deallocate()
    products.deinitialize(count: 2 * count)
    products.deallocate()
  }

  /// A worker begins its passes; on its thread.
  /// - Parameters:
  ///   - worker: Which one.
  ///   - isFirst: Whether a step begins with them, so that earlier gradients are not added to.
  func begin(_ worker: Int, isFirst: Bool) {
    hands[worker].isEmpty = false
    guard isFirst else { return }
    for index in ranges.indices { (own[worker].isWritten[index], own[worker].squares[index]) = (false, -1) }
  }

  /// A worker begins a pass, whose memory others may still read from its last one.
  /// - Parameters:
  ///   - worker: Which one.
  ///   - isLast: Whether it is the worker's last one of the step, and squares are asked for.
  func beginPass(_ worker: Int, isLast: Bool) {
    waitForOthers(worker)
    hands[worker].isLast = isLast
  }

  /// Returns when all have left the last meeting that a worker was at: until then others read what it handed in and what
  /// is known of it.
  private func waitForOthers(_ worker: Int) {
    if count > 1 { spin(until: left, reaches: own[worker].meetings * count) }
  }

  /// A worker hands a product in.
  func add(_ dy: Operand, _ x: Operand, of weight: Parameter, by worker: Int) -> Bool {
    guard first(in: weight.offset..<weight.offset + weight.count) != nil else { return false }
    let product = Product(dy: dy, x: x, weight: weight)
    if count == 1 {
      compute(product, part: 0)
      if hands[0].isLast { addSquares(of: weight, part: 0) }
    } else {
      products[2 * worker + own[worker].meetings & 1].append(product)
    }
    return true
  }

  /// A worker meets the others and computes its part of what all have handed in.
  func meet(_ worker: Int) { if count > 1 { meetOnce(worker) } }

  /// A worker has no more passes: it comes to the meetings of those that have.
  /// - Parameters:
  ///   - worker: Which one.
  ///   - completes: Whether the step is over: what nobody had a product for is then zero.
  ///   - countsSquares: Whether squares are asked for then.
  func finish(_ worker: Int, completes: Bool, countsSquares: Bool) {
    if count > 1 {
      waitForOthers(worker)
      hands[worker].isEmpty = true
      while !meetOnce(worker) {}
    }
    guard completes else { return }
    for index in ranges.indices {
      let range = ranges[index]
      let part = workerPart(worker, of: count, total: range.count)
      let numbers = gradients + range.lowerBound + part.lowerBound
      if !own[worker].isWritten[index] { setNumbers(numbers, part.count, to: 0) }
      // Where the last pass had nothing to read.
      if countsSquares, own[worker].squares[index] < 0 {
        own[worker].squares[index] = sumOfSquares(numbers, part.count)
      }
    }
  }

  /// The sum of the squares of all gradients of matrices, when all workers have finished a step.
  var squares: Double {
    (0..<count).reduce(0) { $0 + own[$1].squares.reduce(0, +) }
  }

  /// - Returns: Whether nobody has any more passes.
  @discardableResult
  private func meetOnce(_ worker: Int) -> Bool {
    let turn = own[worker].meetings & 1
    own[worker].meetings += 1
    arrived.add(1, ordering: .acquiringAndReleasing)
    spin(until: arrived, reaches: own[worker].meetings * count)
    // All have left the last meeting, so nobody reads what was handed in there.
    products[2 * worker + 1 - turn].removeAll(keepingCapacity: true)
    var (most, isOver, isLast) = (0, true, true)
    for other in 0..<count {
      most = max(most, products[2 * other + turn].count)
      isOver = isOver && hands[other].isEmpty
      isLast = isLast && (hands[other].isEmpty || hands[other].isLast)
    }
    for index in 0..<most {
      for other in 0..<count where index < products[2 * other + turn].count {
        compute(products[2 * other + turn][index], part: worker)
      }
      // Passes of a step meet layer by layer, so all have the same matrix there.
      for other in 0..<count where isLast && index < products[2 * other + turn].count {
        addSquares(of: products[2 * other + turn][index].weight, part: worker)
      }
    }
    left.add(1, ordering: .acquiringAndReleasing)
    return isOver
  }

  /// A worker's part of a product.
  private func compute(_ product: Product, part worker: Int) {
    let weight = product.weight
    let whole = weight.offset..<weight.offset + weight.count
    guard let first = first(in: whole) else { return }
    let beta: Float = own[worker].isWritten[first] ? 1 : 0
    forEachMatrix(in: whole) { own[worker].isWritten[$0] = true }
    let dWeight = part(worker, of: weight)
    if weight.rows >= weight.columns {
      let rows = workerPart(worker, of: count, total: weight.rows)
      multiplyTransposed(product.dy.columns(rows), product.x, into: dWeight, beta: beta)
    } else {
      let columns = workerPart(worker, of: count, total: weight.columns)
      multiplyTransposed(product.dy, product.x.columns(columns), into: dWeight, beta: beta)
    }
  }

  /// Adds up the squares of a worker's part of a gradient, unless that was done.
  private func addSquares(of weight: Parameter, part worker: Int) {
    let whole = weight.offset..<weight.offset + weight.count
    guard let first = first(in: whole), own[worker].squares[first] < 0 else { return }
    forEachMatrix(in: whole) { own[worker].squares[$0] = 0 }
    let dWeight = part(worker, of: weight)
    for row in 0..<dWeight.rows {
      own[worker].squares[first] += sumOfSquares(dWeight.row(row), dWeight.columns)
    }
  }

  private func forEachMatrix(in whole: Range<Int>, _ body: (Int) -> Void) {
    guard var index = first(in: whole) else { return }
    while index < ranges.count, ranges[index].lowerBound < whole.upperBound {
      body(index)
      index += 1
    }
  }

  /// A worker's part of a gradient: some rows, or some columns where those are more.
  private func part(_ worker: Int, of weight: Parameter) -> Matrix {
    let dWeight = Matrix(gradients + weight.offset, rows: weight.rows, columns: weight.columns)
    return weight.rows >= weight.columns
      ? dWeight.rows(workerPart(worker, of: count, total: weight.rows))
      : dWeight.columns(workerPart(worker, of: count, total: weight.columns))
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
