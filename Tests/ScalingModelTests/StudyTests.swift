import Datasets
import ScalingModel
import Testing

@Suite("Studies")
struct StudyTests {
  private let plan = StudyPlan(
    methods: ["full", "lora:16"], ranks: [4, 1, 2, 2], threads: 1, batch: 32, growths: [.strong, .weak], repetitions: 2)

  private func run(_ method: String, _ ranks: Int, _ batch: Int, _ repetition: Int, rate: Double) -> StudyRun {
    StudyRun(
      Setting(method: method, ranks: ranks, batch: batch, cores: 2), sequence: 128, repetition: repetition, steps: 10,
      samples: 10 * batch, tokens: 200 * batch, seconds: Double(10 * batch) / rate, compute: 0.5, communication: 0.1,
      waiting: 0.05, inputOutput: 0.01, proportionalBytes: 200_000_000, bytesReduced: 10_000)
  }

  @Test("settings take turns, each once a round, and every other round in reverse")
  func order() {
    let runs = plan.runs
    // Half a step, and one rank is the same for both kinds: 1 + 1 + 2 + 2 settings of two methods.
    #expect(runs.count == 2 * 2 * 6)
    #expect(Set(runs).count == runs.count)
    #expect(runs.prefix(12).allSatisfy { $0.repetition == 1 })
    #expect(runs.filter { $0.batch == 16 }.allSatisfy { $0.ranks == 1 })
    let (first, second) = (runs.prefix(12).map(\.ranks), runs.suffix(12).map(\.ranks))
    #expect(first == second.reversed())
    #expect(runs.prefix(2).map(\.method) == ["full", "lora:16"])
    #expect(Set(runs.filter { $0.ranks == 4 }.map(\.batch)) == [32, 128])
  }

  @Test("speed-up, efficiency and the serial fraction")
  func summary() throws {
    let runs = [1, 2].flatMap { repetition in
      [
        run("full", 1, 32, repetition, rate: 100), run("full", 2, 32, repetition, rate: 160),
        run("full", 2, 64, repetition, rate: 190), run("full", 4, 128, repetition, rate: 200),
      ]
    }
    let rows = StudySummary(runs, plan).rows
    #expect(rows.count == 5)
    let strong = try #require(rows.first { $0.growth == .strong && $0.setting.ranks == 2 })
    #expect(abs(strong.speedup - 1.6) < 1e-12 && abs(strong.efficiency - 0.8) < 1e-12)
    #expect(abs((strong.serialFraction ?? 0) - 0.25) < 1e-12)
    let weak = try #require(rows.first { $0.growth == .weak && $0.setting.ranks == 4 })
    #expect(abs(weak.efficiency - 0.5) < 1e-12 && weak.setting.isOversubscribed)
    #expect(rows[0].serialFraction == nil && rows[0].efficiency == 1)
  }

  @Test("a table of the agreed columns, a line a run")
  func csv() throws {
    let runs = [run("full", 1, 32, 1, rate: 100), run("full", 2, 32, 1, rate: 160), run("full", 2, 32, 2, rate: 160)]
    let lines = StudySummary(runs, plan).csv.split(separator: "\n")
    #expect(
      lines[0].hasPrefix(
        "method,ranks,threads,nodes,global_batch,seq,rep,samples,seconds,samples_per_s,compute_s,comm_s,wait_s,io_s,speedup,efficiency,pss_mb,bytes_reduced"
      ))
    let width = lines[0].split(separator: ",").count
    for line in lines { #expect(line.split(separator: ",", omittingEmptySubsequences: false).count == width) }
    // One rank stands in both kinds, two ranks with 32 reviews in the strong one.
    #expect(lines.count == 1 + 2 + 2)
    let cells = try #require(lines.first { $0.hasPrefix("full,2,") }).split(
      separator: ",", omittingEmptySubsequences: false)
    #expect(cells[..<8].joined(separator: ",") == "full,2,1,1,32,128,1,320")
    #expect(cells[14] == "1.6" && cells[15] == "0.8" && cells[16] == "200.0" && cells[17] == "10000")
  }

  @Test("half steps are points of the model, and of no kind of scaling")
  func halves() throws {
    let runs = [run("full", 1, 32, 1, rate: 100), run("full", 1, 16, 1, rate: 90), run("full", 1, 16, 2, rate: 110)]
    let summary = StudySummary(runs, plan)
    #expect(summary.rows.count == 2 && summary.rows.allSatisfy { $0.setting.batch == 32 })
    let points = summary.points { _, _ in TokenLoads.Load(busiest: 3, mean: 2) }
    #expect(points.map(\.setting.batch) == [32, 16])
    #expect(abs(points[1].seconds - (16.0 / 90 + 16.0 / 110) / 2) < 1e-12)
    let lines = summary.csv.split(separator: "\n").filter { $0.contains(",half,") }
    #expect(lines.count == 2 && lines.allSatisfy { $0.hasPrefix("full,1,1,1,16,") })
  }

  @Test("points of the model: what is neither moved nor waited for is computed")
  func points() throws {
    let load = TokenLoads.Load(busiest: 3, mean: 2)
    let points = StudySummary([run("full", 1, 32, 1, rate: 100)], plan).points { _, _ in load }
    let point = try #require(points.first)
    #expect(points.count == 1 && point.load == load)
    #expect(abs(point.seconds - 0.32) < 1e-12)
    #expect(abs(point.compute - (0.32 - 0.015)) < 1e-12)
    #expect(point.bytes == 1000)
  }

  @Test("the busiest worker's tokens are those of the trainer's own sharing")
  func loads() {
    let loads = TokenLoads([10, 10, 10, 30], cost: ReviewCost(linearCost: 1000))
    #expect(loads.load(batch: 4, workers: 2, steps: 0..<1) == TokenLoads.Load(busiest: 30, mean: 30))
    #expect(loads.load(batch: 4, workers: 3, steps: 0..<2) == TokenLoads.Load(busiest: 30, mean: 20))
    #expect(loads.load(batch: 2, workers: 2, steps: 0..<2) == TokenLoads.Load(busiest: 20, mean: 15))
  }
}
