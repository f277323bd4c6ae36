import Plots
import Testing

/// Where ticks go and what they say.
@Suite("Ticks") struct TickTests {
  @Test(
    "Linear ticks are round and inside",
    arguments: [
      (0...1, 5, [0, 0.2, 0.4, 0.6, 0.8, 1]), (0.78...0.83, 5, [0.78, 0.79, 0.8, 0.81, 0.82, 0.83]),
      (0...1000, 4, [0, 250, 500, 750, 1000]), (-3...7, 5, [-2, 0, 2, 4, 6]), (0.05...0.35, 3, [0.1, 0.2, 0.3]),
      (17...18, 2, [17, 17.5, 18]),
    ] as [(ClosedRange<Double>, Int, [Double])])
  func linear(_ range: ClosedRange<Double>, _ count: Int, _ expected: [Double]) {
    // Equal to the last bit: a tick of 0.3 is not 0.30000000000000004.
    #expect(Ticks.linear(range, count: count) == expected)
  }

  @Test(
    "Durations have a clock's steps",
    arguments: [
      (0.0...61.0, 5, [0, 15, 30, 45, 60]), (0...1021, 5, [0, 300, 600, 900]),
      (3500...15_000, 4, [3600, 7200, 10_800, 14_400]),
    ] as [(ClosedRange<Double>, Int, [Double])])
  func durations(_ range: ClosedRange<Double>, _ count: Int, _ expected: [Double]) {
    #expect(Ticks.durations(range, count: count) == expected)
  }

  @Test(
    "Logarithmic ticks are powers, with 2 and 5 between few of them",
    arguments: [
      (1.0...1000.0, 10.0, 4, [1, 10, 100, 1000]), (0.01...1, 10, 6, [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1]),
      (1...8, 2, 6, [1, 2, 4, 8]), (1e-9...1, 10, 5, [1e-8, 1e-6, 1e-4, 1e-2, 1]),
      (20...60, 10, 4, [20, 30, 40, 50, 60]),
    ] as [(ClosedRange<Double>, Double, Int, [Double])])
  func logarithmic(_ range: ClosedRange<Double>, _ base: Double, _ count: Int, _ expected: [Double]) {
    let ticks = Ticks.logarithmic(range, base: base, count: count)
    #expect(ticks.count == expected.count)
    for (tick, value) in zip(ticks, expected) { #expect(abs(tick - value) <= 1e-12 * value) }
  }

  @Test("Short ticks lie between powers of ten")
  func minor() {
    #expect(Ticks.minor(1...10) == [2, 3, 4, 5, 6, 7, 8, 9])
    #expect(Ticks.minor(0.5...30).first == 0.5)
  }

  @Test(
    "What ticks say",
    arguments: [
      (Axis.Format.plain, 1500.0, 500.0 as Double?, "1,500"), (.plain, 0.3, 0.1, "0.3"), (.plain, 1, 0.25, "1.00"),
      (.plain, 2e6, 1e6, "2·10⁶"), (.plain, 1e-5, nil, "10⁻⁵"), (.plain, -12_345, nil, "-12,345"),
      (.plain, 0, 0.1, "0"),
      (.percent, 0.25, 0.05, "25 %"), (.percent, 0.0089, nil, "0.89 %"), (.figure, 0.871, nil, ".871"),
      (.figure, 0.8, 0.1, ".8"), (.figure, 1, 0.1, "1.0"), (.duration, 1021, nil, "17:01"),
      (.duration, 3661, nil, "1:01:01"),
      (.duration, 2.5, nil, "2.50 s"), (.duration, 3, 0.5, "3.0 s"), (.figure, 0, 0.5, "0"),
      (.metric, 1.5e3, nil, "1.5 k"), (.metric, 2e7, nil, "20 M"),
    ] as [(Axis.Format, Double, Double?, String)])
  func texts(_ format: Axis.Format, _ value: Double, _ step: Double?, _ expected: String) {
    #expect(format.text(value, step: step) == expected)
  }

  @Test("A fitted axis maps its ends to 0 and 1, in its own measure")
  func fractions() {
    let linear = Axis("x", range: 2...4).fitted(to: [], ticks: 5)
    #expect(linear.fraction(2) == 0)
    #expect(linear.fraction(3) == 0.5)
    let logarithmic = Axis("x", scale: .log(base: 10), range: 1...100).fitted(to: [], ticks: 5)
    #expect(abs(logarithmic.fraction(10) - 0.5) < 1e-12)
    #expect(logarithmic.fraction(100) == 1)
  }

  @Test("An axis covers its data with a margin, whatever they are")
  func covering() {
    let axis = Axis("x").fitted(to: [1, 3], ticks: 5)
    #expect(axis.range.lowerBound < 1 && axis.range.upperBound > 3)
    #expect(Axis("x", startsAtZero: true).fitted(to: [1, 3], ticks: 5).range.lowerBound == 0)
    #expect(Axis("x").fitted(to: [], ticks: 5).range == 0...1)
    #expect(Axis("x").fitted(to: [5], ticks: 5).range.contains(5))
    #expect(Axis("x").fitted(to: [0, .nan, .infinity], ticks: 5).range.contains(0))
    let log = Axis("x", scale: .log(base: 10)).fitted(to: [0, -1, 0.5], ticks: 5)
    #expect(log.range.lowerBound > 0 && log.range.contains(0.5))
  }
}
