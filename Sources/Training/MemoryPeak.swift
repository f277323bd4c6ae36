package import Collectives

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
    bytes = max(bytes, systemBytes("Pss:", in: "/proc/self/smaps_rollup") ?? 0)
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
