package import BERT
internal import Collectives
internal import Failures
package import FineTuning
internal import Glibc
internal import Kernels
internal import Tensors
package import Training

/// What a run will hold in memory, from its configuration alone.
package struct MemoryPlan: Sendable, Equatable {
  /// What there is how much of.
  package struct Part: Sendable, Equatable {
    /// What it is.
    package let name: String
    /// Bytes of one copy.
    package let bytes: Int
    /// Who has a copy.
    package let owner: Owner
  }

  /// Who has a copy of a part.
  package enum Owner: String, Sendable {
    /// One for all ranks of a node.
    case node
    /// One for each rank.
    case rank
    /// Rank 0 alone.
    case first = "rank 0"
  }

  /// The parts, largest owner first.
  package let parts: [Part]
  /// Ranks of the fullest node.
  package let ranksPerNode: Int
  /// How many numbers a rank steps along once it has seen all reviews.
  package let steppedCount: Int
  /// How many ranks compute shards (`--deterministic`), and what that takes of each, which others do not have.
  private let shards: Shards?

  private struct Shards: Equatable {
    let ranks: Int
    let bytes: Int
  }

  /// Bytes of a rank that no other sees; those of rank 0 when it is asked for.
  package func privateBytes(ofFirst: Bool = false) -> Int {
    parts.filter { $0.owner == .rank || (ofFirst && $0.owner == .first) }.reduce(0) { $0 + $1.bytes }
  }
  /// Bytes that the ranks of a node have together.
  package var sharedBytes: Int { parts.filter { $0.owner == .node }.reduce(0) { $0 + $1.bytes } }
  /// Bytes of the node that rank 0 is on.
  package var nodeBytes: Int { nodeBytes(ranks: ranksPerNode) }

  /// The same with another number of ranks there.
  package func nodeBytes(ranks: Int) -> Int {
    let first = parts.filter { $0.owner == .first }.reduce(0) { $0 + $1.bytes }
    let withoutShards = shards.map { max(0, ranks - $0.ranks) * $0.bytes } ?? 0
    return sharedBytes + ranks * privateBytes() + first - withoutShards
  }
}

extension MemoryPlan {
  /// What decides how much memory a run takes.
  package struct Setting {
    /// The method.
    package let method: any FineTuningMethod
    /// The base's shape.
    package let configuration: BERTConfiguration
    /// Ranks of the fullest node.
    package let ranksPerNode: Int
    /// Ranks in all.
    package let ranks: Int
    /// Threads of a rank.
    package let threads: Int
    /// What a thread's activations take, in bytes; an estimate when nil.
    package let arenaBytes: Int?
    /// Tokens of a pass, for the estimate.
    package let tokensPerPass: Int
    /// What a rank has of a step.
    package let stepShare: Replica.StepShare
    /// The reviews.
    package let reviews: ReviewLengths
    /// Whether every row of a trained table of embeddings is stepped along.
    package let decays: Bool
    /// Whether ranks share out the optimiser's moments.
    package let shardsOptimizer: Bool
    /// Gradients of shards that ranks keep at once (`--deterministic`); nil without shards.
    package let shardBuffers: ShardedGradients.Buffers?
    /// How much may be kept of what frozen layers make of reviews; nil when nothing is.
    package let keptBytesLimit: Int?

    /// A setting.
    package init(
      _ method: any FineTuningMethod, _ configuration: BERTConfiguration, ranks: Int, ranksPerNode: Int, threads: Int,
      tokensPerPass: Int, stepShare: Replica.StepShare, reviews: ReviewLengths, decays: Bool, shardsOptimizer: Bool,
      shardBuffers: ShardedGradients.Buffers? = nil,
      keptBytesLimit: Int? = nil, arenaBytes: Int? = nil
    ) {
      (self.method, self.configuration, self.ranks) = (method, configuration, ranks)
      (self.ranksPerNode, self.threads, self.arenaBytes) = (ranksPerNode, threads, arenaBytes)
      (self.tokensPerPass, self.stepShare) = (tokensPerPass, stepShare)
      (self.reviews, self.decays) = (reviews, decays)
      self.shardsOptimizer = shardsOptimizer && ranks > 1
      (self.shardBuffers, self.keptBytesLimit) = (shardBuffers, keptBytesLimit)
    }
  }

  /// Adds up what a run holds.
  /// - Throws: `Failure` when the method's options do not fit the base.
  package init(_ setting: Setting) throws {
    let table = try setting.method.table(for: setting.configuration)
    let trained = table.trainableCount
    let reached = MemoryPlan.reached(table, setting, byPages: true)
    let model = setting.method.model(setting.configuration, table)
    let arena = setting.arenaBytes ?? model.leastArenaBytes(tokens: setting.tokensPerPass) * 3 / 2
    let gradients = Replica.gradientCount(
      of: model, reached: reached, of: trained, threads: setting.threads,
      shardBuffers: setting.shardBuffers?.perRank, share: setting.stepShare)
    let tokens =
      setting.reviews.tokens.reduce(0, +) * setting.reviews.reviewCount / max(1, setting.reviews.tokens.count)
    ranksPerNode = setting.ranksPerNode
    steppedCount = MemoryPlan.stepped(table, MemoryPlan.reached(table, setting), setting)
    shards = setting.shardBuffers.map { Shards(ranks: $0.ranks, bytes: 4 * $0.perRank * trained) }
    let always = [
      Part(
        name: "frozen parameters", bytes: 4 * table.frozenCount + 2 * table.roundedCount,
        owner: setting.ranksPerNode > 1 ? .node : .rank),
      Part(
        name: "transposed copies of some of them", bytes: table.transposeBytes,
        owner: setting.ranksPerNode > 1 ? .node : .rank),
      Part(name: "trained parameters", bytes: 4 * trained + MemoryPlan.copyBytes(table), owner: .rank),
      Part(name: "gradients of \(setting.threads) threads", bytes: 4 * gradients.gradients, owner: .rank),
      Part(name: "the optimiser's moments", bytes: 8 * MemoryPlan.stepped(table, reached, setting), owner: .rank),
      Part(name: "activations, \(setting.threads) of them", bytes: setting.threads * arena, owner: .rank),
      Part(
        name: "the exchange of gradients", bytes: MemoryPlan.exchangeBytes(table, setting), owner: .rank),
      Part(name: "reviews", bytes: MemoryPlan.reviewBytes(setting.reviews, tokens), owner: .rank),
      Part(name: "program and libraries", bytes: MemoryPlan.commonBytes(setting), owner: .node),
      Part(name: "buffers of products and MPI, vocabulary", bytes: MemoryPlan.fixedBytes(setting), owner: .rank),
      Part(name: "the copy that a checkpoint is written from", bytes: 12 * trained, owner: .first),
    ]
    let kept = try setting.keptBytesLimit.map { limit in
      Part(
        name: "what frozen layers make of reviews", bytes: min(limit, try MemoryPlan.keptBytes(setting, tokens)),
        owner: setting.ranksPerNode > 1 ? .node : .rank)
    }
    let folds = Part(name: "fusions folded with their adapters", bytes: 4 * gradients.folds, owner: .rank)
    parts = always + [folds].filter { $0.bytes > 0 } + [kept].compactMap(\.self)
  }

  /// Texts, their tokens and where each begins; held-out reviews are taken to be as long as the training ones.
  private static func reviewBytes(_ reviews: ReviewLengths, _ tokens: Int) -> Int {
    let training = reviews.textBytes + 5 * tokens + 40 * reviews.reviewCount
    return training + Int(Double(training) * Double(reviews.heldOutTextBytes) / Double(max(1, reviews.textBytes)))
  }

  /// A row for each token below a trained layer, for each review below the head alone. The run keeps less where a node's
  /// memory ends.
  private static func keptBytes(_ setting: Setting, _ tokens: Int) throws -> Int {
    let layers = try FrozenOutputs.layerCount(setting.method, setting.configuration)
    let rows = layers == setting.configuration.layerCount ? setting.reviews.reviewCount : tokens
    return 4 * (rows * setting.configuration.hiddenSize + setting.reviews.reviewCount)
  }

  /// How many trained numbers get gradients in a thread: all but the rows of embeddings of tokens that do not occur.
  /// Memory comes in pages: by these, a page counts as soon as one of its rows does.
  private static func reached(_ table: ParameterTable, _ setting: Setting, byPages: Bool = false) -> Int {
    guard !setting.decays, let looked = table.lookedUp else { return table.trainableCount }
    let missing = 1 - min(1, Double(setting.reviews.distinctTokenCount) / Double(max(1, looked.rows)))
    let rowsOfPage = max(1, 4096 / Double(4 * looked.columns)) + (looked.columns % 1024 == 0 ? 0 : 0.5)
    return table.trainableCount - Int(Double(looked.count) * pow(missing, byPages ? rowsOfPage : 1))
  }

  /// What products read in bfloat16 beside the floats.
  private static func copyBytes(_ table: ParameterTable) -> Int {
    table.groups.reduce(0) { $0 + ($1.precision == .bf16 ? 2 * $1.range.count : 0) }
  }

  /// How many numbers a rank steps along: its tiles, and what was reached of the table of embeddings, which all keep.
  private static func stepped(_ table: ParameterTable, _ reached: Int, _ setting: Setting) -> Int {
    guard setting.shardsOptimizer else { return reached }
    let looked = table.lookedUp?.count ?? 0
    let others = table.trainableCount - looked
    return others / setting.ranks + reached - others
  }

  /// Room for pieces of gradients on their way.
  private static func exchangeBytes(_ table: ParameterTable, _ setting: Setting) -> Int {
    let layout = NodeLayout(
      stride(from: 0, to: setting.ranks, by: setting.ranksPerNode).map {
        Array($0..<min($0 + setting.ranksPerNode, setting.ranks))
      })
    return PieceExchange.roomBytes(layout, rank: 0, longest: BlockTiles(table, rank: 0, of: setting.ranks).tile)
  }

  // Measured on Linux with Open MPI 4.1, OpenBLAS 0.3.21, oneDNN 2.6 and HDF5 1.10, on 1 to 4 ranks, a small and a large
  // vocabulary, on a machine where nothing else ran that had Swift's libraries open.

  /// Pages of the program and its libraries that all ranks of a node read, the vocabulary's text among them.
  private static func commonBytes(_ setting: Setting) -> Int {
    let libraries = ProductLibrary.forLarge == .oneDNN ? 44 : 38
    return libraries << 20 + 130 * setting.configuration.vocabularySize
  }

  /// What a rank has of its own whatever it trains: the table of the vocabulary, for each thread what factors of products
  /// are packed into, MPI's buffers for each of the node's other ranks.
  private static func fixedBytes(_ setting: Setting) -> Int {
    let packed = ProductLibrary.forLarge == .oneDNN ? 12 : 4
    return (8 << 20) + 60 * setting.configuration.vocabularySize + setting.threads * packed << 20
      + (setting.ranksPerNode - 1) << 19
  }
}
