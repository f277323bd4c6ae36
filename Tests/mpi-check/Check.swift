import Collectives
import Failures
import Glibc

/// One thing that must hold on every rank, at any number of ranks.
struct Check: Sendable {
  /// What holds, as a sentence without a full stop.
  let name: String
  /// Does it on this rank. All ranks call the same collectives whatever they find, so nothing is thrown for a
  /// wrong value: it is noted.
  let body: @Sendable (Communicator, Findings) throws -> Void

  init(_ name: String, _ body: @escaping @Sendable (Communicator, Findings) throws -> Void) {
    self.name = name
    self.body = body
  }
}

/// What a check found wrong on this rank.
final class Findings {
  private(set) var complaints: [String] = []

  /// Notes a complaint unless the condition holds.
  func expect(_ holds: Bool, _ complaint: @autoclosure () -> String) {
    if !holds && complaints.count < 5 { complaints.append(complaint()) }
  }

  /// Notes a complaint unless two values are equal.
  func expectEqual<Value: Equatable>(_ found: Value, _ expected: Value, _ what: @autoclosure () -> String) {
    expect(found == expected, "\(what()): found \(found), expected \(expected)")
  }

  /// The failure that the work throws; a complaint when it throws none.
  func failure(_ what: String, of work: () throws -> Void) -> Failure? {
    do {
      try work()
      complaints.append("\(what): nothing was thrown")
    } catch let failure as Failure {
      return failure
    } catch {
      complaints.append("\(what): not a Failure but \(error)")
    }
    return nil
  }
}

/// Runs the checks on all ranks; rank 0 prints a line for each and a closing line.
/// - Returns: How many failed, the same on all ranks.
func run(_ checks: [Check], on world: Communicator) throws -> Int {
  var failed = 0
  for check in checks {
    // A check that hangs ends the job instead of the reader's patience.
    alarm(60)
    let findings = Findings()
    try check.body(world, findings)
    alarm(0)
    let all = try world.allGather(Array(findings.complaints.joined(separator: "; ").utf8))
    let wrong = all.enumerated().filter { !$1.isEmpty }
    failed += wrong.isEmpty ? 0 : 1
    guard world.isFirst else { continue }
    print(wrong.isEmpty ? "ok      \(check.name)" : "FAILED  \(check.name)")
    for (rank, complaint) in wrong {
      print("        rank \(rank): \(String(decoding: complaint, as: UTF8.self))")
    }
  }
  if world.isFirst {
    let ranks = world.size == 1 ? "1 rank" : "\(world.size) ranks"
    print("\(checks.count - failed) passed, \(failed) failed (\(ranks))")
  }
  fflush(nil)
  return failed
}

/// Values that look random and depend on their place only.
func scrambled(_ rank: Int, _ index: Int) -> UInt64 {
  var z = UInt64(truncatingIfNeeded: rank &* 1_000_003 &+ index) &* 0x9E37_79B9_7F4A_7C15
  z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
  z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
  return z ^ (z >> 31)
}

/// A float in -1 ..< 1 that depends on its place only.
func scrambledFloat(_ rank: Int, _ index: Int) -> Float {
  Float(Int64(scrambled(rank, index) >> 40) - (1 << 23)) / Float(1 << 23)
}
