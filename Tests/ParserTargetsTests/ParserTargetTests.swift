import Failures
import Foundation
import ParserTargets
import TestSupport
import Testing

/// Parsers on what a fuzzer has found, on small inputs of ours, and on some thousands of damaged ones: a short form of
/// `launch/fuzz` that needs no build of its own.
@Suite struct ParserTargetTests {
  /// Runs a parser; it may refuse, and do nothing else.
  private func run(_ target: ParserTarget, _ bytes: [UInt8], _ folder: TemporaryDirectory, _ what: String) {
    do {
      try target.run(bytes, in: folder)
    } catch is Failure {
      // Refused.
    } catch {
      Issue.record("\(target), \(what): \(error) is not a Failure")
    }
  }

  @Test(arguments: ParserTarget.allCases)
  func ownSeedsAreUnderstood(target: ParserTarget) throws {
    try withTemporaryDirectory { folder in
      let seeds = try target.seeds()
      #expect(!seeds.isEmpty)
      // Some of these are whole and some are not, as the target's name says; one at least must be read to its end.
      let isRead = seeds.contains { seed in (try? target.run(seed, in: folder)) != nil }
      #expect(isRead, "no seed of \(target) is read")
    }
  }

  /// Files in `Found` are named TARGET-what; each made its parser crash, hang, or take too much memory.
  @Test func whatWasFound() throws {
    let directory = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("Found")
    try withTemporaryDirectory { folder in
      for file in try FileManager.default.contentsOfDirectory(atPath: directory.path).sorted()
      where file != "README.md" {
        let target = try #require(ParserTarget(rawValue: String(file.prefix { $0 != "-" })), "\(file)")
        run(target, try Array(Data(contentsOf: directory.appendingPathComponent(file))), folder, file)
      }
    }
  }

  @Test(arguments: ParserTarget.allCases)
  func damagedSeeds(target: ParserTarget) throws {
    try withTemporaryDirectory { folder in
      var numbers = SystemIndependentNumbers(seed: 7)
      for (index, seed) in try target.seeds().enumerated() {
        for round in 0..<150 {
          var bytes = seed
          for _ in 0...round % 4 { damage(&bytes, &numbers) }
          run(target, bytes, folder, "seed \(index), round \(round)")
        }
      }
    }
  }

  private func damage(_ bytes: inout [UInt8], _ numbers: inout SystemIndependentNumbers) {
    guard !bytes.isEmpty else { return bytes.append(0) }
    let place = numbers.next(bytes.count)
    switch numbers.next(5) {
    case 0: bytes[place] ^= 1 << UInt8(numbers.next(8))
    case 1:
      bytes[place] = [0, 0xFF, 0x7F, 0x80, UInt8(ascii: "9"), UInt8(ascii: "\""), UInt8(ascii: "{")][numbers.next(7)]
    case 2: bytes.removeLast(numbers.next(min(bytes.count, 64)))
    case 3: bytes.removeSubrange(place..<min(bytes.count, place + 1 + numbers.next(8)))
    default: bytes.insert(contentsOf: bytes[place..<min(bytes.count, place + 16)], at: numbers.next(bytes.count))
    }
  }
}

/// Numbers that are the same everywhere.
private struct SystemIndependentNumbers {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next(_ limit: Int) -> Int {
    state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    return Int(state >> 33) % limit
  }
}
