internal import Collectives
internal import Console
internal import FoundationEssentials
internal import Glibc

/// What rank 0 cannot see by itself of the other nodes: their first ranks look, and rank 0 says it.
enum RunNodes {
  /// Warns of nodes whose ranks have more threads than there are cores; collective.
  /// - Throws: `Failure` when ranks cannot talk.
  static func warnOfCrowds(threads: Int, _ communicator: Communicator, _ screen: Screen) throws {
    let crowds = try nodes(communicator, Cores.ofNode).filter { $0.ranks * threads > $0.found }
    guard let crowd = crowds.first else { return }
    let fitting = max(1, crowd.found / threads)
    let crowding =
      "\(Format.count(crowd.ranks, of: "rank")) × \(Format.count(threads, of: "thread")) share \(Format.count(crowd.found, of: "core"))"
    if communicator.nodeCount == 1 {
      screen.warning(
        "\(crowding); for speed use mpirun -np \(fitting) --map-by slot:PE=\(threads) --bind-to core bert-ddp … --threads \(threads)"
      )
    } else {
      screen.warning(
        "on host \(crowd.host) \(crowding)\(others(crowds)), and all ranks wait for the slowest; for speed start at most \(fitting) there."
      )
    }
  }

  /// Warns of hosts that do not see what rank 0 has written into the run directory: that would be noticed only when the run is
  /// to go on from a checkpoint; collective.
  /// - Parameters:
  ///   - directory: The run directory; it has a `config.json`.
  ///   - communicator: All ranks.
  ///   - screen: What rank 0 shows.
  /// - Throws: `Failure` when ranks cannot talk.
  static func warnOfHidden(_ directory: String, _ communicator: Communicator, _ screen: Screen) throws {
    guard communicator.nodeCount > 1 else { return }
    func content() -> [UInt8] {
      (try? Data(contentsOf: URL(filePath: directory + "/config.json"))).map { Array($0) } ?? []
    }
    let written = try communicator.shared { content() }
    func sees() -> Int {
      // A file server may show a new file a little later.
      for _ in 0..<3 {
        if content() == written { return 1 }
        sleep(1)
      }
      return 0
    }
    let blind = try nodes(communicator, sees()).filter { $0.found == 0 }
    guard let first = blind.first else { return }
    screen.warning(
      "host \(first.host) does not see the run directory \(directory)\(others(blind)): to go on with the run there it needs the checkpoints; give an --output that all hosts have, or copy the directory before."
    )
  }

  /// What the first rank of each node finds, with the node's name and its number of ranks.
  private static func nodes(
    _ communicator: Communicator, _ find: @autoclosure () -> Int
  ) throws -> [(host: String, ranks: Int, found: Int)] {
    let own = communicator.localRank == 0 ? Array("\(find()) \(hostName())".utf8) : []
    let told = try communicator.allGather(own).map { String(decoding: $0, as: UTF8.self) }
    return communicator.layout.nodes.map { ranks in
      let words = told[ranks[0]].split(separator: " ", maxSplits: 1)
      return (words.last.map(String.init) ?? "", ranks.count, words.first.flatMap { Int($0) } ?? 0)
    }
  }

  private static func others<Node>(_ nodes: [Node]) -> String {
    switch nodes.count {
    case 1: ""
    case 2: " (another host likewise)"
    default: " (\(nodes.count - 1) others likewise)"
    }
  }
}
