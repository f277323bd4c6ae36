package import Collectives
internal import Glibc

/// The most proportional memory (PSS) that this process was seen with: what it has alone, and its share of what several
/// processes map, so that a node's processes add up to what the node holds.
///
/// The system adds it up page by page when it is asked, some milliseconds for a gigabyte; so it is asked when a run holds
/// most, and not in every step.
package struct MemoryPeak {
  /// Bytes; 0 where the system does not say (`/proc/self/smaps_rollup`, Linux 4.14).
  package private(set) var bytes = 0

  /// Not asked yet.
  package init() {}

  /// Asks the system.
  package mutating func sample() {
    guard let file = fopen("/proc/self/smaps_rollup", "r") else { return }
    defer { fclose(file) }
    var line = [CChar](repeating: 0, count: 256)
    while fgets(&line, CInt(line.count), file) != nil {
      let text = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
      guard text.hasPrefix("Pss:"), let kibibytes = text.split(separator: " ").dropFirst().first.flatMap({ Int($0) })
      else { continue }
      bytes = max(bytes, kibibytes * 1024)
      return
    }
  }

  /// The peaks of all ranks, and the most that those of one node have together; collective.
  /// - Throws: `Failure` when ranks cannot talk.
  package func gather(_ communicator: Communicator) throws -> (ranks: [Int], node: Int) {
    let all = try communicator.allGather([Int64(bytes), Int64(communicator.nodeIndex)])
    var nodes: [Int64: Int] = [:]
    for rank in all { nodes[rank[1], default: 0] += Int(rank[0]) }
    return (all.map { Int($0[0]) }, nodes.values.max() ?? 0)
  }
}
