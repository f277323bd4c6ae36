import Datasets
import ScalingModel
import Testing

/// Steps of a machine whose parameters are known.
private struct Truth {
  let fixed = 2e-3, perToken = 9e-6, company = 0.1, alpha = 6e-6, beta = 1 / 3e9, jitter = 0.03
  let bytes = ["big": 40e6, "small": 4e5]

  func point(_ method: String, ranks: Int, tokens: Double, cores: Int = 8) -> MeasuredPoint {
    let setting = Setting(method: method, ranks: ranks, batch: 32 * ranks, cores: cores)
    let share = min(1, Double(ranks - 1) / Double(cores - 1))
    let crowding = max(1, Double(ranks) / Double(cores))
    let load = TokenLoads.Load(busiest: tokens, mean: tokens)
    let compute = crowding * (fixed + tokens * perToken) * (1 + share * company)
    let work = GradientSum(bytes: Int(bytes[method] ?? 0)).work(ranks: ranks)
    let communication = crowding * (alpha * work.messages + beta * work.bytes)
    // √(2 ln p): 1.17741 for 2 and 1.66511 for 4 ranks.
    let waiting = ranks == 1 ? 0 : jitter * compute * (ranks == 2 ? 1.1774100 : ranks == 4 ? 1.6651092 : 2.0393339)
    return MeasuredPoint(
      setting, load: load, seconds: compute + communication + waiting, compute: compute,
      communication: communication, waiting: waiting, bytes: bytes[method] ?? 0)
  }
}

@Suite("A model of a step")
struct StepModelTests {
  private let truth = Truth()

  private var points: [MeasuredPoint] {
    ["big", "small"].flatMap { method in
      [1, 2, 4].flatMap { ranks in [300.0, 600].map { truth.point(method, ranks: ranks, tokens: $0) } }
    }
  }

  @Test("parameters of a known machine are found again")
  func recovers() throws {
    let model = StepModel(fitting: points)
    for name in ["big", "small"] {
      let method = try #require(model.methods[name])
      #expect(abs(method.fixedSeconds / truth.fixed - 1) < 1e-6)
      #expect(abs(method.secondsPerToken / truth.perToken - 1) < 1e-6)
    }
    #expect(abs(model.company / truth.company - 1) < 1e-5)
    let link = try #require(model.within)
    #expect(abs(link.latency / truth.alpha - 1) < 1e-3)
    #expect(abs(link.secondsPerByte / truth.beta - 1) < 1e-6)
    #expect(abs(model.jitter / truth.jitter - 1) < 1e-5)
  }

  @Test("eight ranks are predicted from fewer")
  func extrapolates() throws {
    let eight = truth.point("big", ranks: 8, tokens: 500)
    let step = try #require(StepModel(fitting: points).step(eight.setting, load: eight.load))
    #expect(abs(step.total / eight.seconds - 1) < 1e-5)
    let results = HoldOut.beyond(ranks: 4, of: points + [eight])
    #expect(results.count == 1)
    #expect(abs(results[0].error) < 1e-5)
  }

  @Test("a point that is left out is predicted by the others, and a wrong one stands out")
  func holdsOut() {
    #expect(HoldOut.each(of: points).count == points.count)
    for one in HoldOut.each(of: points) { #expect(abs(one.error) < 0.02) }
    var wrong = points
    wrong[3].seconds *= 2
    wrong[3].compute *= 2
    let errors = HoldOut.each(of: wrong).map { abs($0.error) }
    #expect(errors[3] > 0.3)
  }

  @Test("crowded cores count in full, and do not spoil the fit")
  func crowded() throws {
    let crowded = truth.point("small", ranks: 16, tokens: 300)
    #expect(crowded.setting.isOversubscribed && crowded.setting.crowding == 2)
    #expect(StepModel(fitting: points + [crowded]) == StepModel(fitting: points))
    let step = try #require(StepModel(fitting: points).step(crowded.setting, load: crowded.load))
    #expect(abs(step.compute / crowded.compute - 1) < 1e-5)
  }

  @Test("on shared cores ranks take whole turns in short steps, threads of one rank do not")
  func turns() throws {
    func setting(_ ranks: Int, threads: Int = 1) -> Setting {
      Setting(method: "small", ranks: ranks, threads: threads, batch: 32, cores: 2)
    }
    #expect(abs(setting(3).crowded(1e-6) / 1e-6 - 2) < 1e-3 && abs(setting(3).crowded(1e3) / 1e3 - 1.5) < 1e-3)
    #expect(setting(2).crowded(0.01) == 0.01 && abs(setting(4).crowded(0.01) / 0.01 - 2) < 1e-12)
    #expect(abs(setting(1, threads: 3).crowded(0.01) / 0.01 - 1.5) < 1e-12)
    for ranks in 1...6 {
      for seconds in [1e-3, 0.05, 2] {
        let one = setting(ranks)
        #expect(abs(one.uncrowded(one.crowded(seconds)) / seconds - 1) < 1e-9)
      }
    }
  }

  @Test("where all points are of shared cores the model gives their computing back")
  func crowdedOnly() throws {
    let points = [300.0, 600, 900].map { tokens in
      let setting = Setting(method: "small", ranks: 3, batch: 96, cores: 2)
      let compute = setting.crowded(2e-3 + tokens * 9e-6)
      return MeasuredPoint(
        setting, load: TokenLoads.Load(busiest: tokens, mean: tokens), seconds: compute, compute: compute,
        communication: 1e-4, waiting: 0, bytes: 4e5)
    }
    let model = StepModel(fitting: points)
    for point in points {
      let step = try #require(model.step(point.setting, load: point.load))
      #expect(abs(step.compute / point.compute - 1) < 1e-4)
      #expect(step.waiting > 0 && step.waiting < 1e-3)
    }
  }

  @Test("what the model was not told of it does not answer")
  func refuses() {
    let model = StepModel(fitting: points)
    let load = TokenLoads.Load(busiest: 1, mean: 1)
    #expect(model.step(Setting(method: "other", ranks: 1, batch: 1, cores: 1), load: load) == nil)
    #expect(model.step(Setting(method: "big", ranks: 16, nodes: 2, batch: 1, cores: 8), load: load) == nil)
    #expect(StepModel(fitting: [points[0]]).within == nil)
  }

  @Test("a forecast: slow networks cost large all-reduces most, and the cheapest fills a node")
  func forecast() throws {
    let model = StepModel(fitting: points)
    let loads = TokenLoads([20], cost: ReviewCost(linearCost: 100))
    func forecast(_ method: String, _ network: String, _ growth: Forecast.Growth) throws -> Forecast {
      Forecast(
        model, Setting(method: method, ranks: 1, batch: 32, cores: 8), ranks: (0...10).map { 1 << $0 }, growth: growth,
        ranksPerNode: 8, network: try #require(Network(network)), loads: loads)
    }
    let (slow, fast) = (try forecast("big", "10GbE", .weak), try forecast("big", "100Gb-IB", .weak))
    #expect(slow.rows.count == 11 && slow.rows[0].efficiency == 1)
    #expect(try #require(slow.rows.last).efficiency < fast.rows[10].efficiency)
    #expect(try forecast("small", "10GbE", .weak).rows[10].efficiency > slow.rows[10].efficiency)
    #expect(try #require(fast.cheapest).setting.ranks == 8)
    // 32 reviews on 1,024 ranks leave most of them without work.
    let strong = try forecast("small", "100Gb-IB", .strong)
    #expect(try #require(strong.fastest).setting.ranks <= 128)
    #expect(try #require(strong.largest(efficiency: 0.5)).setting.ranks < 1024)
  }
}

@Suite("All-reduces")
struct AllReduceTests {
  @Test(
    "Open MPI 4.1's choice",
    arguments: [
      (4, 2, AllReduceAlgorithm.ring), (1024, 2, .recursiveDoubling), (100_000, 2, .segmentedRing),
      (2 << 20, 2, .rabenseifner), (4096, 4, .recursiveDoubling), (2 << 20, 4, .rabenseifner),
      (100_000, 100, .recursiveDoubling), (1000, 300, .reduceAndBroadcast), (2 << 20, 1024, .rabenseifner),
    ])
  func chooses(_ bytes: Int, _ ranks: Int, _ expected: AllReduceAlgorithm) {
    #expect(AllReduceAlgorithm.tuned(bytes: bytes, ranks: ranks) == expected)
  }

  @Test("the work of each algorithm on eight ranks")
  func work() {
    func work(_ algorithm: AllReduceAlgorithm) -> [Double] {
      let work = algorithm.work(bytes: 800, ranks: 8)
      return [work.messages, work.bytes]
    }
    #expect(work(.recursiveDoubling) == [3, 2400])
    #expect(work(.ring) == [14, 1400])
    #expect(work(.rabenseifner) == [6, 1400])
    #expect(work(.reduceAndBroadcast) == [6, 4800])
    #expect(AllReduceAlgorithm.ring.work(bytes: 800, ranks: 1).bytes == 0)
  }

  @Test("each number goes to its owner and back, in pieces, beside two small sums")
  func owners() {
    let sum = GradientSum(bytes: 4 << 20)
    let work = sum.work(ranks: 4)
    // Tiles of 128 KiB, eight for each owner, to and from three others; two small sums in two rounds of 32 bytes each.
    #expect(work.messages == 2 * 3 * 8 + 2 * 2)
    #expect(work.bytes == 1.5 * Double(4 << 20) + 2 * 2 * 32)
    #expect(sum.work(ranks: 1).messages == 0)
  }

  @Test("the ranks of a node share its connection")
  func nodes() {
    let sum = GradientSum(bytes: 64 << 20)
    let (none, slow) = (Link(latency: 0, secondsPerByte: 0), Link(latency: 0, secondsPerByte: 1e-9))
    let two = sum.seconds(ranksPerNode: 1, nodes: 2, within: none, between: slow)
    let eight = sum.seconds(ranksPerNode: 4, nodes: 2, within: none, between: slow)
    #expect(abs(two / (1e-9 * Double(64 << 20)) - 1) < 1e-4)
    // Four ranks send half of what they have each way to the other node.
    #expect(abs(eight / two - 4) < 1e-3)
  }

  @Test("networks by name and by numbers")
  func networks() throws {
    #expect(try #require(Network("10gbe")).link.secondsPerByte == 8 / 9e9)
    #expect(try #require(Network("1e-6,2e-10")).link == Link(latency: 1e-6, secondsPerByte: 2e-10))
    for text in ["", "fast", "1e-6", "-1,2", "1,2,3", "inf,0"] { #expect(Network(text) == nil) }
  }
}
