import Metrics
import Testing

/// Expected numbers: SciPy 1.17.1.
@Suite struct WilsonIntervalTests {
  /// `scipy.stats.binomtest(successes, trials).proportion_ci(method="wilson")`
  @Test(arguments: [
    (0, 10, 0.0, 0.27753279986288926), (8, 10, 0.4901624715366418, 0.9433178485456248),
    (10, 10, 0.7224672001371109, 1.0), (43_000, 50_000, 0.8569309151604788, 0.8630137720821368),
    (1, 3, 0.06149194472039626, 0.7923403991979523), (0, 1, 0.0, 0.7934506856227626),
  ])
  func agreesWithSciPy(_ successes: Int, _ trials: Int, _ lower: Double, _ upper: Double) {
    let interval = WilsonInterval(successes: successes, trials: trials)
    #expect(
      isClose(interval.lower, lower, relative: 1e-12) && isClose(interval.upper, upper, relative: 1e-12))
  }

  @Test func withoutTrialsNothingIsKnown() {
    let interval = WilsonInterval(successes: 0, trials: 0)
    #expect(interval.lower == 0 && interval.upper == 1)
  }
}

@Suite struct McNemarTests {
  /// `scipy.stats.binomtest(min(b, c), b + c).pvalue`
  @Test(arguments: [
    (10, 20, 0.09873714670538905), (0, 5, 0.0625), (3, 3, 1.0), (1, 9, 0.021484375), (7, 0, 0.015625),
    (0, 0, 1.0),
    (121, 59, 4.4344492637551645e-06), (480, 520, 0.2174482932041415), (400, 600, 2.728464156065947e-10),
  ])
  func smallCountsAreExact(_ first: Int, _ second: Int, _ pValue: Double) {
    let test = McNemarTest(onlyFirstCorrect: first, onlySecondCorrect: second)
    // SciPy's own sums are good to about 1e-10.
    #expect(test.isExact && isClose(test.pValue, pValue, relative: 1e-9), "\(test.pValue)")
  }

  /// `scipy.stats.chi2.sf((abs(b - c) - 1)**2 / (b + c), 1)`
  @Test(arguments: [
    (600, 401, 3.894924773975021e-10), (1200, 1300, 0.04770352868301684), (501, 500, 1.0), (2000, 2000, 1.0),
    (3000, 1000, 2.9619356504474917e-219),
  ])
  func largeCountsAreApproximated(_ first: Int, _ second: Int, _ pValue: Double) {
    let test = McNemarTest(onlyFirstCorrect: first, onlySecondCorrect: second)
    #expect(!test.isExact && isClose(test.pValue, pValue, relative: 1e-11), "\(test.pValue)")
  }

  /// The approximation takes over where it is good: 2 % apart at the most telling counts.
  @Test func bothWaysMeet() {
    let exact = McNemarTest(onlyFirstCorrect: 470, onlySecondCorrect: 530)
    let approximate = McNemarTest(onlyFirstCorrect: 470, onlySecondCorrect: 531)
    #expect(exact.isExact && !approximate.isExact)
    #expect(approximate.pValue < exact.pValue && approximate.pValue > 0.93 * exact.pValue)
  }

  @Test func countsReviewsThatOnlyOneGetsRight() throws {
    let test = try McNemarTest(
      labels: [0, 0, 1, 1, 2, 2, 0], first: [0, 1, 1, 0, 2, 1, 1], second: [0, 0, 1, 1, 0, 1, 2])
    #expect(test.onlyFirstCorrect == 1 && test.onlySecondCorrect == 2)
    #expect(test.pValue == 1)
    #expect(throws: MetricsError.self) { try McNemarTest(labels: [0], first: [0, 1], second: [0]) }
  }
}
