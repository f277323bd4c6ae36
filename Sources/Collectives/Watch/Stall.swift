internal import Glibc

/// Tells a job in which nothing moves any more, and who is missing.
struct Stall {
  private let board: Board
  /// Everything that moves on this node, added up, when it moved last.
  private var moves = 0
  /// Seconds since then.
  private var quiet = 0.0
  /// Each line's ticks, and seconds since they moved.
  private var ticks: [(count: Int, still: Double)]
  /// After how many seconds a neighbour that is gone ends the job. Where a launcher ends it, it has by then.
  private static let mourning = 5.0
  /// The same while rank 0 writes a checkpoint, which need not wait for that neighbour.
  static let mourningInSave = 60.0

  init(_ board: Board) {
    self.board = board
    ticks = Array(repeating: (0, 0), count: board.lineCount)
  }

  /// Looks again after some time.
  mutating func pass(seconds: Double) {
    let now = (0..<board.lineCount).reduce(0) {
      $0 &+ board[$1, .beats] &+ board[$1, .collectives] &+ board[$1, .activity] &+ board[$1, .step]
    }
    quiet = now == moves ? quiet + seconds : 0
    moves = now
    for line in ticks.indices {
      let count = board[line, .ticks]
      ticks[line] = count == ticks[line].count ? (count, ticks[line].still + seconds) : (count, 0)
    }
  }

  /// What to say when a neighbour has gone without saying that it ends: no launcher has ended the job for that, and the
  /// others would wait for it until `sentence` has something to say.
  /// - Parameters:
  ///   - ranks: How many ranks the job has.
  ///   - advice: How a person goes on.
  /// - Returns: One sentence; nil while there is nobody to miss.
  func loss(ranks: Int, advice: @autoclosure () -> String) -> String? {
    let isSaving =
      board[board.own, .activity] == Activity.saving.rawValue || board[board.own, .writing] == 1
    // Ticks are asked first: a process of another container is not seen in /proc, but it ticks.
    let gone = ticks.indices.filter {
      let limit = isSaving && board[$0, .rank] != 0 ? Stall.mourningInSave : Stall.mourning
      return ticks[$0].still >= limit && board[$0, .ending] < 2 && ProcessState.of(board[$0, .process]) == .gone
    }
    guard !gone.isEmpty else { return nil }
    return describe(gone.map { ($0, "gone") }, ranks: ranks) + "; start again with \(advice())."
  }

  /// What to say when nothing has moved for too long.
  /// - Parameters:
  ///   - timeout: Seconds; files and evaluations are given `Watch.patience` times as long.
  ///   - ranks: How many ranks the job has.
  ///   - advice: How a person goes on.
  /// - Returns: One sentence; nil while things move.
  func sentence(after timeout: Double, ranks: Int, advice: @autoclosure () -> String) -> String? {
    let activity = Activity(rawValue: board[board.own, .activity]) ?? .preparing
    let limit = activity.isPatient ? timeout * Watch.patience : timeout
    guard quiet >= limit else { return nil }
    let missing = self.missing
    // Another node may know better who is missing; it speaks first.
    if missing.isEmpty, board.lineCount < ranks, quiet < limit + 5 { return nil }
    let start = "no progress for \(Int(quiet)) s (--stall-timeout \(Int(timeout))): "
    return start + describe(missing, ranks: ranks) + "; start again with \(advice())."
  }

  /// The lines of ranks that do not run, else of those that have not come where the others wait.
  private var missing: [(line: Int, why: String)] {
    let absent = ticks.indices.compactMap { line -> (Int, String)? in
      switch ProcessState.of(board[line, .process]) {
      case .stopped: (line, "stopped")
      case .gone: (line, "gone")
      case .running: ticks[line].still > 5 ? (line, "not running") : nil
      }
    }
    if !absent.isEmpty { return absent }
    let furthest = ticks.indices.map { board[$0, .collectives] }.max() ?? 0
    return ticks.indices.filter { board[$0, .collectives] < furthest }.map { ($0, "running") }
  }

  private func describe(_ missing: [(line: Int, why: String)], ranks: Int) -> String {
    let others = ticks.indices.filter { line in !missing.contains { $0.line == line } }
    // The others know where everybody should be.
    let place = others.max { board[$0, .collectives] < board[$1, .collectives] } ?? board.own
    let step = board[place, .step]
    let activity = Activity(rawValue: board[place, .activity]) ?? .preparing
    let here = (step > 0 ? "step \(step), " : "") + activity.words
    guard !missing.isEmpty else {
      return board.lineCount < ranks
        ? "the \(board.lineCount) ranks of host \(hostName()) wait in \(here) for a rank of another host"
        : ranks == 1 ? "stuck in \(here)" : "all \(ranks) ranks are stuck in \(here)"
    }
    let names = missing.map { line, why in
      "rank \(board[line, .rank]) (process \(board[line, .process]) on \(hostName()), \(why))"
    }
    return "\(names.joined(separator: ", ")) \(names.count == 1 ? "is" : "are") missing from \(here)"
  }

  private func hostName() -> String {
    var bytes = [CChar](repeating: 0, count: 256)
    guard gethostname(&bytes, bytes.count - 1) == 0 else { return "this host" }
    return String(decoding: bytes.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
  }
}
