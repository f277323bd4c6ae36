import Foundation
import TestSupport
import Testing
import Training

@Suite("Traces")
struct TraceTests {
  /// As chrome://tracing reads it.
  private struct File: Decodable {
    struct Event: Decodable {
      struct Arguments: Decodable {
        let step: Int?
        let bytes: Int?
        let name: String?
      }
      let name: String
      let ph: String
      let pid: Int
      let tid: Int?
      let ts: Double?
      let dur: Double?
      let args: Arguments
    }
    struct Other: Decodable { let forgotten: Int }
    let traceEvents: [Event]
    let otherData: Other
  }

  private func events(_ trace: Trace) throws -> File {
    try JSONDecoder().decode(File.self, from: Data(trace.json.utf8))
  }

  @Test("events are complete ones, in microseconds, marked with their step")
  func content() throws {
    let trace = Trace(rank: 3)
    trace.step = 7
    trace.add("compute", .phases, began: 10, ended: 10.25)
    trace.add("all-reduce", .collectives, began: 10.25, ended: 10.250_000_5, bytes: 4096)
    let file = try events(trace)
    let complete = file.traceEvents.filter { $0.ph == "X" }
    #expect(complete.map(\.name) == ["compute", "all-reduce"])
    #expect(complete.allSatisfy { $0.pid == 3 && $0.args.step == 7 })
    #expect(complete[0].dur == 250_000 && complete[1].dur == 0.5)
    #expect(complete[0].args.bytes == nil && complete[1].args.bytes == 4096)
    #expect(complete[0].tid != complete[1].tid)
    let (first, second) = (try #require(complete[0].ts), try #require(complete[1].ts))
    #expect(abs(second - first - 250_000) < 1)
    #expect(file.traceEvents.contains { $0.name == "process_name" && $0.args.name?.hasPrefix("rank 3 on ") == true })
  }

  @Test("a full ring forgets the oldest, and says how many")
  func ring() throws {
    let trace = Trace(rank: 0, capacity: 4)
    for step in 0..<10 {
      trace.step = step
      trace.add("compute", .phases, began: Double(step), ended: Double(step) + 0.5)
    }
    let file = try events(trace)
    #expect(file.traceEvents.filter { $0.ph == "X" }.map(\.args.step) == [6, 7, 8, 9])
    #expect(file.otherData.forgotten == 6 && trace.forgottenCount == 6)
  }

  @Test("an empty trace is a file as well")
  func empty() throws {
    let directory = try TemporaryDirectory()
    try Trace(rank: 1).write(to: directory.path)
    let data = try Data(contentsOf: URL(fileURLWithPath: directory.path + "/trace-1.json"))
    #expect(try JSONDecoder().decode(File.self, from: data).traceEvents.allSatisfy { $0.ph == "M" })
  }
}
