import ArgumentParser
import Collectives
import Console
import Doctor
import Failures
import FineTuning
import FoundationEssentials
import Training

/// `bert-ddp doctor`.
struct DoctorCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "doctor",
    abstract: "What is wrong with this machine's set-up, each with the command that cures it.",
    discussion: """
      Alone it judges the node as such; under mpirun it judges the ranks as they
      were started. Ends with status 1 when there is a problem.
      Example:
        mpirun -np 2 bert-ddp doctor --threads 1 --base base.h5 --output runs/1
      """)

  @Option(help: "Threads a rank.")
  var threads = 1
  @Option(help: "Ranks of a node, where no launcher says it (default: as many as have cores).")
  var ranks: Int?
  @Option(help: "Base, whose size decides how much memory and disk are needed.")
  var base: String?
  @Option(help: "Where a run will write.")
  var output = "runs"
  @OptionGroup var screen: ScreenOptions

  func validate() throws {
    for (name, value) in [("threads", threads), ("ranks", ranks ?? 1)] where !(1...4096).contains(value) {
      throw ValidationError("--\(name) is \(value), expected a whole number from 1 to 4096")
    }
  }

  func run() throws {
    try MPISession.run { communicator in
      let screen = screen.opened(on: communicator)
      var facts = try Facts(communicator, ranks: ranks, threads: threads, output: output)
      let shape = try communicator.collectively(where: communicator.isFirst) {
        try base.map { try Base(opening: $0).configuration }
      }
      if let shape = shape ?? nil {
        let all = try MethodFigures(FineTuningMethods.planned("linear-probe", FineTuningOptions()), on: shape)
        facts.frozenBytes = 4 * (all.totalCount - all.trainableCount)
        facts.checkpointBytes = 12 * all.totalCount
      }
      // The first rank of each other node speaks only of problems, through rank 0.
      let findings = Diagnosis.findings(facts)
      let others = try otherNodes(findings, communicator)
      try communicator.collectively(where: communicator.isFirst) { try report(findings + others, on: screen) }
    }
  }

  /// The problems of nodes other than the first.
  private func otherNodes(_ findings: [Finding], _ communicator: Communicator) throws -> [Finding] {
    let isLeader = communicator.localRank == 0 && communicator.nodeIndex > 0
    let own = isLeader ? findings.filter { $0.level == .problem } : []
    let texts = try communicator.allGather(Array(try jsonText(own, pretty: false).utf8))
    return try texts.enumerated().flatMap { rank, text in
      try JSONDecoder().decode([Finding].self, from: Data(text)).map { $0.of("node of rank \(rank)") }
    }
  }

  private func report(_ findings: [Finding], on screen: Screen) throws {
    let problems = findings.filter { $0.level == .problem }.count
    if self.screen.json {
      screen.json(try jsonText(Report(problems: problems, findings: findings)))
    } else {
      for finding in findings where finding.level != .ok || !self.screen.quiet {
        let mark = finding.level == .ok ? "ok      " : finding.level == .note ? "note    " : "PROBLEM "
        screen.result("\(mark)\(finding.subject): \(finding.found)")
        if let cure = finding.cure { screen.result("          \(cure)") }
      }
    }
    guard problems == 0 else {
      throw Failure(.other, problems == 1 ? "one problem was found." : "\(problems) problems were found.")
    }
    if !self.screen.json { screen.result("no problem was found.") }
  }

  private struct Report: Encodable {
    let problems: Int
    let findings: [Finding]
  }
}
