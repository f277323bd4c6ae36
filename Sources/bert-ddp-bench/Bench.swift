import ArgumentParser
import Collectives
import Console
import Failures
import Kernels
import Tensors
import Training

extension Precision: ExpressibleByArgument {}

/// Measures the trainer on this machine: tokens per second of each method beside the machine's sgemm peak.
@main
struct Bench: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bert-ddp-bench",
    abstract: "Measure training throughput and matrix products on this machine.",
    discussion: """
      Random weights of a model's shape; reviews from a file, or made-up lengths. The first table has each method's
      rates beside what the machine's sgemm gives on the same threads in the same run; the second says what the time of
      a step goes into, and how fast its matrix products are within it.
      Example: bert-ddp-bench --size mini --methods full,lora --threads 2 --steps 20
      Under mpirun the ranks share each step: mpirun -np 2 bert-ddp-bench --size base --threads 1
      launch/bench runs it in turn with PyTorch.
      """)

  @Option(help: "mini (16000/256/4/4/1024) or base (119547/768/12/12/3072).")
  var size = ModelSize.mini
  @Option(
    help: "Methods, separated by commas; pfeiffer is adapter, fusion that of a frozen language and a task adapter.")
  var methods = "full,lora"
  @Option(help: "Threads a rank.")
  var threads = 1
  @Option(help: "fp32 or bf16.")
  var precision = Precision.fp32
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
  @Option(help: "Reviews that are evaluated, three times; 0 for none.")
  var evaluationReviews = 256
  @Flag(inversion: .prefixedNo, help: "Share AdamW's moments and work out over ranks.")
  var shardOptimizer = true
  @Flag(inversion: .prefixedNo, help: "Measure every kind of product of the model alone.")
  var products = true
  @Flag(help: "Print one JSON object a line on standard output and nothing else there.")
  var json = false

  func run() throws {
    do {
      try MPISession.run(program: "bert-ddp-bench") { communicator in
        let screen = communicator.isFirst ? Screen(json: json) : Screen.silent()
        try communicator.collectively { try precision.check() }
        try measure(communicator, screen)
      }
    } catch let failure as Failure {
      Screen().error(failure.message)
      throw ExitCode(failure.exitStatus)
    }
  }

  func validate() throws {
    let whole = [
      ("threads", threads), ("global-batch-size", globalBatchSize), ("steps", steps), ("max-length", maxLength),
      ("lora-rank", loraRank),
    ]
    for (option, value) in whole where value < 1 {
      throw ValidationError("--\(option) is \(value), expected 1 or more.")
    }
    for (option, value) in [("warmup-steps", warmupSteps), ("evaluation-reviews", evaluationReviews)] where value < 0 {
      throw ValidationError("--\(option) is \(value), expected 0 or more.")
    }
    if (trainFile == nil) != (vocabulary == nil) {
      throw ValidationError("--train-file and --vocabulary go together.")
    }
  }

  private func measure(_ communicator: Communicator, _ screen: Screen) throws {
    let products = Products(threads: threads, communicator)
    let (peak, library) = try products.peak()
    screen.line(
      "sgemm, \(Format.count(communicator.size, of: "rank")) × \(Format.count(threads, of: "thread")): \(Format.fixed(peak / 1e9, digits: 1)) GFLOP/s, the best of 60 rounds"
    )
    screen.line("\(blasDescription()), \(ownKernelsDescription)")
    if let slow = SpeedFinding.ofBLAS() { screen.warning("\(slow.finding) \(slow.cure)") }
    if self.products {
      let tokens = max(1, 20 * globalBatchSize / (communicator.size * threads))
      let (table, lines) = try products.table(size, peak: peak, tokens: tokens)
      screen.table(table)
      if json { for line in lines { screen.json(try jsonText(line, pretty: false)) } }
    }
    var rates = Table([
      "method", "tokens/s", "reviews/s", "ms/step", "GFLOP/s", "of peak", "sent/step", "node memory", "evaluated/s",
    ])
    var shares = Table([
      "method", "products", "attention", "elementwise", "optimiser", "communication", "waiting", "products, of peak",
    ])
    for name in methods.split(separator: ",").map(String.init) {
      let found = try Throughput(bench: self, methodName: name, products: products, library: library)
        .run(communicator)
      rates.add(found.cells)
      shares.add(found.shareCells)
      let line = MeasurementLine(
        measurement: found, size: size.rawValue, worldSize: communicator.size, threads: threads, bestPeak: peak)
      if json { screen.json(try jsonText(line, pretty: false)) }
    }
    if json { return }
    screen.result(rates, heading: "Training, \(size.rawValue), batch \(globalBatchSize)")
    screen.result(shares, heading: "What a step's time goes into")
  }
}

/// The middle of some numbers.
func median(_ values: [Double]) -> Double {
  let sorted = values.sorted()
  let middle = sorted.count / 2
  guard !sorted.isEmpty else { return .nan }
  return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}
