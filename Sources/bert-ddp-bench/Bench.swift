import ArgumentParser
import Collectives
import Console
import Failures
import FoundationEssentials
import Glibc
import Kernels

/// Measures the trainer on this machine: tokens per second of each method beside the machine's sgemm peak.
@main
struct Bench: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bert-ddp-bench",
    abstract: "Measure training throughput and matrix products on this machine.",
    discussion: """
      Random weights of a model's shape; reviews from a file, or made-up lengths. Medians over the steps.
      Example: bert-ddp-bench --size mini --methods full,lora --threads 2 --steps 20
      Under mpirun the ranks share each step: mpirun -np 2 bert-ddp-bench --size base --threads 1
      """)

  @Option(help: "mini (16000/256/4/4/1024) or base (119547/768/12/12/3072).")
  var size = ModelSize.mini
  @Option(
    help: "Methods, separated by commas; pfeiffer is adapter, fusion that of a frozen language and a task adapter.")
  var methods = "full,lora"
  @Option(help: "Threads a rank.")
  var threads = 1
  @Option(help: "Reviews a step, over all ranks.")
  var globalBatchSize = 32
  @Option(help: "Steps that are measured.")
  var steps = 20
  @Option(help: "Steps before the measured ones.")
  var warmupSteps = 3
  @Option(help: "The longest review, in tokens.")
  var maxLength = 128
  @Option(help: "LoRA's inner dimension.")
  var loraRank = 16
  @Option(help: "A file of reviews (TSV); made-up lengths when left out.")
  var trainFile: String?
  @Option(help: "The vocabulary that the file is tokenized with.")
  var vocabulary: String?
  @Flag(help: "Also print the GFLOP/s of every product of the model.")
  var products = false
  @Flag(help: "Print one JSON object a line on standard output and nothing else there.")
  var json = false

  func run() throws {
    do {
      try MPISession.run(program: "bert-ddp-bench") { communicator in
        let screen = communicator.isFirst ? Screen(json: json) : Screen.silent()
        try measure(communicator, screen)
      }
    } catch let failure as Failure {
      Screen().error(failure.message)
      throw ExitCode(failure.exitStatus)
    }
  }

  private func measure(_ communicator: Communicator, _ screen: Screen) throws {
    let peak = SgemmPeak.measure(threads: threads, communicator)
    screen.line(
      "sgemm peak, \(communicator.size) ranks × \(threads) threads: \(Format.fixed(peak, digits: 1)) GFLOP/s")
    screen.line("\(blasDescription()), \(ownKernelsDescription)")
    if let slow = SpeedFinding.ofBLAS() { screen.warning("\(slow.finding) \(slow.cure)") }
    if products { screen.result(ProductTimes.table(size), heading: "Products, one thread") }
    var table = Table([
      "method", "tokens/s", "reviews/s", "ms/step", "GFLOP/s", "of peak", "waiting", "peak RSS",
    ])
    for name in methods.split(separator: ",").map(String.init) {
      let result = try Throughput(self, method: name).run(communicator)
      let used = result.flopsPerSecond / 1e9
      table.add(
        name, Format.rate(result.tokensPerSecond), Format.rate(result.reviewsPerSecond),
        Format.fixed(result.medianStepSeconds * 1e3, digits: 1), Format.fixed(used, digits: 1),
        Format.percent(used / peak, digits: 1), Format.percent(result.waitShare, digits: 1),
        Format.bytes(result.peakResidentBytes))
      if json { screen.json(try result.json(peak: peak, size: size, threads: threads, communicator.size)) }
    }
    if !json { screen.result(table, heading: "Training, \(size.rawValue), batch \(globalBatchSize)") }
  }
}

/// Seconds since a fixed moment.
func now() -> Double {
  var time = timespec()
  clock_gettime(CLOCK_MONOTONIC, &time)
  return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
}

/// The middle of some numbers.
func median(_ values: [Double]) -> Double {
  let sorted = values.sorted()
  let middle = sorted.count / 2
  guard !sorted.isEmpty else { return .nan }
  return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}
