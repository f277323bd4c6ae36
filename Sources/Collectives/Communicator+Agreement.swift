internal import CMPI
internal import Failures

extension Communicator {
  /// Runs work that may fail on every rank, and lets all ranks learn whether it failed anywhere.
  ///
  /// This is how a bad input ends in one sentence: no rank goes on to a collective in which another is missing.
  /// The work itself calls no collectives.
  /// - Returns: This rank's result, when all ranks have one.
  /// - Throws: The same `Failure` on all ranks: that of the lowest rank that failed, which is named unless all ranks
  ///   failed alike.
  package func collectively<Result>(_ work: () throws -> Result) throws -> Result {
    let outcome = Swift.Result { try work() }
    try agree(onFailure: outcome.failure, takesPart: true)
    return try outcome.get()
  }

  /// Runs work that may fail on some ranks, and lets all ranks learn whether it failed on any of them.
  ///
  /// The work itself calls no collectives.
  /// - Returns: The result on those ranks; nil on the others.
  /// - Throws: The same `Failure` on all ranks; the rank is named unless all that worked failed alike.
  @discardableResult
  package func collectively<Result>(
    where takesPart: Bool, _ work: () throws -> Result
  ) throws -> Result? {
    let outcome = takesPart ? Swift.Result { try work() } : nil
    try agree(onFailure: outcome?.failure, takesPart: takesPart)
    return try outcome?.get()
  }

  /// Bytes that one rank makes, on every rank: a file read once, a plan made once.
  /// - Throws: The same `Failure` on all ranks when making them failed.
  package func shared<Element: BitwiseCopyable>(
    from one: Int = 0, _ make: () throws -> [Element]
  ) throws -> [Element] {
    try broadcast(try collectively(where: rank == one, make) ?? [], from: one)
  }

  /// A text that rank 0 makes, on every rank.
  /// - Throws: The same `Failure` on all ranks when making it failed.
  package func sharedText(_ make: () throws -> String) throws -> String {
    String(decoding: try shared { Array(try make().utf8) }, as: UTF8.self)
  }

  /// Makes sure that all ranks mean the same: configuration, data, base, program, trainable list.
  /// - Parameter values: A value or digest for each name; the same names everywhere.
  /// - Throws: `Failure` of kind `disagreement`, the same on all ranks, that names what differs and on which ranks.
  package func agree(on values: [String: String]) throws {
    let mine = values.sorted { $0.key < $1.key }
    let flat = mine.flatMap { [$0.key, $0.value] }.joined(separator: "\0")
    let all = try counted(.agreement, bytes: flat.utf8.count) {
      try broadcastText(flat, from: 0)
    }
    let differing = flat == all ? [] : Communicator.differences(flat, all)
    // Ranks that differ name the fields; nearly always there are none.
    let named = try counted(.agreement, bytes: 8) { try lowestRank(where: !differing.isEmpty) }
    guard let named else { return }
    let fields = try broadcastText(differing.joined(separator: ", "), from: named)
    let ranks = try allGather([UInt8(differing.isEmpty ? 0 : 1)]).enumerated()
      .filter { $1 == [1] }.map(\.offset)
    let failure = Failure(
      .disagreement,
      "\(Communicator.words(ranks)) \(ranks.count == 1 ? "disagrees" : "disagree") with rank 0 about \(fields); start "
        + "every rank with the same program, options, environment and files")
    agreedFailure = failure
    throw failure
  }

  /// Everybody learns of the failure of the lowest rank that has one.
  private func agree(onFailure failure: (any Error)?, takesPart: Bool) throws {
    let mine = failure.map { Failure(describing: $0) }
    let first = try counted(.agreement, bytes: 8) { try lowestRank(where: mine != nil) }
    guard let first else { return }
    let kind = try broadcast([mine?.exitStatus ?? 1], from: first).first.flatMap(Failure.Kind.init) ?? .other
    var message = try broadcastText(mine?.message ?? "", from: first)
    let differs = takesPart && mine?.message != message
    if try lowestRank(where: differs) != nil { message = "rank \(first): \(message)" }
    let agreed = Failure(kind, message)
    agreedFailure = agreed
    throw agreed
  }

  /// The lowest rank on which something is so; nil when there is none.
  func lowestRank(where isSo: Bool) throws -> Int? {
    guard let world else { return isSo ? 0 : nil }
    var lowest = Int64(isSo ? rank : size)
    try check(
      MPI_Allreduce(CMPI_inPlace(), &lowest, 1, CMPI_int64(), CMPI_min(), world), "MPI_Allreduce")
    return lowest < size ? Int(lowest) : nil
  }

  func broadcastText(_ text: String, from root: Int) throws -> String {
    String(decoding: try broadcast(Array(text.utf8), from: root), as: UTF8.self)
  }

  /// The names whose values differ between two flat lists, those that one of them lacks included.
  private static func differences(_ a: String, _ b: String) -> [String] {
    func table(_ flat: String) -> [Substring: Substring] {
      let parts = flat.split(separator: "\0", omittingEmptySubsequences: false)
      var table: [Substring: Substring] = [:]
      for index in stride(from: 1, to: parts.count, by: 2) { table[parts[index - 1]] = parts[index] }
      return table
    }
    let (ours, theirs) = (table(a), table(b))
    return Set(ours.keys).union(theirs.keys).filter { ours[$0] != theirs[$0] }.sorted().map(String.init)
  }

  /// "rank 2", "ranks 1 and 3", "ranks 1, 2 and 3".
  private static func words(_ ranks: [Int]) -> String {
    guard let last = ranks.last, ranks.count > 1 else { return "rank \(ranks.first ?? 0)" }
    return "ranks \(ranks.dropLast().map(String.init).joined(separator: ", ")) and \(last)"
  }
}

extension Swift.Result {
  fileprivate var failure: (any Error)? {
    if case .failure(let error) = self { return error }
    return nil
  }
}
