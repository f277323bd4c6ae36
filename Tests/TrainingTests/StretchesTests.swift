import Tensors
import Testing
import Training

/// Where a step has something to do.
@Suite
struct StretchesTests {
  @Test func stretchesThatTouchAreOne() {
    var stretches = Stretches()
    for range in [0..<3, 3..<5, 5..<5, 8..<9, 20..<30] { stretches.append(range) }
    #expect(stretches.ranges == [0..<5, 8..<9, 20..<30])
    #expect(stretches.count == 16)
  }

  /// Whatever the parts are, together they are every number once, in order.
  @Test(arguments: [1, 2, 3, 5, 7, 16, 40])
  func partsCoverAllOnce(_ parts: Int) {
    var stretches = Stretches()
    for range in [1..<5, 8..<9, 20..<30, 31..<32] { stretches.append(range) }
    var found: [Int] = []
    for part in 0..<parts {
      let range = stretches.count * part / parts..<stretches.count * (part + 1) / parts
      stretches.forEach(in: range) { found += Array($0) }
    }
    #expect(found == Array(1..<5) + [8] + Array(20..<30) + [31])
    Stretches().forEach(in: 0..<0) { _ in Issue.record("there is nothing") }
  }

  private func places(_ rows: LookedUpRows, _ reviews: [Int], _ data: EncodedReviews) -> Stretches {
    var (stretches, set) = (Stretches(), rows.noRows)
    rows.find(&stretches, of: reviews[...], in: data, rows: &set)
    return stretches
  }

  private static let table = ParameterTable([
    ParameterSpecification("before", [4], .constant(0), isTrainable: true),
    ParameterSpecification("table", [10, 3], .constant(0), isTrainable: true, isLookedUp: true),
    ParameterSpecification("after", [5], .constant(0), isTrainable: true),
  ])

  @Test func aStepTouchesAllButTheRowsThatItsReviewsLack() {
    let data = EncodedReviews(reviews: [[1, 7, 1], [2, 9], [5]], labels: [0, 1, 0])
    let rows = LookedUpRows(Self.table)
    #expect(places(rows, [0, 1], data).ranges == [0..<4, 7..<13, 25..<28, 31..<39])
    #expect(places(rows, [2], data).ranges == [0..<4, 19..<22, 34..<39])
    #expect(places(rows, [], data).ranges == [0..<4, 34..<39])
  }

  @Test func withoutALookedUpTableItTouchesEverything() {
    let table = ParameterTable([ParameterSpecification("w", [4, 2], .constant(0), isTrainable: true)])
    let data = EncodedReviews(reviews: [[1]], labels: [0])
    #expect(places(LookedUpRows(table), [0], data).ranges == [0..<8])
  }

  /// Against a set of the numbers one by one.
  @Test func withoutRanges() {
    let ranges = [2..<5, 7..<20, 21..<22, 30..<40]
    var stretches = Stretches()
    for range in ranges { stretches.append(range) }
    var rest = Stretches()
    for others in [[], [0..<50], [0..<3, 4..<8], [5..<7], [9..<10, 10..<12, 19..<31], [21..<22], [35..<36, 39..<45]] {
      stretches.find(&rest, without: others)
      let expected = ranges.flatMap { Array($0) }.filter { number in !others.contains { $0.contains(number) } }
      #expect(rest.ranges.flatMap { Array($0) } == expected && rest.count == expected.count)
    }
  }

  /// Steps along what was touched, interrupted and taken up again from the moments alone, against dense ones.
  @Test(arguments: [0.0, 0.1])
  func stepsAreThoseOfTheDenseBlock(_ weightDecay: Double) throws {
    let count = Self.table.trainableCount
    let reviews: [[Int32]] = [[1, 7], [2], [9, 1], [3], [7]]
    let data = EncodedReviews(reviews: reviews, labels: [0, 0, 0, 0, 0])
    let lookedUp = LookedUpRows(Self.table)
    var settings = Optimizer.Settings()
    (settings.weightDecay, settings.maxGradientNorm) = (weightDecay, nil)
    func run(isDense: Bool, interruptedAt: Int?) throws -> [Float] {
      let values = UnsafeMutablePointer<Float>.allocate(capacity: count)
      defer { values.deallocate() }
      for i in 0..<count { values[i] = Float(i) / 7 - 2 }
      let gradients = UnsafeMutablePointer<Float>.allocate(capacity: count)
      defer { gradients.deallocate() }
      gradients.initialize(repeating: 0, count: count)
      let store = ParameterStore(table: Self.table, frozen: values, trainable: values)
      var optimizer = try Optimizer(store, settings)
      for step in reviews.indices {
        if step == interruptedAt {
          let next = try Optimizer(store, settings)
          _ = next.firstMoments.update(fromContentsOf: optimizer.firstMoments)
          _ = next.secondMoments.update(fromContentsOf: optimizer.secondMoments)
          next.resume(after: step)
          optimizer = next
        }
        let touched = places(lookedUp, [step], data)
        touched.forEach(in: 0..<touched.count) { for i in $0 { gradients[i] = Float((i * 31 + step * 17) % 23 - 11) } }
        let given = isDense ? nil : touched
        let norm = optimizer.norm(of: gradients, count: 1, touched: given)
        optimizer.step(gradients, count: 1, norm: norm, learningRate: 0.01, touched: given)
        #expect((0..<count).allSatisfy { gradients[$0] == 0 })
      }
      return Array(UnsafeBufferPointer(start: values, count: count))
    }
    let dense = try run(isDense: true, interruptedAt: nil)
    #expect(try run(isDense: false, interruptedAt: nil) == dense)
    for step in 1..<reviews.count { #expect(try run(isDense: false, interruptedAt: step) == dense) }
    // No step reaches this one: it decays and does nothing else.
    let kept = reviews.reduce(Float(4) / 7 - 2) { value, _ in value * (1 - 0.01 * Float(weightDecay)) }
    #expect(abs(dense[4] - kept) < 1e-6)
  }
}
