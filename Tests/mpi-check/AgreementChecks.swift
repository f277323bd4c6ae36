import Collectives
import Failures

/// One failure for all ranks.
let agreementChecks: [Check] = [
  Check("ranks that mean the same agree") { world, findings in
    try world.agree(on: ["configuration": "ab12", "data": "", "base": "모델"])
    try world.agree(on: [:])
    findings.expect(true, "")
  },
  Check("a difference is named with its ranks, on all ranks") { world, findings in
    guard world.size > 1 else { return }
    let isLast = world.rank == world.size - 1
    let failure = findings.failure("two values differ") {
      try world.agree(on: ["seed": isLast ? "2" : "1", "data": isLast ? "x" : "y", "base": "b"])
    }
    findings.expectEqual(failure?.kind, .disagreement, "kind")
    let start = "rank \(world.size - 1) disagrees with rank 0 about data, seed;"
    findings.expect(failure?.message.hasPrefix(start) == true, failure?.message ?? "no failure")
    let missing = findings.failure("a value is missing") {
      try world.agree(on: isLast ? [:] : ["trainable": "1"])
    }
    findings.expect(missing?.message.contains("about trainable;") == true, missing?.message ?? "no failure")
  },
  Check("several ranks that differ are all named") { world, findings in
    guard world.size > 2 else { return }
    let failure = findings.failure("seeds differ") { try world.agree(on: ["seed": "\(min(world.rank, 1))"]) }
    let ranks = world.size == 3 ? "ranks 1 and 2" : "ranks 1, 2 and 3"
    guard world.size <= 4 else { return }
    let message = failure?.message ?? "no failure"
    findings.expect(message.hasPrefix("\(ranks) disagree with rank 0 about seed;"), message)
  },
  Check("work that succeeds everywhere gives each rank its result") { world, findings in
    findings.expectEqual(try world.collectively { world.rank * 2 }, world.rank * 2, "result")
    let one = try world.collectively(where: world.rank == 0) { "plan" }
    findings.expectEqual(one, world.rank == 0 ? "plan" : nil, "result of one rank")
  },
  Check("a rank that fails fails all ranks with its message and kind") { world, findings in
    let last = world.size - 1
    let failure = findings.failure("the last rank fails") {
      try world.collectively { if world.rank == last { throw Failure(.noInput, "shard.bin is missing") } }
    }
    let expected = world.size == 1 ? "shard.bin is missing" : "rank \(last): shard.bin is missing"
    findings.expectEqual(failure, Failure(.noInput, expected), "failure")
    let sum = try world.sum(of: 1)
    findings.expectEqual(sum, world.size, "a collective after the failure")
  },
  Check("when all fail alike no rank is named; when they differ the lowest is") { world, findings in
    let alike = findings.failure("all fail alike") {
      try world.collectively { throw Failure(.badContent, "train.tsv has no header") }
    }
    findings.expectEqual(alike, Failure(.badContent, "train.tsv has no header"), "alike")
    let different = findings.failure("all fail differently") {
      try world.collectively { throw Failure(.other, "error \(world.rank)") }
    }
    findings.expectEqual(different?.message, world.size == 1 ? "error 0" : "rank 0: error 0", "different")
  },
  Check("work of one rank fails without naming it, also in words not ours") { world, findings in
    struct Odd: Error, CustomStringConvertible { let description = "something odd" }
    let failure = findings.failure("rank 0 fails") {
      try world.collectively(where: world.rank == 0) { throw Odd() }
    }
    findings.expectEqual(failure, Failure(.other, "something odd"), "failure")
    let shared = findings.failure("making fails") {
      _ = try world.shared { () throws -> [UInt8] in throw Failure(.noInput, "vocab.txt is missing") }
    }
    findings.expectEqual(shared, Failure(.noInput, "vocab.txt is missing"), "shared")
  },
]
