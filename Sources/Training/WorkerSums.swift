internal import BERT
internal import Kernels
internal import Synchronization

/// The sum of the gradients of a rank's workers, stage by stage while backward goes on: the last worker to complete a
/// stage adds it up, so that it can be sent to other ranks while all of them work on the stages below.
///
/// Workers are added in their order whoever does it, so the sum is the same from run to run.
final class WorkerSums: @unchecked Sendable {
  let stageCount: Int
  private let gradients: [UnsafeMutableBufferPointer<Float>]
  private let ranges: [[Range<Int>]]
  private let besides: Range<Int>
  /// `[stages]`: how many workers have completed a stage, and whether it has been added up.
  private let arrived: UnsafeMutablePointer<Atomic<Int>>
  private let isSummed: UnsafeMutablePointer<Atomic<Bool>>
  /// `[workers]`: the first stage that a worker has not completed; its own alone.
  private let next: UnsafeMutablePointer<Int>

  /// Sums over workers' gradients.
  /// - Parameters:
  ///   - gradients: Each worker's; the first one's gets the sum, the others' are zero afterwards.
  ///   - stages: When backward completes what.
  ///   - besides: What is left to `finish`: a table of which a step touches only some rows.
  ///   - except: In order, what workers compute together in the first one's gradients.
  init(
    _ gradients: [UnsafeMutableBufferPointer<Float>], _ stages: BackwardStages, besides: Range<Int>,
    except: [Range<Int>] = []
  ) {
    self.gradients = gradients
    self.besides = besides
    stageCount = stages.ranges.count
    ranges = stages.ranges.map { ranges in
      ranges.flatMap { range in
        let after = besides.upperBound..<max(besides.upperBound, range.upperBound)
        return [range.clamped(to: 0..<besides.lowerBound), range.clamped(to: after)]
      }.flatMap { WorkerSums.gaps(of: $0, between: except) }
    }
    arrived = .allocate(capacity: stageCount)
    isSummed = .allocate(capacity: stageCount)
    next = .allocate(capacity: gradients.count)
    for stage in 0..<stageCount {
      (arrived + stage).initialize(to: Atomic(0))
      (isSummed + stage).initialize(to: Atomic(false))
    }
    next.initialize(repeating: 0, count: gradients.count)
  }

  deinit {
    arrived.deallocate()
    isSummed.deallocate()
    next.deallocate()
  }

  /// Before the workers start.
  func begin() {
    for stage in 0..<stageCount {
      arrived[stage].store(0, ordering: .relaxed)
      isSummed[stage].store(false, ordering: .relaxed)
    }
    next.update(repeating: 0, count: gradients.count)
  }

  /// A worker has completed everything up to a stage; on its thread.
  func complete(_ stage: Int, by worker: Int) {
    while next[worker] <= stage {
      let stage = next[worker]
      next[worker] += 1
      let count = arrived[stage].wrappingAdd(1, ordering: .acquiringAndReleasing).newValue
      guard count == gradients.count else { continue }
      for range in ranges[stage] { add(range) }
      isSummed[stage].store(true, ordering: .releasing)
    }
  }

  /// The last stage up to which all are added up; -1 for none.
  var lastSummed: Int {
    var stage = 0
    while stage < stageCount, isSummed[stage].load(ordering: .acquiring) { stage += 1 }
    return stage - 1
  }

  /// Adds up what is left when all workers are done: the table's rows that were touched, or all of them.
  func finish(_ touched: Stretches?, _ pool: WorkerPool) {
    guard gradients.count > 1, !besides.isEmpty else { return }
    let touched = touched ?? Stretches(all: besides.upperBound)
    pool.runRanges(touched.count, with: (self, touched)) { values, part in
      let (sums, touched) = values
      touched.forEach(in: part) { sums.add($0.clamped(to: sums.besides)) }
    }
  }

  /// What is left of a range without others, which come in order.
  private static func gaps(of range: Range<Int>, between others: [Range<Int>]) -> [Range<Int>] {
    var gaps: [Range<Int>] = []
    var start = range.lowerBound
    for other in others where other.overlaps(range) {
      if start < other.lowerBound { gaps.append(start..<other.lowerBound) }
      start = other.upperBound
    }
    if start < range.upperBound { gaps.append(start..<range.upperBound) }
    return gaps
  }

  private func add(_ range: Range<Int>) {
    guard !range.isEmpty, let sum = gradients.first?.baseAddress else { return }
    for other in gradients.dropFirst() {
      guard let other = other.baseAddress else { continue }
      moveSum(other + range.lowerBound, to: sum + range.lowerBound, range.count)
    }
  }
}
